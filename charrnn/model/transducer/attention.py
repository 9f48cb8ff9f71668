"""Attention: at each step of the target, a weighted mean of what the encoder says of the source.

For one pair, with m_s (M) the encoder's top output at step s of the source, its *memory*, and h_t
(H) the decoder's top output at step t of the target, which has read the symbols before y_t:

    e_ts = score(h_t, m_s)                    the scores: see below
    α_ts = exp(e_ts) / Σ_s' exp(e_ts')        attention; s runs over the steps of this source alone
    c_t  = Σ_s α_ts m_s                       the context, (M,)
    h̃_t  = tanh(W_c [c_t; h_t])               the attentional vector, (H,): y_t is predicted from it

This is the global attention of Luong, Pham and Manning 2015 (arXiv 1508.04025, equations 5 and 7),
without their input feeding: the decoder does not read h̃, so its recurrence comes first, and
attention is a few products over the whole window.

dot
    e_ts = h_tᵀ m_s, their "dot". If the memory is wider than h, as that of a bidirectional encoder
    (M = 2H), it is their "general", e_ts = h_tᵀ W_a m_s.
additive
    e_ts = vᵀ tanh(W_q h_t + W_k m_s + b), the alignment model of Bahdanau, Cho and Bengio 2015
    (arXiv 1409.0473, appendix A.1.2), with as many units as the decoder. They score the memory
    with the state before the step, s_{t-1}, and feed the context into the step; here the score
    takes the output of the step, and the context goes into h̃, as above.

Backward, with δ the gradient of tanh's argument in h̃:

    δ_t = (1 - h̃_t²) ⊙ ∂L/∂h̃_t,   ∂L/∂W_c = Σ δ_t [c_t; h_t]ᵀ,   [∂L/∂c_t; ∂L/∂h_t] = W_cᵀ δ_t
    ∂L/∂α_ts = m_sᵀ ∂L/∂c_t,   ∂L/∂m_s = Σ_t α_ts ∂L/∂c_t
    ∂L/∂e_ts = α_ts (∂L/∂α_ts - Σ_s' α_ts' ∂L/∂α_ts')

Arrays are batch-major, (N, T, H) and (N, S, M): a pair's rows lie together, for products of their
own with each other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np

from charrnn.backend import Array, Backend
from charrnn.model.transducer.products import Products

COMBINE = "combine.weight"


class Memory(NamedTuple):
    """What a decoder attends to.

    Attributes
    ----------
    values
        m, (N, S, M); 0 outside the sources.
    keys
        What the scores compare with, (N, S, H).
    real
        (N, S), bool: whether a step belongs to the source. Each source has at least one step.
    """

    values: Array
    keys: Array
    real: Array

    def of(self, xp: Any, pairs: Array) -> Memory:
        """Return the memories of the pairs with the given indices, one after the other."""
        return Memory(*(xp.take(array, pairs, axis=0) for array in self))


class Attended(NamedTuple):
    """The result of a forward pass, as the backward pass needs it.

    Attributes
    ----------
    vectors
        h̃, (N, T, H).
    attention
        α, (N, T, S); 0 outside the sources.
    joined
        [c; h], (N, T, M + H).
    """

    vectors: Array
    attention: Array
    joined: Array


class Attention(ABC):
    """Attention of H decoder units to a memory of M features.

    Parameters
    ----------
    hidden, memory
        H and M.
    backend
        Where to compute.
    products
        What multiplies many rows with one matrix.
    prefix
        Precedes the names of the parameters.
    """

    name: ClassVar[str]

    def __init__(
        self, hidden: int, memory: int, backend: Backend, products: Products, prefix: str
    ) -> None:
        self.H, self.M = hidden, memory
        self._backend, self._xp = backend, backend.xp
        self._products, self._prefix = products, prefix

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return names and shapes of the parameters."""
        own = self._own_shapes() | {COMBINE: (self.H, self.M + self.H)}
        return {self._prefix + name: shape for name, shape in own.items()}

    def draw(self, host: Mapping[str, np.ndarray], rng: np.random.Generator) -> None:
        """Fill the host parameters: U(-1/√fan_in, 1/√fan_in), as PyTorch's linear layers."""
        for name, shape in self.shapes().items():
            limit = (shape[-1] if len(shape) == 2 else self.H) ** -0.5
            host[name][...] = rng.uniform(-limit, limit, shape)

    def memory(self, weights: Mapping[str, Array], values: Array, real: Array) -> Memory:
        """Return what the decoder attends to: ``values`` (N, S, M), of which ``real`` (N, S)."""
        values = self._xp.where(real[:, :, None], values, values.dtype.type(0))
        return Memory(values, self._keys(weights, values), real)

    def forward(self, weights: Mapping[str, Array], memory: Memory, queries: Array) -> Attended:
        """Attend with the decoder's outputs ``queries`` (N, T, H)."""
        xp = self._xp
        scores = self._scores(weights, memory.keys, queries)
        attention = _softmax(xp, xp.where(memory.real[:, None, :], scores, -np.inf))
        joined = xp.concatenate([xp.matmul(attention, memory.values), queries], axis=2)
        products = self._products.times(joined, weights[self._prefix + COMBINE])
        return Attended(xp.tanh(products, out=products), attention, joined)

    def backward(
        self,
        weights: Mapping[str, Array],
        memory: Memory,
        attended: Attended,
        d_vectors: Array,
        grads: Mapping[str, Array],
    ) -> tuple[Array, Array]:
        """Return ∂L/∂h (N, T, H) and ∂L/∂m (N, S, M) for ``d_vectors`` = ∂L/∂h̃ (N, T, H).

        Writes the gradients of the parameters to ``grads``.
        """
        xp, combine = self._xp, self._prefix + COMBINE
        vectors, attention, joined = attended
        delta = d_vectors * (1.0 - vectors * vectors)
        self._products.outer(delta, joined, grads[combine])
        d_joined = self._products.back(delta, weights[combine])
        d_context = xp.ascontiguousarray(d_joined[:, :, : self.M])
        queries = xp.ascontiguousarray(joined[:, :, self.M :])
        d_attention = xp.matmul(d_context, memory.values.transpose(0, 2, 1))
        d_values = xp.matmul(attention.transpose(0, 2, 1), d_context)
        mean = (attention * d_attention).sum(axis=2, keepdims=True)
        d_scores = attention * (d_attention - mean)
        d_queries, d_keys = self._scores_backward(weights, memory.keys, queries, d_scores, grads)
        d_queries += d_joined[:, :, self.M :]
        d_values += self._keys_backward(weights, memory.values, d_keys, grads)
        return d_queries, d_values

    @abstractmethod
    def _own_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return names and shapes of the parameters of the score."""

    @abstractmethod
    def _keys(self, weights: Mapping[str, Array], values: Array) -> Array:
        """Return what depends on the memory (N, S, M) alone, (N, S, H)."""

    @abstractmethod
    def _keys_backward(
        self,
        weights: Mapping[str, Array],
        values: Array,
        d_keys: Array,
        grads: Mapping[str, Array],
    ) -> Array:
        """Return ∂L/∂m through the keys, (N, S, M)."""

    @abstractmethod
    def _scores(self, weights: Mapping[str, Array], keys: Array, queries: Array) -> Array:
        """Return e, (N, T, S), for keys (N, S, H) and queries (N, T, H)."""

    @abstractmethod
    def _scores_backward(
        self,
        weights: Mapping[str, Array],
        keys: Array,
        queries: Array,
        d_scores: Array,
        grads: Mapping[str, Array],
    ) -> tuple[Array, Array]:
        """Return ∂L/∂queries (N, T, H) and ∂L/∂keys (N, S, H), for ``d_scores`` (N, T, S)."""


def _softmax(xp: Any, scores: Array) -> Array:
    """Overwrite scores (N, T, S), -∞ for what is left out, with their softmax over S."""
    xp.subtract(scores, scores.max(axis=2, keepdims=True), out=scores)
    xp.exp(scores, out=scores)
    return xp.divide(scores, scores.sum(axis=2, keepdims=True), out=scores)
