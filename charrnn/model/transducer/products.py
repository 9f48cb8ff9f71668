"""Products of many rows with one matrix, by the array module or by the compiled core.

Rows are the last axis of an array (…, K), contiguous; the other axes only count them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from charrnn.backend import Array, Backend
from charrnn.backend.native.core import Core


class Products:
    """Products by the array module."""

    def __init__(self, xp: Any) -> None:
        self._xp = xp

    def times(self, x: Array, weight: Array) -> Array:
        """Return W x for each row x: x (…, K) and ``weight`` (M, K) give (…, M)."""
        return self._xp.matmul(x, weight.T)

    def back(self, d: Array, weight: Array) -> Array:
        """Return Wᵀ d for each row d: d (…, M) and ``weight`` (M, K) give (…, K)."""
        return self._xp.matmul(d, weight)

    def outer(self, d: Array, x: Array, out: Array) -> None:
        """Write Σ d xᵀ over all rows, the gradient of :meth:`times` by W, to ``out`` (M, K)."""
        self._xp.matmul(_rows(d).T, _rows(x), out=out)


class CompiledProducts(Products):
    """The same in float32 by the compiled core: each sum in one order, whatever the processor."""

    def __init__(self, core: Core) -> None:
        super().__init__(np)
        self._core = core

    def times(self, x: Array, weight: Array) -> Array:
        """Return W x for each row x."""
        packed = self._core.pack(weight, 1, self._core.panels(*weight.shape))
        return self._product(x, packed, len(weight))

    def back(self, d: Array, weight: Array) -> Array:
        """Return Wᵀ d for each row d."""
        M, K = weight.shape
        packed = self._core.pack_transposed(weight, self._core.panels(K, M))
        return self._product(d, packed, K)

    def outer(self, d: Array, x: Array, out: Array) -> None:
        """Write Σ d xᵀ over all rows to ``out``."""
        self._core.outer(_rows(d), [(_rows(x), out)])

    def _product(self, x: Array, packed: Array, width: int) -> Array:
        out = np.empty((*x.shape[:-1], width), np.float32)
        self._core.product(_rows(x), packed, _rows(out))
        return out


def products(backend: Backend, compiled: bool) -> Products:
    """Return the products for a model whose layers are ``compiled``, or not."""
    if compiled:
        assert backend.core is not None
        return CompiledProducts(backend.core)
    return Products(backend.xp)


def _rows(array: Array) -> Array:
    """Return (…, K) as (rows, K)."""
    return array.reshape(-1, array.shape[-1])
