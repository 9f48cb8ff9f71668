"""What is wrong with a model, why that may be said, and what to do about it.

Spectral radius above 1 alone is no verdict: it is necessary for exploding gradients, not
sufficient. Every threshold, with W = 32 steps (:data:`WINDOW`), is:

===============  ==================================================================  ==============
code             said where                                                          basis
===============  ==================================================================  ==============
broken           a weight or moment is NaN or infinite; or the loss is, though no    measurement
                 state overflows
exploding        a state overflows along the text; or G is at least 10 at the        measurement
                 largest lag and small differences grow along the text (λ₁ > 0); or
                 G is at least 100 there
vanishing        rnn: σ₁(U) < 1/γ, so that gradients shrink at least as σ₁^k         theorem [1]
vanishing        the Jacobian's product shrinks ten-thousandfold over W steps        measurement
                 (λ₁ W < -ln 10,000) and G(W) is below 1/10,000 for every state
saturated        each logistic gate of a layer is below 0.1 or above 0.9 for 90 %    measurement,
                 of time and units; rnn: |h| > 0.9 for 90 %, or half of the          bounds of [2]
                 rectifier's units never fire
clip-tight       clipping by norm shortens 90 % of the gradients, the median of      rule of thumb
                 those to less than a tenth, and nothing explodes                    [3]
clip-idle        the limit is 100 times the largest norm met                         rule of thumb
                                                                                     [3]
lr-high          an update is as large as the weights; or it is above 1/1000 of      measurement,
                 them and raises the loss of its own window by a tenth (of ln V at   ratio of [4]
                 most) and 0.1 nats
lr-low           an update is below 1/100,000 of the weights, a hundredth of the     rule of thumb
                 rule of thumb, and not because of clipping                          [4]
truncation       the model is trained, G(training window) is at least 1/2, and the   measurement
                 model uses a window of context or more, or gains 0.02 nats (three
                 standard errors) from context beyond the window
context-unused   the model is trained and at most one symbol of context brings 99 %  measurement
                 of what context brings; not said of a model worse than symbol
                 frequencies, or with nothing left to learn
===============  ==================================================================  ==============

[1] Pascanu, Mikolov and Bengio 2013, arXiv 1211.5063, section 2.1. [2] Karpathy, Johnson and
Fei-Fei 2015, arXiv 1506.02078. [3] Pascanu et al. 2013, section 3.2, set the limit by the average
norm over many updates and report that half to ten times that average works. [4] Karpathy, notes of
CS231n: updates should be about 1/1000 of the weights.

The bounds for vanishing and exploding lie between what trained LSTMs and GRUs of 32 to 128 units
show on English text (λ₁ from -0.15 to -0.01 a step, and G below 1 from some lag on) and what a
forget bias of -5 (λ₁ of -0.3 and below) or an orthogonal matrix times 3 (G in the thousands at lag
64) leads to. A fresh LSTM is at -0.14 to -0.27, from 256 units to 24.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, isfinite, log
from typing import TYPE_CHECKING

import numpy as np

from charrnn.diagnosis.spectra import GAMMA
from charrnn.model.language import LanguageModel

if TYPE_CHECKING:
    from charrnn.diagnosis.examine import Report

CODES = (
    "broken",
    "exploding",
    "vanishing",
    "saturated",
    "clip-tight",
    "clip-idle",
    "lr-high",
    "lr-low",
    "truncation",
    "context-unused",
)
"""All codes, worst first."""

WINDOW = 32
GROWTH, SURE_GROWTH, DECAY = 10.0, 100.0, 1e-4
SATURATED, DEAD = 0.9, 0.5
CLIP_SHARE, CLIP_FACTOR, CLIP_IDLE = 0.9, 0.1, 100.0
RATIO_RULE, RATIO_HIGH, RATIO_LOW = 1e-3, 1.0, 1e-5
LOSS_RISE, LOSS_RISE_SHARE = 0.1, 0.1
CUT_GRADIENT, BEYOND_WINDOW = 0.5, 0.02
LEARNED = 0.05
"""Nats a symbol below which there is nothing left to learn."""

THEOREM, MEASUREMENT, RULE = "theorem", "measurement", "rule of thumb"
PASCANU = "Pascanu, Mikolov and Bengio 2013, arXiv 1211.5063"
CS231N = "Karpathy, CS231n notes: updates of about 1/1000 of the weights"


@dataclass(frozen=True)
class Broken:
    """An array with ``count`` values that are not finite, of ``size``."""

    name: str
    kind: str
    count: int
    size: int


@dataclass(frozen=True)
class Verdict:
    """One finding.

    Attributes
    ----------
    code
        One of :data:`CODES`.
    layer
        The layer it is about, from 0; None for the whole model.
    basis
        ``theorem``, ``measurement`` or ``rule of thumb``.
    message, remedy
        What was found, with its figures; what to do, with the option of ``charrnn train``.
    source
        Where theorem or rule come from; empty for a measurement.
    """

    code: str
    layer: int | None
    basis: str
    message: str
    remedy: str
    source: str = ""


def find_broken(model: LanguageModel, moments: dict[str, np.ndarray] | None = None) -> list[Broken]:
    """Return the parameters and moments that hold NaN or infinity."""
    get, found = model.backend.get, []
    arrays = {name: get(array) for name, array in model.weights.items()}
    for name, flat in (moments or {}).items():
        if flat.size == model.weights.flat.size:
            parts = model.weights.like(flat)
            arrays |= {f"optimizer.{name} of {at}": part for at, part in parts.items()}
    for name, array in arrays.items():
        bad = array[~np.isfinite(array)]
        if bad.size:
            kind = "NaN" if np.isnan(bad).any() else "infinite"
            found.append(Broken(name, kind, int(bad.size), int(array.size)))
    return found


def judge(report: Report) -> list[Verdict]:
    """Return all verdicts on what was measured, worst first."""
    if report.broken:
        return [_broken(part) for part in report.broken]
    found = [*_exploding(report)]
    exploding = {verdict.layer for verdict in found}
    found += _not_finite(report) if not found else []
    found += [v for v in _vanishing(report) if v.layer not in exploding]
    found += _saturated(report)
    found += _training(report, bool(exploding))
    if not report.subject.fresh:
        found += [*_truncation(report), *_context_unused(report)]
    return sorted(found, key=lambda verdict: CODES.index(verdict.code))


def _broken(part: Broken) -> Verdict:
    word = "element" if part.size == 1 else "elements"
    return Verdict(
        "broken",
        _layer_in(part.name),
        MEASUREMENT,
        f"{part.name}: {part.count:,} of {part.size:,} {word} {_be(part.count)} not a finite "
        f"number ({part.kind})",
        "go back to an earlier checkpoint (train with --keep K) and lower --lr",
    )


def _be(count: int) -> str:
    return "is" if count == 1 else "are"


def _layer_in(name: str) -> int | None:
    last = name.rpartition("_l")[2]
    return int(last) if last.isdigit() else None


def _not_finite(report: Report) -> Iterator[Verdict]:
    norms = report.norms
    if norms is not None and not (isfinite(norms.loss) and isfinite(norms.all.grad.mean)):
        what = "loss" if not isfinite(norms.loss) else "gradient"
        bad = [n for n, part in norms.parameters.items() if not isfinite(part.grad.mean)]
        where = f"; first in {bad[0]}" if bad else ""
        yield Verdict(
            "broken",
            _layer_in(bad[0]) if bad else None,
            MEASUREMENT,
            f"the {what} is not a finite number, though all weights are{where}",
            "go back to an earlier checkpoint and lower --lr; or use --dtype float64",
        )


def _exploding(report: Report) -> Iterator[Verdict]:
    dynamics, profile = report.dynamics, report.lag
    if dynamics is None or profile is None:
        return
    remedy = "--clip-norm bounds the step; --init orthogonal or a lower --lr the growth itself"
    if dynamics.overflow is not None:
        steepest = max(dynamics.layers, key=lambda layer: layer.exponents[0])
        yield Verdict(
            "exploding",
            steepest.layer,
            MEASUREMENT,
            f"the state overflows after {dynamics.overflow:,} steps along the text",
            "use --activation tanh, --init orthogonal, or a gated cell: --cell gru",
        )
        return
    for layer, lags in zip(dynamics.layers, profile.layers, strict=True):
        rate = layer.exponents[0]
        name, curve = lags.slowest
        end = float(curve.mean[-1])
        if end >= (GROWTH if rate > 0 else SURE_GROWTH):
            yield Verdict(
                "exploding",
                layer.layer,
                MEASUREMENT,
                f"∂ℓ/∂{name} at lag {profile.max_lag} is {_times(end)} that at lag 0; small "
                f"differences grow by {exp(rate):.2f} a step (λ₁ = {rate:+.3f})",
                remedy,
            )


def _times(value: float) -> str:
    return f"{value:.2g} times" if isfinite(value) else "infinitely larger than"


def _vanishing(report: Report) -> Iterator[Verdict]:
    dynamics, profile = report.dynamics, report.lag
    if dynamics is None or profile is None or dynamics.overflow is not None:
        return
    guaranteed = {r.layer: r for r in report.recurrent if r.vanishing_sufficient}
    for layer, lags in zip(dynamics.layers, profile.layers, strict=True):
        if layer.layer in guaranteed:
            sigma = guaranteed[layer.layer].sigma_max
            yield Verdict(
                "vanishing",
                layer.layer,
                THEOREM,
                f"σ₁(W_hh) = {sigma:.3f} < 1/γ = {1 / GAMMA:g}: gradients shrink at least as "
                f"{sigma:.3f}^k, to {sigma**WINDOW:.1e} over {WINDOW} steps",
                "--init orthogonal or identity, or a gated cell: --cell lstm",
                PASCANU,
            )
            continue
        at = min(WINDOW, profile.max_lag)
        _, curve = max(lags.curves.items(), key=lambda item: item[1].mean[at])
        value, rate = float(curve.mean[at]), layer.exponents[0]
        if rate * at < log(DECAY) * at / WINDOW and value < DECAY ** (at / WINDOW):
            yield Verdict(
                "vanishing",
                layer.layer,
                MEASUREMENT,
                f"the gradient at lag {at} is {value:.1e} of that at lag 0; the state forgets "
                f"within {layer.memory_time:.1f} steps (λ₁ = {rate:+.3f})",
                _more_memory(report),
            )


def _more_memory(report: Report) -> str:
    config = report.subject.model.config
    if config.cell == "lstm":
        bias = "a larger --forget-bias (1 is the default)"
        return bias if config.forget_bias < 1 else f"{bias}, or --init orthogonal"
    if config.cell == "gru":
        return "--init orthogonal, or --cell lstm with its forget bias"
    return "a gated cell (--cell lstm or gru), or --init orthogonal"


def _saturated(report: Report) -> Iterator[Verdict]:
    for layer in report.gates:
        logistic = [gate for gate in layer.gates if gate.kind == "logistic"]
        least = min((gate.left + gate.right for gate in logistic), default=0.0)
        remedy = "a lower --lr, --weight-decay, or smaller initial weights: --init xavier"
        if least >= SATURATED:
            names = ", ".join(f"{gate.gate} {gate.left + gate.right:.0%}" for gate in logistic)
            yield Verdict(
                "saturated",
                layer.layer,
                MEASUREMENT,
                f"the gates are saturated ({names} of the time), so hardly any gradient passes "
                "through them",
                remedy,
            )
        elif not logistic and layer.units.saturated >= SATURATED:
            yield Verdict(
                "saturated",
                layer.layer,
                MEASUREMENT,
                f"the units are saturated {layer.units.saturated:.0%} of the time (|h| > 0.9)",
                remedy,
            )
        elif layer.units.dead is not None and layer.units.dead >= DEAD:
            yield Verdict(
                "saturated",
                layer.layer,
                MEASUREMENT,
                f"{layer.units.dead:.0%} of the units never fire",
                "a lower --lr, or --activation tanh",
            )


def _training(report: Report, exploding: bool) -> Iterator[Verdict]:
    """Clipping and learning rate; only where the plan is the model's own."""
    norms = report.norms
    if norms is None or not report.subject.planned or not isfinite(norms.loss):
        return
    clip = norms.clip
    tight = clip.share >= CLIP_SHARE and clip.factor < CLIP_FACTOR
    if tight and not exploding:
        median = norms.all.grad.median
        yield Verdict(
            "clip-tight",
            None,
            RULE,
            f"--clip-norm {clip.limit:g} shortens {clip.share:.0%} of the gradients, to "
            f"{clip.factor:.1e} of their length: their direction is all that counts",
            f"--clip-norm {_round(median)} or more: the median norm is {median:.3g}",
            f"{PASCANU}, section 3.2",
        )
    if clip.limit and clip.limit > CLIP_IDLE * clip.largest and norms.loss > LEARNED:
        yield Verdict(
            "clip-idle",
            None,
            RULE,
            f"--clip-norm {clip.limit:g} never acts: the largest norm met is {clip.largest:.2g}",
            f"--clip-norm {_round(5 * clip.largest)} would guard against a sudden jump",
            f"{PASCANU}, section 3.2",
        )
    yield from _rate(report, tight)


