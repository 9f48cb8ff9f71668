"""The scores of attention: dot and additive. Their equations are in :mod:`~.attention`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from charrnn.backend import Array
from charrnn.model.transducer.attention import Attention

KEY, QUERY = "key.weight", "query.weight"
BIAS, VECTOR = "query.bias", "score.weight"

CACHED, ON_DEVICE = 1 << 17, 1 << 26
"""Elements of tanh(q_t + k_s) that additive attention holds at once: as many as stay in the caches
of a CPU, or what a GPU computes well in one go. A step of one pair is never divided."""


class Dot(Attention):
    """e_ts = h_tᵀ k_s, with k_s = m_s, or W_a m_s if the memory is wider than h.

    Backward: ∂L/∂h_t = Σ_s ∂L/∂e_ts k_s, ∂L/∂k_s = Σ_t ∂L/∂e_ts h_t.
    """

    name = "dot"

    def _own_shapes(self) -> dict[str, tuple[int, ...]]:
        return {} if self.M == self.H else {KEY: (self.H, self.M)}

    def _keys(self, weights: Mapping[str, Array], values: Array) -> Array:
        if self.M == self.H:
            return values
        return self._products.times(values, weights[self._prefix + KEY])

    def _keys_backward(
        self,
        weights: Mapping[str, Array],
        values: Array,
        d_keys: Array,
        grads: Mapping[str, Array],
    ) -> Array:
        if self.M == self.H:
            return d_keys
        self._products.outer(d_keys, values, grads[self._prefix + KEY])
        return self._products.back(d_keys, weights[self._prefix + KEY])

    def _scores(self, weights: Mapping[str, Array], keys: Array, queries: Array) -> Array:
        return self._xp.matmul(queries, keys.transpose(0, 2, 1))

    def _scores_backward(
        self,
        weights: Mapping[str, Array],
        keys: Array,
        queries: Array,
        d_scores: Array,
        grads: Mapping[str, Array],
    ) -> tuple[Array, Array]:
        xp = self._xp
        return xp.matmul(d_scores, keys), xp.matmul(d_scores.transpose(0, 2, 1), queries)


class Additive(Attention):
    """e_ts = vᵀ u_ts, with u_ts = tanh(q_t + k_s), q_t = W_q h_t + b and k_s = W_k m_s.

    Backward: z_ts = ∂L/∂e_ts v ⊙ (1 - u_ts²), ∂L/∂v = Σ ∂L/∂e_ts u_ts, ∂L/∂q_t = Σ_s z_ts,
    ∂L/∂k_s = Σ_t z_ts. The u, (N, T, S, H) in all, are computed anew in the backward pass, a slab
    at a time.
    """

    name = "additive"

    def _own_shapes(self) -> dict[str, tuple[int, ...]]:
        H, M = self.H, self.M
        return {QUERY: (H, H), BIAS: (H,), KEY: (H, M), VECTOR: (1, H)}

    def _keys(self, weights: Mapping[str, Array], values: Array) -> Array:
        return self._products.times(values, weights[self._prefix + KEY])

    def _keys_backward(
        self,
        weights: Mapping[str, Array],
        values: Array,
        d_keys: Array,
        grads: Mapping[str, Array],
    ) -> Array:
        self._products.outer(d_keys, values, grads[self._prefix + KEY])
        return self._products.back(d_keys, weights[self._prefix + KEY])

    def _scores(self, weights: Mapping[str, Array], keys: Array, queries: Array) -> Array:
        xp, projected = self._xp, self._projected(weights, queries)
        v = weights[self._prefix + VECTOR][0]
        scores = xp.empty((*queries.shape[:2], keys.shape[1]), queries.dtype)
        for n, t in self._slabs(*scores.shape):
            scores[n, t] = xp.matmul(self._units(projected[n, t], keys[n]), v)
        return scores

    def _scores_backward(
        self,
        weights: Mapping[str, Array],
        keys: Array,
        queries: Array,
        d_scores: Array,
        grads: Mapping[str, Array],
    ) -> tuple[Array, Array]:
        xp, projected = self._xp, self._projected(weights, queries)
        v = weights[self._prefix + VECTOR][0]
        d_projected, d_keys = xp.empty_like(projected), xp.zeros_like(keys)
        d_v = grads[self._prefix + VECTOR][0]
        d_v[...] = 0.0
        for n, t in self._slabs(*d_scores.shape):
            units, d_part = self._units(projected[n, t], keys[n]), d_scores[n, t]
            d_v += xp.matmul(d_part.reshape(-1), units.reshape(-1, self.H))
            xp.multiply(units, units, out=units)
            z = xp.subtract(1.0, units, out=units)
            xp.multiply(z, d_part[..., None], out=z)
            d_projected[n, t] = z.sum(axis=2)
            d_keys[n] += z.sum(axis=1)
        d_projected *= v
        d_keys *= v
        self._products.outer(d_projected, queries, grads[self._prefix + QUERY])
        xp.sum(d_projected.reshape(-1, self.H), axis=0, out=grads[self._prefix + BIAS])
        return self._products.back(d_projected, weights[self._prefix + QUERY]), d_keys

    def _projected(self, weights: Mapping[str, Array], queries: Array) -> Array:
        """Return q, (N, T, H)."""
        projected = self._products.times(queries, weights[self._prefix + QUERY])
        projected += weights[self._prefix + BIAS]
        return projected

    def _units(self, projected: Array, keys: Array) -> Array:
        """Return u, (n, t, S, H), for q (n, t, H) and k (n, S, H)."""
        units = self._xp.add(projected[:, :, None, :], keys[:, None, :, :])
        return self._xp.tanh(units, out=units)

    def _slabs(self, N: int, T: int, S: int) -> Iterator[tuple[slice, slice]]:
        """Yield slices of the pairs and of the target's steps, which together cover all."""
        elements = CACHED if self._backend.synchronous else ON_DEVICE
        rows = max(1, elements // (S * self.H))
        steps = min(T, rows)
        pairs = max(1, rows // T)
        for n in range(0, N, pairs):
            for t in range(0, T, steps):
                yield slice(n, n + pairs), slice(t, t + steps)


ATTENTIONS: dict[str, type[Attention]] = {kind.name: kind for kind in (Additive, Dot)}
"""The kinds of attention by name; ``none`` is not one of them."""
