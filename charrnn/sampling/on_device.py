"""From logits to symbols where the logits are: :mod:`charrnn.sampling.filters` for a device.

In float64, as on the host, and with the same uniform numbers, so the same symbols are drawn except
where rounding decides. The host does not wait: non-finite weights give the symbol -1.
"""

from __future__ import annotations

from typing import Any

from charrnn.backend import Array
from charrnn.backend.operations import operation


@operation
def temper(xp: Any, logits: Array, temperature: float, unknown: int | None, least: float) -> Array:
    """Return exp((logits - max) / temperature) as float64 (N, V) for logits (V, N).

    At temperature 0 it is 1 for the first maximum, else 0. The symbol ``unknown`` gets 0, and so
    does every weight below ``least`` (as min-p asks: the largest weight is 1). A row whose largest
    logit is not finite gives NaN.
    """
    scores = xp.ascontiguousarray(logits.T).astype(xp.float64)
    if unknown is not None:
        scores[:, unknown] = -xp.inf
    top = scores.max(axis=1, keepdims=True)
    scores = scores - top
    if temperature == 0:
        weights = xp.zeros_like(scores)
        rows = xp.arange(scores.shape[0], dtype=xp.int64)
        weights[rows, scores.argmax(axis=1)] = 1.0
        weights = xp.where(xp.isnan(scores), scores, weights)
    else:
        weights = xp.exp(scores / temperature)
    return xp.where(weights < least, 0.0, weights)


@operation
def choose(xp: Any, weights: Array, uniforms: Array) -> Array:
    """Return for each row the first symbol whose cumulative weight exceeds u times the sum.

    ``weights`` is (N, V), ``uniforms`` (N,), both float64; the symbols are int64 (N,), -1 where the
    weights are not finite.
    """
    summed = weights.cumsum(axis=1)
    total = summed[:, -1]
    below = (summed <= (total * uniforms)[:, None]).sum(axis=1)
    return xp.where(xp.isfinite(total), below, -1)


@operation
def log_probabilities(xp: Any, logits: Array, ids: Array) -> Array:
    """Return ln p of the symbols ``ids`` (N,), int64, for logits (V, N): float64 (N,), in nats."""
    scores = xp.ascontiguousarray(logits.T).astype(xp.float64)
    scores = scores - scores.max(axis=1, keepdims=True)
    chosen = scores[xp.arange(ids.size, dtype=xp.int64), ids]
    return chosen - xp.log(xp.exp(scores).sum(axis=1))