def _rate(report: Report, tight: bool) -> Iterator[Verdict]:
    norms = report.norms
    assert norms is not None
    ratio, change = norms.all.update_ratio.median, norms.loss_change
    scale = min(norms.loss, log(max(2, report.subject.model.V)))  # a loss above ln V is no measure
    raised = change > max(LOSS_RISE, LOSS_RISE_SHARE * scale) or not isfinite(change)
    if ratio >= RATIO_HIGH or (ratio >= RATIO_RULE and raised):
        effect = f"raises the loss of its own window by {change:.2g} nats"
        yield Verdict(
            "lr-high",
            None,
            MEASUREMENT if raised else RULE,
            f"at --lr {norms.lr:g} an update is {ratio:.1e} of the weights"
            + (f" and {effect}" if raised else ""),
            f"a lower --lr: {_round(norms.lr * max(1e-3, RATIO_RULE / ratio))} "
            "would bring updates near 1/1000 of the weights",
            CS231N,
        )
    elif ratio < RATIO_LOW and not tight:
        factor = RATIO_RULE / ratio if ratio > 0 else 1e3
        yield Verdict(
            "lr-low",
            None,
            RULE,
            f"at --lr {norms.lr:g} an update is only {ratio:.1e} of the weights",
            f"a higher --lr: {_round(norms.lr * min(1e3, factor))}",
            CS231N,
        )


