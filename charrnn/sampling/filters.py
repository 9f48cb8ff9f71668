"""From logits to a symbol, on the host in float64: temperature, filters, inverse-CDF choice.

The filters take and return weights (N, V): non-negative numbers in proportion to probabilities.
They set to 0 what they drop and leave the rest as it is; what is kept is never empty. Each sees
what the previous one has left, as a new distribution.
"""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import CharRNNError, setting
from charrnn.sampling.options import SampleOptions

Weights = NDArray[np.float64]

MIN_TEMPERATURE = 1e-100
"""A lower temperature gives the same choice; dividing by it could overflow."""


def weights(
    logits: NDArray[Any],
    options: SampleOptions,
    unknown: int | None = None,
    temperature: float | None = None,
) -> Weights:
    """Return what to draw from, (N, V), for logits (N, V): temperature, top-k, top-p, min-p.

    ``unknown`` is a symbol that must not be drawn; ``temperature`` replaces that of the options.

    Raises
    ------
    CharRNNError
        If the logits hold NaN or +∞.
    """
    tempered = temper(logits, options.temperature if temperature is None else temperature, unknown)
    if options.top_k:
        tempered = top_k(tempered, options.top_k)
    if options.top_p < 1:
        tempered = top_p(tempered, options.top_p)
    if options.min_p:
        tempered = min_p(tempered, options.min_p)
    return tempered


def not_finite() -> CharRNNError:
    """Return the error for a model whose output is not finite."""
    return CharRNNError(
        "the model's output is not a finite number",
        "its training has diverged; "
        f"train again with a lower {setting('lr')} or {setting('clip_norm')}",
    )


def temper(logits: NDArray[Any], temperature: float, unknown: int | None = None) -> Weights:
    """Return exp((logits - max) / temperature); for temperature 0, 1 at the first maximum only."""
    scores = logits.astype(np.float64, order="C")
    if unknown is not None:
        scores[:, unknown] = -np.inf
    one = len(scores) == 1  # then plain indexing is faster than a reduction
    top: Any = scores[0][scores[0].argmax()] if one else scores.max(axis=1, keepdims=True)
    if not isfinite(top if one else top.sum()):
        raise not_finite()
    if temperature == 0:
        rows = np.arange(len(scores))
        best = scores.argmax(axis=1)
        scores.fill(0.0)
        scores[rows, best] = 1.0
        return scores
    scores -= top
    if temperature != 1:
        scores /= max(temperature, MIN_TEMPERATURE)
    return np.exp(scores, out=scores)


def top_k(p: Weights, k: int) -> Weights:
    """Keep the k largest of each row; of equal ones the first."""
    V = p.shape[1]
    if k >= V:
        return p
    least = np.partition(p, V - k, axis=1)[:, V - k, None]
    above, equal = p > least, p == least
    missing = k - above.sum(axis=1, keepdims=True)
    return np.where(above | (equal & (equal.cumsum(axis=1) <= missing)), p, 0.0)


def top_p(p: Weights, share: float) -> Weights:
    """Keep the fewest of each row's largest that make up at least ``share`` of its sum."""
    order = np.argsort(-p, axis=1, kind="stable")
    summed = np.take_along_axis(p, order, axis=1).cumsum(axis=1)
    before = np.zeros_like(summed)
    before[:, 1:] = summed[:, :-1]
    keep = np.empty(p.shape, np.bool_)
    np.put_along_axis(keep, order, before < share * summed[:, -1:], axis=1)
    return np.where(keep, p, 0.0)


def min_p(p: Weights, share: float) -> Weights:
    """Drop what is less than ``share`` times its row's maximum."""
    return np.where(p < share * p.max(axis=1, keepdims=True), 0.0, p)


def choose(p: Weights, uniforms: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return for each row the first symbol whose cumulative weight exceeds u times the sum.

    u < 1 keeps u times the sum below the sum also after rounding, so that the symbol exists and
    its weight is not 0.
    """
    if len(p) == 1:
        row = np.add.accumulate(p[0])
        first: NDArray[np.intp] = row.searchsorted(row[-1] * uniforms, side="right")
        return first
    summed = p.cumsum(axis=1)
    below: NDArray[np.intp] = (summed <= summed[:, -1:] * uniforms[:, None]).sum(axis=1)
    return below


def log_probabilities(logits: NDArray[Any], ids: NDArray[Any]) -> NDArray[np.float64]:
    """Return ln p of the symbols ``ids`` (N,) under the model's own distribution, in nats."""
    scores = logits.astype(np.float64, order="C")
    scores -= scores.max(axis=1, keepdims=True)
    chosen: NDArray[np.float64] = scores[np.arange(len(scores)), ids]
    result: NDArray[np.float64] = chosen - np.log(np.exp(scores, out=scores).sum(axis=1))
    return result


def log_softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Return ln p under the model's own distribution, (N, V).

    Raises
    ------
    CharRNNError
        If a logit is not finite.
    """
    scores = logits.astype(np.float64, order="C")
    if not np.isfinite(scores.max(axis=1)).all():
        raise not_finite()
    normalise(scores)
    return scores


def normalise(scores: NDArray[np.float64]) -> None:
    """Turn scores (N, V) into log-probabilities, in place; they may hold -∞."""
    scores -= scores.max(axis=1, keepdims=True)
    scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
