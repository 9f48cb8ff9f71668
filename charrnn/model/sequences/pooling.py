"""From the outputs of all steps to one vector for each sequence.

With y[t] the top output of a sequence of ℓ steps, forwards y⃗ and, in both directions, also y⃖:

last
    (y⃗[ℓ-1], y⃖[0]): what each direction has computed when it has read everything, PyTorch's h_n.
    y⃖[0] is read at the sequence's first step because outputs are in the order of time.
mean
    Σ y[t] / ℓ.
max
    The largest value of each feature over the steps (Collobert and Weston 2008). The gradient goes
    to the step that had it, the first of several.

An empty place of a batch gives zeros, and no gradient comes from it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from charrnn.backend import Array, Backend
from charrnn.model.sequences.padding import Padding


class Pool(ABC):
    """Makes one vector (F,) of the steps of each sequence.

    Parameters
    ----------
    hidden
        H. Features from H on, if there are any, are those of the layer that reads backwards.
    """

    name: ClassVar[str]

    def __init__(self, hidden: int, backend: Backend) -> None:
        self._H, self._backend, self._xp = hidden, backend, backend.xp

    @abstractmethod
    def forward(self, top: Array, padding: Padding) -> Array:
        """Return the vectors of the sequences, (F, N), for outputs (T, F, N)."""

    @abstractmethod
    def backward(self, top: Array, padding: Padding, d_pooled: Array, d_top: Array) -> None:
        """Write ∂L/∂top (T, F, N), given ∂L/∂(vectors) (F, N).

        ``top`` and ``padding`` are those of the forward pass.
        """

    def _present(self, padding: Padding, dtype: Any) -> Array:
        """Return (N,): 1 for each sequence, 0 for an empty place."""
        return self._backend.put(padding.lengths > 0, dtype)


class Last(Pool):
    """What each direction has computed at the end of its reading."""

    name = "last"

    def forward(self, top: Array, padding: Padding) -> Array:
        """Return the last output of each direction."""
        pooled = self._xp.ascontiguousarray(padding.last(top))
        pooled[self._H :] = top[0, self._H :]
        return self._xp.where(self._backend.put(padding.lengths > 0), pooled, 0)

    def backward(self, top: Array, padding: Padding, d_pooled: Array, d_top: Array) -> None:
        """Write the gradient of the steps that were chosen."""
        d_pooled = d_pooled * self._present(padding, top.dtype)
        d_top[...] = 0.0
        padding.add_to_last(d_top[:, : self._H], d_pooled[: self._H])
        d_top[0, self._H :] += d_pooled[self._H :]


class Mean(Pool):
    """The mean over the steps."""

    name = "mean"

    def forward(self, top: Array, padding: Padding) -> Array:
        """Return the mean output of each sequence."""
        # where, not a product: the padding may hold anything
        real = self._backend.put(padding.real)[:, None]
        return self._xp.where(real, top, 0).sum(axis=0) * self._shares(padding, top.dtype)

    def backward(self, top: Array, padding: Padding, d_pooled: Array, d_top: Array) -> None:
        """Write the gradient, which is the same at each step of a sequence."""
        each = d_pooled * self._shares(padding, top.dtype)
        d_top[...] = each * padding.mask(top.dtype)[:, None]

    def _shares(self, padding: Padding, dtype: Any) -> Array:
        """Return 1 / ℓ (N,), 0 for an empty place."""
        lengths = padding.lengths
        return self._backend.put((lengths > 0) / np.maximum(lengths, 1), dtype)


class Max(Pool):
    """The largest value of each feature."""

    name = "max"

    def forward(self, top: Array, padding: Padding) -> Array:
        """Return the largest output of each feature."""
        present = self._backend.put(padding.lengths > 0)
        return self._xp.where(present, self._masked(top, padding).max(axis=0), 0)

    def backward(self, top: Array, padding: Padding, d_pooled: Array, d_top: Array) -> None:
        """Write the gradient of the steps that had the largest values."""
        xp = self._xp
        where = self._masked(top, padding).argmax(axis=0)
        steps = xp.arange(len(top), dtype=xp.int64)[:, None, None]
        d_pooled = d_pooled * self._present(padding, top.dtype)
        d_top[...] = xp.where(steps == where, d_pooled, 0)

    def _masked(self, top: Array, padding: Padding) -> Array:
        """Return the outputs, with -∞ in the padding."""
        real = self._backend.put(padding.real)[:, None]
        return self._xp.where(real, top, -np.inf)


POOLS: dict[str, type[Pool]] = {pool.name: pool for pool in (Last, Mean, Max)}
