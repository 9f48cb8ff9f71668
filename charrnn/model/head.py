"""The language-model head: logits, softmax and cross-entropy, in nats.

    logits = W h + b,   p = softmax(logits),   loss = mean over steps and streams of -ln p[target]

so ∂loss/∂logits = (p - one-hot(target)) / (T·N). The maximum is subtracted before the exponential,
which leaves p unchanged and avoids overflow.

The logits of a window, (T, V, N), can be far larger than everything else when the alphabet is
large, so they are computed some steps at a time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import numpy as np

from charrnn.backend import Array, Backend
from charrnn.backend.operations import operation
from charrnn.model import initialise
from charrnn.model.layer import flatten
from charrnn.model.parameters import Parameters

SLAB_ELEMENTS = 1 << 21
"""Largest number of logits that exist at once."""


class Beside(NamedTuple):
    """Other logits, with which those of a head are mixed: kept · logits + added.

    Attributes
    ----------
    added
        (T, N, V), on the backend.
    """

    kept: float
    added: Array

    def mixed(self, logits: Array, part: slice) -> Array:
        """Return the mixture for logits (T, V, N) of some steps."""
        added = self.added[part].transpose(0, 2, 1)
        return logits * logits.dtype.type(self.kept) + added


@operation
def cross_entropy(xp: Any, products: Array, bias: Array, targets: Array, count: int) -> Array:
    """Return Σ -ln softmax(products + bias)[target], 0-d, in nats, and leave its gradient / count.

    ``products`` (V, M) are the logits before the bias (V,), one column for each of the symbols
    ``targets`` (M,); ∂/∂logits of the sum, divided by ``count``, overwrites them.
    """
    at = _positions(xp, targets)
    logits = xp.add(products, bias[:, None], out=products)
    xp.subtract(logits, logits.max(axis=0), out=logits)
    hit = logits.reshape(-1)[at]
    exp = xp.exp(logits, out=logits)
    sums = exp.sum(axis=0)
    total = (xp.log(sums) - hit).sum()
    d_logits = xp.divide(exp, sums * count, out=exp)
    d_logits.reshape(-1)[at] -= 1.0 / count
    return total


class Head(ABC):
    """Computes a loss from the output of the top layer, and the gradient of the loss there."""

    kind: ClassVar[str]
    """The name under which a checkpoint records the head of its weights."""

    @abstractmethod
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return names and shapes of the parameters."""

    @abstractmethod
    def draw(self, host: Parameters, rng: np.random.Generator) -> None:
        """Fill the head's host parameters with initial weights."""

    @abstractmethod
    def loss(
        self,
        weights: Parameters,
        top: Array,
        targets: Array,
        grads: Parameters,
        d_top: Array,
        buffers: dict[str, Array],
        *,
        mask: Array | None = None,
        symbols: int | None = None,
    ) -> Array:
        """Return the mean loss, a 0-d array, and write its gradients; 0 where no target counts.

        Parameters
        ----------
        weights, grads
            Parameters of the whole model; those of :meth:`shapes` in ``grads`` are overwritten.
        top
            The output of the top layer, (T, H, N).
        targets
            The targets of the prediction.
        d_top
            Receives ∂L/∂top, (T, H, N).
        buffers
            The window's buffers, for sequences laid out anew.
        mask
            1 for each target that counts and 0 for each that does not, of the shape of ``targets``;
            by default all count.
        symbols
            The denominator of the mean: the number of counted targets in the whole update, which
            may span several windows. By default those counted in this window.
        """


