"""The law of the plan: settings of a language model from its text and from what there is to spend.

A model of H units multiplies w(H) weights for each symbol that it reads, and a machine multiplies
about R of them a second whatever H is, so that in t seconds it reads

    D = R t / w(H)                symbols, that is e = D / n passes over the n of the text.

Too small a model stops improving, too large a one sees too little: the best size grows as the root
of what can be multiplied. A short text is worth so many weights and no more; before it gets them it
should be read often, but there is an end to what that gives:

    w = √(R t / κ)                w ≤ w₁ (n / n₁)^α
    e ≤ e₁ (n₂ / n)^β             e ≥ e₃ (n₃ / n)^γ, or w is lowered for it

What is read often is learned by heart, if there are enough weights for it. The dropout that
prevents it grows with the logarithm of both:

    p = a ln(x / x₀),             x = e w / n

Sweeps behind each constant are in ``benchmarks/LOG.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, log, sqrt
from typing import Any

from charrnn import cells
from charrnn.config import ModelConfig
from charrnn.model.counted import enough

SYMBOLS_PER_WEIGHT = 1.6
"""κ: symbols that a model of the best size reads for each weight."""
UNITS = 64
"""Sizes are multiples of this."""
LARGEST = 2048
MOST_WEIGHTS = (3.5e5, 45_000, 0.82)
"""w₁, n₁ and α."""
UNLIMITED = (1.1e6, 1e6, 0.5), 0.5
"""The same without any limit on time, and then the share of the passes below."""
MOST_PASSES = (40.0, 1e6, -0.35)
"""e₁, n₂ and -β."""
ENOUGH_PASSES = 120.0
"""The most for any text."""
WANTED_PASSES = (92.0, 45_000, -1.3)
"""e₃, n₃ and -γ."""
DROPOUT = (1.0, 80.0, 0.5)
"""The x at which dropout begins, x₀, and at which it is full, and its full rate."""
RECURRENT_DROPOUT = (7.0, 200.0, 0.4)
"""The same of the recurrent weights."""
FASTER, USUAL = "cautious", "adam"
"""Optimizers for which the learning rate is meant. The first one learns faster, by heart too: it is
for texts that are not read often enough to need dropout."""
LR, LR_UNITS = 8e-3, 512
"""The learning rate, and the size above which it falls as one over the root of the size."""
UNGATED_LR_UNITS = 128
"""That size of a cell without gates: the rate of the others throws it out of what it learned."""
STEPS = 32
"""T."""
LEAST_STEPS = 300
EVALUATION = 0.04
"""The share of the time that evaluations may take."""
FORWARD = 3.0
"""How many times as fast symbols are scored as learned: forward is a third of the work."""
COUNTED = (3e-6, 2e-8)
"""Seconds that counted n-grams add to scoring a symbol, and the same for each of V symbols."""
MOST_EVALUATIONS = 40
SCORED = (20_000, 0.09, 500_000)
"""Symbols that an evaluation scores: this share of what is read, within these bounds."""
PATIENCE = 15
WINDOWS = 32
"""Without a plan, an epoch of a short text has at least so many windows."""


@dataclass(frozen=True)
class Means:
    """What there is to plan with.

    Attributes
    ----------
    symbols, vocabulary, validation
        n, V, and the symbols of the validation text.
    seconds, rate
        t and R if the time is limited, else None.
    reads
        D if the number of steps or passes is limited, else None.
    streams, steps
        N and T if they are given, else None.
    """

    symbols: int
    vocabulary: int
    validation: int = 0
    seconds: float | None = None
    rate: float | None = None
    reads: float | None = None
    streams: int | None = None
    steps: int | None = None


@dataclass(frozen=True)
class Law:
    """What the law gives: settings by name, and the symbols that will be read."""

    settings: dict[str, Any]
    reads: float
    passes: float
    """Over the training text."""
    by_passes: bool
    """Whether the number of passes ends training, and not the time."""


def weights(config: ModelConfig, V: int, H: int) -> float:
    """Return w(H): the weights that each symbol is multiplied with."""
    rows = len(cells.create(config).gates) * H
    return float(rows * H * (2 * config.layers - 1) + rows * config.embed + V * H)


def plan(config: ModelConfig, means: Means, given: Mapping[str, Any]) -> Law:
    """Return settings for a model; those that are given are taken as they are.

    ``config`` has the cell and the layers, and whatever of the model is given.
    """
    n, V = means.symbols, means.vocabulary
    H = int(given.get("hidden") or _units(config, means))
    most = most_passes(n)
    if means.reads is not None:
        reads, by_passes = means.reads, False
    elif means.seconds is None or means.rate is None:
        reads, by_passes = UNLIMITED[1] * most * n, True
    else:
        reads = (1 - EVALUATION) * means.rate * means.seconds / weights(config, V, H)
        by_passes = reads > most * n
        reads = min(reads, most * n)
    T = min(means.steps or STEPS, max(1, n - 1))
    N = min(means.streams or streams(n), max(1, (n - 1) // T))
    steps = max(LEAST_STEPS, ceil(reads / (N * T)))
    passes = max(reads, steps * N * T if by_passes else 0) / n
    learned = passes * weights(config, V, H) / n
    found: dict[str, Any] = {
        "hidden": H,
        "dropout": _rate(learned, *DROPOUT),
        "recurrent_dropout": _rate(learned, *RECURRENT_DROPOUT),
        "seq_len": T,
        "batch": N,
        "optimizer": FASTER if learned <= DROPOUT[0] else USUAL,
        "lr": _rounded(LR * min(1.0, sqrt(_full_rate(config) / H))),
        "grams": enough(n),
    }
    if by_passes:
        found["steps"] = steps
    if means.validation:
        cost = 1 / FORWARD
        if means.rate and not by_passes:  # time is short
            speed = means.rate / weights(config, V, H)
            cost += speed * scoring(V, bool(given.get("grams", found["grams"])))
        found |= _evaluations(means, reads, steps, cost)
        if by_passes:
            found["patience"] = PATIENCE
    return Law(found, reads, passes, by_passes)


def _full_rate(config: ModelConfig) -> int:
    """Return the largest size, in units, that is trained at the full learning rate."""
    gated = len(cells.create(config).gates) > 1
    return LR_UNITS if gated else UNGATED_LR_UNITS


def most_passes(n: int) -> float:
    """Return how often it pays to read a text of n symbols."""
    return min(ENOUGH_PASSES, _power(n, *MOST_PASSES))


def _power(n: int, of_first: float, first: float, power: float) -> float:
    """Return a power law of the length of a text, by its value at a first one."""
    return float(of_first * (n / first) ** power)


def _units(config: ModelConfig, means: Means) -> int:
    """Return the best size, in units."""
    n, V = means.symbols, means.vocabulary
    best = _power(n, *MOST_WEIGHTS)
    if means.reads is not None:
        best = min(best, means.reads / SYMBOLS_PER_WEIGHT)
    elif means.seconds is None or means.rate is None:
        best = min(best, _power(n, *UNLIMITED[0]))
    else:
        multiplied = means.rate * means.seconds
        wanted = min(most_passes(n), _power(n, *WANTED_PASSES))
        best = min(best, sqrt(multiplied / SYMBOLS_PER_WEIGHT), multiplied / (wanted * n))
    sizes = range(UNITS, LARGEST + 1, UNITS)
    return min(sizes, key=lambda H: abs(log(weights(config, V, H) / best)))


def streams(n: int) -> int:
    """Return the number of streams: few of a short text, so that there are enough updates."""
    return next(N for N, least in ((32, 200_000), (16, 20_000), (8, 10_000), (4, 0)) if n >= least)


def streams_of_short(n: int, streams: int, steps: int, least: int = 1) -> int:
    """Return the streams of a text that is not planned: halved until an epoch has several windows.

    If one window filled an epoch, there would be one update in it, and no state would ever be
    carried to another window.
    """
    while streams >= 2 * least and (n - 1) // (streams * steps) < WINDOWS:
        streams //= 2
    return streams


def _rate(x: float, begins: float, full: float, most: float) -> float:
    """Return the rate of a dropout."""
    rate = most * log(max(x, begins) / begins) / log(full / begins)
    return round(min(most, rate), 2)


def scoring(V: int, grams: bool) -> float:
    """Return the seconds that n-grams add to scoring a symbol, if they are counted."""
    own, of_symbol = COUNTED
    return own + of_symbol * V if grams else 0.0


def _evaluations(means: Means, reads: float, steps: int, cost: float) -> dict[str, Any]:
    """Return how often the validation text is scored, and how much of it.

    ``cost`` is that of scoring a symbol, where learning one is 1.
    """
    least, share, most = SCORED
    scored = int(min(max(least, share * reads), most))
    each = min(scored, means.validation) * cost
    count = min(MOST_EVALUATIONS, max(2, int(EVALUATION * reads / each)))
    return {"eval_chars": scored, "eval_every": max(1, ceil(steps / count))}


def _rounded(rate: float) -> float:
    return float(f"{rate:.2g}")