def _round(value: float) -> str:
    return f"{float(f'{value:.1g}'):g}"


def _truncation(report: Report) -> Iterator[Verdict]:
    profile, context = report.lag, report.context
    if profile is None or context is None:
        return
    cut, seq_len = context.cut, context.seq_len
    gain, error = cut.beyond_window, cut.beyond_window_error
    gains = gain is not None and error is not None and gain > max(BEYOND_WINDOW, 3 * error)
    if not (gains or cut.used >= seq_len):
        return
    for layer in profile.layers:
        values = {name: curve.at(seq_len) for name, curve in layer.curves.items()}
        known = {name: value for name, value in values.items() if value is not None}
        name, value = max(known.items(), key=lambda item: item[1], default=("", 0.0))
        if CUT_GRADIENT <= value < GROWTH:
            yield Verdict(
                "truncation",
                layer.layer,
                MEASUREMENT,
                f"at the window's edge, lag {seq_len}, ∂ℓ/∂{name} still is {value:.0%} of that at "
                f"lag 0, and the model uses {cut.used} characters",
                f"a longer --seq-len: {2 * seq_len}",
            )


def _context_unused(report: Report) -> Iterator[Verdict]:
    context = report.context
    if context is None:
        return
    cut = context.cut
    full = cut.replaced[-1]
    if cut.used_99 <= 1 and LEARNED < full <= 1.1 * context.unigram:
        much = "none" if cut.used_99 == 0 else "one character"
        yield Verdict(
            "context-unused",
            None,
            MEASUREMENT,
            f"the model uses {much} of its context: {cut.lengths[-1]} characters bring it "
            f"{cut.gain:.3f} nats over none",
            "train for longer, a longer --seq-len, --state carry, or --cell lstm; "
            "right if the text has no longer structure",
        )