class LanguageModelHead(Head):
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

    def surprisal(
        self, weights: Parameters, top: Array, targets: Array, beside: Beside | None = None
    ) -> Array:
        """Return -ln p[target], (T, N), in nats; ``beside`` is what the logits are mixed with."""
        xp = self.backend.xp
        nats = xp.empty(targets.shape, top.dtype)
        for part in self.slabs(*targets.shape):
            logits = self.logits(weights, top[part])
            if beside is not None:
                logits = beside.mixed(logits, part)
            hit = _pick(xp, logits, targets[part])
            xp.subtract(_logsumexp(xp, logits)[:, 0], hit, out=nats[part])
        return nats

    def draw(self, host: Parameters, rng: np.random.Generator) -> None:
        """Fill the head's host parameters with initial weights."""
        initialise.decoder(host[self._weight], host[self._bias], rng)

    def loss(
        self,
        weights: Parameters,
        top: Array,
        targets: Array,
        grads: Parameters,
        d_top: Array,
        buffers: dict[str, Array],
        *,
        mask: Array | None = None,
        symbols: int | None = None,
        added: Array | None = None,
    ) -> Array:
        """Return the mean cross-entropy in nats, a 0-d array, and write its gradients.

        ``targets`` are symbols (T, N). All steps and streams are laid out side by side,
        (V, T·N), so that each is one product. ``added`` (T, V, N) are further logits, which the
        gradient of the loss there overwrites.
        """
        xp = self.backend.xp
        T, N = targets.shape
        count = symbols or T * N
        if mask is not None and not symbols:
            count = max(1, int(self.backend.get(mask.sum())))
        weight, bias = weights[self._weight], weights[self._bias]
        d_weight, d_bias = grads[self._weight], grads[self._bias]
        total: Any = None
        for slab in self.slabs(T, N):
            start, stop = slab.start, slab.stop
            outputs = flatten(xp, top[slab], buffers, "operand")
            d_logits = xp.matmul(weight, outputs)
            if added is not None:
                part = added[start:stop].transpose(1, 0, 2)
                d_logits += part.reshape(d_logits.shape)
            ids = targets[start:stop].reshape(-1)
            counted = None if mask is None else xp.flatnonzero(mask[start:stop])
            nats, d_logits = _cross_entropy_of(xp, d_logits, bias, ids, count, counted)
            total = nats if total is None else total + nats
            if added is not None:
                part[...] = d_logits.reshape(part.shape)
            d_outputs = xp.matmul(weight.T, d_logits)
            d_top[start:stop] = d_outputs.reshape(self.H, stop - start, N).transpose(1, 0, 2)
            if start == 0:
                xp.matmul(d_logits, outputs.T, out=d_weight)
                xp.sum(d_logits, axis=1, out=d_bias)
            else:
                d_weight[...] += xp.matmul(d_logits, outputs.T)
                d_bias[...] += d_logits.sum(axis=1)
        return total / count

    def elements_of_loss(self, T: int, N: int) -> int:
        """Return the elements of the arrays that :meth:`loss` makes and that exist at once."""
        steps = self.steps_at_once(T, N)
        logits = steps * N * (self.V + self.H)
        if steps == T:
            return logits
        return 2 * logits + self.V * self.H  # a slab stays alive while the next is allocated

    def elements_of_surprisal(self, T: int, N: int) -> int:
        """Return the elements of the arrays that :meth:`surprisal` makes and that exist at once."""
        steps = self.steps_at_once(T, N)
        return (2 if steps == T else 4) * steps * N * self.V

    def steps_at_once(self, T: int, N: int) -> int:
        """Return the number of steps of a window whose logits exist at once."""
        return min(T, max(1, SLAB_ELEMENTS // (self.V * N)))

    def slabs(self, T: int, N: int) -> list[slice]:
        """Return the steps of a window whose logits exist at once."""
        size = self.steps_at_once(T, N)
        return [slice(start, min(T, start + size)) for start in range(0, T, size)]


def _cross_entropy_of(
    xp: Any, products: Array, bias: Array, targets: Array, count: int, counted: Array | None
) -> tuple[Array, Array]:
    """Return the :func:`cross_entropy` of the columns ``counted``, and the gradient of all columns.

    All columns count if it is None.
    """
    if counted is None:
        return cross_entropy(xp, products, bias, targets, count), products
    if not counted.size:
        products[...] = 0.0
        return xp.zeros((), products.dtype), products
    selected = xp.ascontiguousarray(products[:, counted])
    total = cross_entropy(xp, selected, bias, targets[counted], count)
    products[...] = 0.0
    products[:, counted] = selected
    return total, products


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
