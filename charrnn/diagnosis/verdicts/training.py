"""Clipping and learning rate: ``clip-tight``, ``clip-idle``, ``lr-high``, ``lr-low``.

No verdict is given if the training settings are not the model's own, or if there is nothing to
learn.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite, log

from charrnn.diagnosis.measures.norms import Clipping, NormsReport
from charrnn.diagnosis.report import Report, Verdict
from charrnn.diagnosis.verdicts.sources import CS231N, MEASUREMENT, PASCANU, RULE
from charrnn.errors import setting
from charrnn.evaluate.guess import LEARNED

CLIP_SHARE, CLIP_FACTOR = 0.9, 0.1
"""Share of gradients that are clipped, and the factor below which that is too much."""
CLIP_IDLE = 100.0
"""A limit above this multiple of the largest measured norm never acts."""
RATIO_RULE, RATIO_HIGH, RATIO_LOW = 1e-3, 1.0, 1e-5
"""Size of an update relative to the weights: about right; far too high; far too low."""
LOSS_RISE, LOSS_RISE_SHARE = 0.1, 0.1
"""The largest harmless rise of the loss of the update's own window: in nats, and relative."""


def clipping(report: Report, exploding: bool) -> Iterator[Verdict]:
    """Yield verdicts on the limit of clipping by norm.

    If gradients are ``exploding``, a tight limit is right.
    """
    norms = _judgeable(report)
    if norms is None:
        return
    clip, option, source = norms.clip, setting("clip_norm"), f"{PASCANU}, section 3.2"
    if _tight(clip) and not exploding:
        median = norms.all.grad.median
        yield Verdict(
            "clip-tight",
            None,
            RULE,
            f"{option} {clip.limit:g} shortens {clip.share:.0%} of the gradients, to "
            f"{clip.factor:.1e} of their length: only their direction has an effect",
            f"{option} {_round(median)} or more: the median norm is {median:.3g}",
            source,
        )
    if clip.limit and clip.limit > CLIP_IDLE * clip.largest and norms.loss > LEARNED:
        yield Verdict(
            "clip-idle",
            None,
            RULE,
            f"{option} {clip.limit:g} never acts: the largest norm seen is {clip.largest:.2g}",
            f"{option} {_round(5 * clip.largest)} would guard against a sudden jump",
            source,
        )


def learning_rate(report: Report) -> Iterator[Verdict]:
    """Yield a verdict on a learning rate that makes updates far too large or too small."""
    norms = _judgeable(report)
    if norms is None:
        return
    ratio, change, option = norms.all.update_ratio.median, norms.loss_change, setting("lr")
    scale = min(
        norms.loss, log(max(2, report.subject.model.outputs))
    )  # a loss above ln V is no measure
    raised = change > max(LOSS_RISE, LOSS_RISE_SHARE * scale) or not isfinite(change)
    if ratio >= RATIO_HIGH or (ratio >= RATIO_RULE and raised):
        effect = f" and raises the loss of its own window by {change:.2g} nats" if raised else ""
        yield Verdict(
            "lr-high",
            None,
            MEASUREMENT if raised else RULE,
            f"at {option} {norms.lr:g} an update is {ratio:.1e} of the weights{effect}",
            f"a lower {option}{_bringing_near(norms.lr * RATIO_RULE / ratio)}",
            CS231N,
        )
    elif ratio < RATIO_LOW and not _tight(norms.clip) and norms.loss > LEARNED:
        factor = RATIO_RULE / ratio if ratio > 0 else 1e3
        yield Verdict(
            "lr-low",
            None,
            RULE,
            f"at {option} {norms.lr:g} an update is only {ratio:.1e} of the weights",
            f"a higher {option}: {_round(norms.lr * factor)}",
            CS231N,
        )


def _judgeable(report: Report) -> NormsReport | None:
    """Return the norms; None if the training settings cannot be judged."""
    norms = report.norms
    if norms is None or not report.subject.judged or not isfinite(norms.loss):
        return None
    if report.nothing_to_learn:
        return None
    return norms


def _tight(clip: Clipping) -> bool:
    return clip.share >= CLIP_SHARE and clip.factor < CLIP_FACTOR


def _bringing_near(lr: float) -> str:
    """Return the learning rate by the rule for the end of a sentence; empty if there is none."""
    return f": {_round(lr)} would bring updates near 1/1000 of the weights" if lr > 0 else ""


def _round(value: float) -> str:
    """Return a number with one significant digit."""
    return f"{float(f'{value:.1g}'):g}"
