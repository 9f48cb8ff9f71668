"""Products and transposes of matrices, where the best way differs from device to device."""

from __future__ import annotations

from typing import Any

from charrnn.backend.array import Array
from charrnn.backend.operations import operation

STRIP = 32


@operation
def add_product(xp: Any, a: Array, b: Array, out: Array, scratch: Array) -> None:
    """Add ``a @ b`` to ``out``.

    ``a`` is (M, K), ``b`` (K, N), ``out`` (M, N), all of one dtype; ``scratch``, an array like
    ``out``, may be overwritten.
    """
    xp.matmul(a, b, out=scratch)
    xp.add(scratch, out, out=out)


@operation
def transpose(xp: Any, matrix: Array, out: Array) -> None:
    """Write the transpose of ``matrix`` (M, N) to ``out`` (N, M), which is contiguous.

    Copied in strips of rows that the caches hold: NumPy's plain copy misses the cache at each
    element once a column spans many pages, and takes two to six times as long.
    """
    for start in range(0, matrix.shape[0], STRIP):
        out[:, start : start + STRIP] = matrix[start : start + STRIP].T
