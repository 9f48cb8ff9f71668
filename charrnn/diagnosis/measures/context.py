"""How many symbols of context a model uses.

Cut context, L(k): for the same targets, the mean of -ln p(text[a] | text[a - k … a - 1]) from a
zero state, for growing k (Khandelwal, He, Qi and Jurafsky 2018, arXiv 1805.04623, cut the context
of language models in this way). L(0) is the prediction from a zero state.

Replaced context, R(k): the same, but from the state that the model reaches by reading another part
of the text for a while. A model trained with carried states has hardly ever seen a zero state, so
part of L(k) is due to the unfamiliar start, not to the missing context. R(k) has no such part: for
a text that copies itself over some lag, it falls at exactly that lag.

R(∞) is the value at the largest k. The model uses k symbols if k is the smallest length such that
R(j) is at most R(∞) + 0.1 (R(0) - R(∞)) for all j ≥ k: 90 % of the gain from context.
If the gain R(0) - R(∞) is below 0.01 nats or three of its standard errors, the model uses none.

By position: the mean loss at each step of a window, with the state carried from the window before
and with the state reset. The difference is the gain from carrying.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.backend import Array
from charrnn.config import TrainConfig
from charrnn.diagnosis.measures.values import Floats
from charrnn.model.language import LanguageModel
from charrnn.tasks.language import resets_of, training_streams
from charrnn.text.entropy import entropy
from charrnn.text.units.examples import Units

STEPS = 16
"""Steps that are read at a time, which bounds the memory for many targets."""
STREAMS, WARM, APART = 32, 256, 16
"""Replaced context starts from states of ``STREAMS`` streams: after ``WARM`` steps, one state every
``APART`` steps."""
SHARE, FINE_SHARE = 0.1, 0.01
"""Share of the gain that may still be missing at the length that counts as used (90 %, 99 %)."""
MIN_GAIN = 0.01
"""Nats below which the model does not use its context."""


@dataclass(frozen=True)
class Cut:
    """Loss by length of context.

    Attributes
    ----------
    lengths, loss, replaced
        k, ascending from 0, and L(k) and R(k) in nats.
    targets
        Number of targets.
    used, used_99
        How many symbols of context yield 90 % and 99 % of the gain.
    gain
        R(0) - R(∞), nats; ``error`` its standard error.
    beyond_window, beyond_window_error
        R(window) - R(∞) in nats, the gain from context beyond the training window, and its standard
        error; None unless the window is shorter than the largest k.
    """

    lengths: list[int]
    loss: list[float]
    replaced: list[float]
    targets: int
    used: int
    used_99: int
    gain: float
    error: float
    beyond_window: float | None
    beyond_window_error: float | None


@dataclass(frozen=True)
class ByPosition:
    """Mean loss at each step of a window, nats, (seq_len,) each.

    ``difference`` is the mean of reset minus carried.
    """

    carried: list[float]
    reset: list[float]
    difference: float


@dataclass(frozen=True)
class Context:
    """Use of context; ``unigram`` is the entropy of the text's symbol frequencies in nats.

    For examples, which are read whole, there are neither positions in a window nor a window, and
    ``unigram`` is the entropy of what is predicted.
    """

    cut: Cut
    position: ByPosition | None
    seq_len: int | None
    unigram: float


def measure(
    model: LanguageModel,
    ids: NDArray[Any],
    train: TrainConfig,
    targets: NDArray[np.int64],
    longest: int,
    windows: int,
    examples: Units | None = None,
) -> Context:
    """Measure the loss by length of context and by position in the window.

    Parameters
    ----------
    ids
        The text, 1-D.
    train
        Batch, window and handling of states, as in training.
    targets
        Offsets in the text whose loss is measured, 1-D, each at least ``longest``.
    longest
        The largest length of context, in symbols.
    windows
        Windows over which the loss by position is averaged.
    examples
        The examples that the text consists of, from which windows are then read.
    """
    counts = np.bincount(ids, minlength=model.V)
    return Context(
        cut_context(model, ids, targets, longest, train.seq_len),
        by_position(model, ids if examples is None else examples, train, windows),
        train.seq_len,
        entropy(counts / counts.sum()),
    )


def lengths_up_to(longest: int, window: int) -> list[int]:
    """Return 0, 1, 2, 3, 4, 6, 8, 12, 16, 24, …, the training window, and ``longest``."""
    lengths, k = {0, 1, min(window, longest), longest}, 2
    while k < longest:
        lengths |= {k, min(longest, k + k // 2)}
        k *= 2
    return sorted(lengths)


def cut_context(
    model: LanguageModel,
    ids: NDArray[Any],
    targets: NDArray[np.int64],
    longest: int,
    seq_len: int,
) -> Cut:
    """Measure L and R for growing k; then find the lengths that the model uses by bisection."""
    start = _elsewhere(model, ids, targets)
    return shortened(
        lambda k: losses_at(model, ids, targets, k),
        lambda k: losses_at(model, ids, targets, k, start),
        longest,
        seq_len,
    )


def shortened(
    cut_to: Callable[[int], Floats],
    replaced_but: Callable[[int], Floats],
    longest: int,
    seq_len: int | None = None,
) -> Cut:
    """Return what a model loses if it has less context.

    Parameters
    ----------
    cut_to, replaced_but
        Return the loss of every target, nats, for k symbols of context: without what comes before
        them, and with other text before them.
    longest
        The largest k.
    seq_len
        The training window in steps, if there is one.
    """
    lengths = lengths_up_to(longest, seq_len or longest)
    cut, other = _Losses(cut_to), _Losses(replaced_but)
    for k in lengths:
        cut.known[k], other.known[k] = cut.at(k), other.at(k)
    full = other.at(longest)
    gains = other.at(0) - full
    gain, error = float(gains.mean()), _error(gains)
    used = used_99 = 0
    if gain > max(MIN_GAIN, 3.0 * error):
        floor = float(full.mean())
        used = _smallest_sufficient(other.mean, lengths, floor + SHARE * gain)
        used_99 = _smallest_sufficient(other.mean, sorted(other.known), floor + FINE_SHARE * gain)
    lengths = sorted(other.known)
    beyond = other.at(seq_len) - full if seq_len and seq_len < longest else None
    return Cut(
        lengths,
        [cut.mean(k) for k in lengths],
        [other.mean(k) for k in lengths],
        len(full),
        used,
        used_99,
        gain,
        error,
        None if beyond is None else float(beyond.mean()),
        None if beyond is None else _error(beyond),
    )


def _error(sample: Floats) -> float:
    return float(sample.std()) / sqrt(len(sample))


class _Losses:
    """Losses of all targets by length of context; each length is computed once."""

    def __init__(self, measure: Callable[[int], Floats]) -> None:
        self._measure = measure
        self.known: dict[int, Floats] = {}

    def at(self, k: int) -> Floats:
        """Return the loss of every target, nats."""
        if k not in self.known:
            self.known[k] = self._measure(k)
        return self.known[k]

    def mean(self, k: int) -> float:
        """Return the mean loss, nats."""
        return float(self.at(k).mean())


def _elsewhere(
    model: LanguageModel, ids: NDArray[Any], targets: NDArray[np.int64]
) -> dict[str, Array]:
    """Return the states (H, targets), by name, after reading another part of the text."""
    N, xp, put = len(targets), model.backend.xp, model.backend.put
    streams = min(STREAMS, N)
    rounds = -(-N // streams)
    warm = min(WARM, max(1, len(ids) // 2 - APART * rounds))
    total = min(len(ids), warm + APART * rounds)
    begins = np.linspace(0, len(ids) - total, streams).astype(np.int64)
    window = model.window(APART, streams, backward=False)
    window.reset()
    reached: dict[str, list[Array]] = {name: [] for name, _ in window.states()}
    edges = [*range(0, warm, APART), *range(warm, warm + APART * rounds + 1, APART)]
    for start, stop in pairwise(edges):
        at = (begins[None] + np.arange(start, stop)[:, None]) % len(ids)
        model.forward(window, put(np.ascontiguousarray(ids[at])))
        window.carry()
        if stop > warm:
            for name, array in window.states():
                reached[name].append(array[0].copy())
    # In the order of the text, then shifted by half of it, so that each is far from its target.
    order = np.arange(rounds * streams).reshape(rounds, streams).T.reshape(-1)
    index = put(np.roll(order, N // 2)[:N])
    return {
        name: xp.ascontiguousarray(xp.take(xp.concatenate(parts, axis=1), index, axis=1))
        for name, parts in reached.items()
    }


def _smallest_sufficient(loss: Callable[[int], float], lengths: list[int], enough: float) -> int:
    """Return the smallest k such that the loss stays at most ``enough`` for k and above."""
    above = [k for k in lengths if loss(k) > enough]
    low = above[-1] if above else -1
    high = min((k for k in lengths if k > low), default=lengths[-1])
    while high - low > 1:
        middle = (low + high) // 2
        if loss(middle) > enough:
            low = middle
        else:
            high = middle
    return high


def losses_at(
    model: LanguageModel,
    ids: NDArray[Any],
    targets: NDArray[np.int64],
    k: int,
    start: dict[str, Array] | None = None,
) -> Floats:
    """Return -ln p of every target after the ``k`` symbols before it, (targets,), nats.

    ``start`` holds the states before these symbols by name (``h_l0``, …), (H, targets) each; zero
    states by default.
    """
    backend = model.backend
    window = model.window(max(1, min(k, STEPS)), len(targets), backward=False)
    window.reset()
    for name, array in window.states():
        if start is not None:
            array[0] = start[name]
    block = ids[targets[None] + np.arange(-k, 0)[:, None]]
    top = window.layers[-1].states[model.stack.cell.states[0]][:1]
    for begin in range(0, k, STEPS):
        part = np.ascontiguousarray(block[begin : begin + STEPS])
        top = model.forward(window, backend.put(part))[-1:]
        window.carry()
    goals = backend.put(ids[targets][None])
    nats = model.head.surprisal(model.weights, top, goals)[0]
    host: Floats = backend.get(nats).astype(np.float64)
    return host


def by_position(
    model: LanguageModel, text: NDArray[Any] | Units, train: TrainConfig, windows: int
) -> ByPosition:
    """Measure the mean loss at each step of ``windows`` windows, with carried and reset states."""
    means = []
    for carried in (True, False):
        streams = training_streams(text, replace(train, state="carry"))
        window = model.window(train.seq_len, train.batch, backward=False)
        total, symbols = np.zeros(train.seq_len), np.zeros(train.seq_len)
        for number in range(windows + 1):
            part = streams.batch_at(number)
            window.start(part.reset if carried else np.ones(train.batch, np.bool_), model.backend)
            window.resets = resets_of(part, model.backend, model.weights.flat.dtype)
            put = model.backend.put
            nats = model.surprisal(window, put(part.inputs), put(part.targets))
            if number % streams.windows_per_epoch:  # the first window has nothing to carry
                if part.mask is not None:
                    nats = nats * put(part.mask)
                total += model.backend.get(nats.sum(axis=1, dtype=np.float64))
                symbols += train.batch if part.mask is None else part.mask.sum(axis=1)
            window.carry()
        nothing = np.full(train.seq_len, np.nan)
        means.append(np.divide(total, symbols, out=nothing, where=symbols > 0))
    difference = float((means[1] - means[0]).mean())
    return ByPosition(means[0].tolist(), means[1].tolist(), difference)
