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
        return logits - _logsumexp(xp, logits)

    def surprisal(self, weights: Parameters, top: Array, targets: Array) -> Array:
        """Return -ln p[target], (T, N), in nats."""
        xp = self.backend.xp
        parts = []
        for start, stop in self._slabs(*targets.shape):
            logits = self.logits(weights, top[start:stop])
            hit = _pick(xp, logits, targets[start:stop])
            parts.append(_logsumexp(xp, logits)[:, 0] - hit)
        return parts[0] if len(parts) == 1 else xp.concatenate(parts)

    def loss(
        self,
        weights: Parameters,
        top: Array,
        targets: Array,
        grads: Parameters,
        d_top: Array,
        room: dict[str, Array],
    ) -> Array:
        """Return the mean cross-entropy in nats, a 0-d array, and its gradients.

        ``grads`` receives those of the head's parameters and ``d_top`` (T, H, N) ∂L/∂top. ``room``
        holds flattened sequences. All steps and streams stand side by side here, (V, T·N), so that
        each product is one.
        """
        xp = self.backend.xp
        T, N = targets.shape
        weight, bias = weights[self._weight], weights[self._bias][:, None]
        total: Any = 0.0
        for start, stop in self._slabs(T, N):
            outputs = flatten(xp, top[start:stop], room, "operand")
            at = _positions(xp, targets[start:stop].reshape(-1))
            logits = xp.matmul(weight, outputs)
            xp.add(logits, bias, out=logits)
            xp.subtract(logits, logits.max(axis=0), out=logits)
            hit = logits.reshape(-1)[at]
            exp = xp.exp(logits, out=logits)
            sums = exp.sum(axis=0)
            total = total + (xp.log(sums) - hit).sum()
            d_logits = xp.divide(exp, sums * (T * N), out=exp)
            d_logits.reshape(-1)[at] -= 1.0 / (T * N)
            d_outputs = xp.matmul(weight.T, d_logits)
            d_top[start:stop] = d_outputs.reshape(self.H, stop - start, N).transpose(1, 0, 2)
            if start == 0:
                xp.matmul(d_logits, outputs.T, out=grads[self._weight])
                xp.sum(d_logits, axis=1, out=grads[self._bias])
            else:
                grads[self._weight][...] += d_logits @ outputs.T
                grads[self._bias][...] += d_logits.sum(axis=1)
        return total / (T * N)

    def _slabs(self, T: int, N: int) -> list[tuple[int, int]]:
        size = max(1, SLAB_ELEMENTS // (self.V * N))
        return [(start, min(T, start + size)) for start in range(0, T, size)]


def _positions(xp: Any, ids: Array) -> Array:
    """Return the positions of (ids[m], m) in a flattened (V, M) array."""
    return ids.astype(xp.int64) * ids.size + xp.arange(ids.size, dtype=xp.int64)


def _logsumexp(xp: Any, logits: Array) -> Array:
    """Return ln Σ exp over axis 1 of (T, V, N), as (T, 1, N)."""
    top = logits.max(axis=1, keepdims=True)
    exp = xp.subtract(logits, top)
    xp.exp(exp, out=exp)
    return xp.log(exp.sum(axis=1, keepdims=True)) + top


def _pick(xp: Any, array: Array, ids: Array) -> Array:
    """Return array[t, ids[t, n], n], (T, N)."""
    T, V, N = array.shape
    steps = xp.arange(T, dtype=xp.int64)[:, None] * (V * N)
    at = steps + ids.astype(xp.int64) * N + xp.arange(N, dtype=xp.int64)
    return array.reshape(-1)[at]
