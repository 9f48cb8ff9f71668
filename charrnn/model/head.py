"""The language-model head: logits, softmax and cross-entropy, in nats.

    logits = W h + b,   p = softmax(logits),   loss = mean over steps and streams of -ln p[target]

so ∂loss/∂logits = (p - one-hot(target)) / (T·N). The maximum is subtracted before the exponential,
which changes nothing in p and cannot overflow.

The logits of a window, (T, V, N), can be far larger than everything else when the alphabet is
large, so they are computed some steps at a time.
"""

from __future__ import annotations

from typing import Any

from charrnn.backend import Array, Backend
from charrnn.model.layer import flatten
from charrnn.model.parameters import Parameters

SLAB_ELEMENTS = 1 << 21
"""Logits that may exist at once."""


class LanguageModelHead:
    """Predicts the next symbol from the top layer's output: V symbols from H units."""

    kind = "language-model"

    def __init__(self, hidden: int, vocabulary: int, backend: Backend, prefix: str) -> None:
        self.H = hidden
        self.V = vocabulary
        self.backend = backend
        self._weight = prefix + "weight"
        self._bias = prefix + "bias"

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return names and shapes of the parameters."""
        return {self._weight: (self.V, self.H), self._bias: (self.V,)}

    def logits(self, weights: Parameters, top: Array) -> Array:
        """Return (T, V, N) logits for the outputs ``top`` (T, H, N)."""
        xp = self.backend.xp
        logits = xp.matmul(weights[self._weight], top)
        xp.add(logits, weights[self._bias][:, None], out=logits)
        return logits

    def log_probabilities(self, weights: Parameters, top: Array) -> Array:
        """Return ln p, (T, V, N), in nats."""
        xp = self.backend.xp
        logits = self.logits(weights, top)
        return logits - _logsumexp(xp, logits)[0]

    def surprisal(self, weights: Parameters, top: Array, targets: Array) -> Array:
        """Return -ln p[target], (T, N), in nats."""
        xp = self.backend.xp
        parts = []
        for start, stop in self._slabs(*targets.shape):
            logits = self.logits(weights, top[start:stop])
            hit = _pick(xp, logits, targets[start:stop])
            parts.append(_logsumexp(xp, logits)[0][:, 0] - hit)
        return parts[0] if len(parts) == 1 else xp.concatenate(parts)

    def loss(
        self, weights: Parameters, top: Array, targets: Array, grads: Parameters, d_top: Array
    ) -> Array:
        """Return the mean cross-entropy in nats, a 0-d array, and its gradients.

        ``grads`` receives those of the head's parameters and ``d_top`` (T, H, N) ∂L/∂top.
        """
        xp = self.backend.xp
        T, N = targets.shape
        weight = weights[self._weight]
        total: Any = 0.0
        for start, stop in self._slabs(T, N):
            slab = top[start:stop]
            logits = self.logits(weights, slab)
            goals = targets[start:stop]
            hit = _pick(xp, logits, goals)
            norm, exp, sums = _logsumexp(xp, logits)
            total = total + (norm[:, 0] - hit).sum()
            d_logits = xp.divide(exp, sums * (T * N), out=exp)
            _subtract_at(xp, d_logits, goals, 1.0 / (T * N))
            xp.matmul(weight.T, d_logits, out=d_top[start:stop])
            flat = flatten(xp, d_logits)
            if start == 0:
                xp.matmul(flat, flatten(xp, slab).T, out=grads[self._weight])
                grads[self._bias][...] = flat.sum(axis=1)
            else:
                grads[self._weight][...] += flat @ flatten(xp, slab).T
                grads[self._bias][...] += flat.sum(axis=1)
        return total / (T * N)

    def _slabs(self, T: int, N: int) -> list[tuple[int, int]]:
        size = max(1, SLAB_ELEMENTS // (self.V * N))
        return [(start, min(T, start + size)) for start in range(0, T, size)]


def _logsumexp(xp: Any, logits: Array) -> tuple[Array, Array, Array]:
    """Return ln Σ exp over axis 1 (T, 1, N), exp(logits - max) and its sum; logits are kept."""
    top = logits.max(axis=1, keepdims=True)
    exp = xp.subtract(logits, top)
    xp.exp(exp, out=exp)
    sums = exp.sum(axis=1, keepdims=True)
    return xp.log(sums) + top, exp, sums


def _at(xp: Any, shape: tuple[int, int, int], ids: Array) -> Array:
    """Return the positions of (t, ids[t, n], n) in a flattened (T, V, N) array."""
    T, V, N = shape
    steps = xp.arange(T, dtype=xp.int64)[:, None] * (V * N)
    return steps + ids.astype(xp.int64) * N + xp.arange(N, dtype=xp.int64)


def _pick(xp: Any, array: Array, ids: Array) -> Array:
    """Return array[t, ids[t, n], n], (T, N)."""
    return array.reshape(-1)[_at(xp, array.shape, ids)]


def _subtract_at(xp: Any, array: Array, ids: Array, amount: float) -> None:
    """Subtract ``amount`` at (t, ids[t, n], n), in place."""
    array.reshape(-1)[_at(xp, array.shape, ids)] -= amount
