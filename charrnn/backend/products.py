"""Products and transposes of matrices, whose fastest form depends on the device."""

from __future__ import annotations

from typing import Any

from charrnn.backend.array import Array
from charrnn.backend.operations import operation

STRIP, MAX_STRIPS = 32, 1024


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

    It is copied in strips of rows that fit the caches. NumPy's plain copy misses the cache at each
    element once a column spans many pages, and takes two to six times as long.
    """
    rows = matrix.shape[0]
    strip = max(STRIP, -(-rows // MAX_STRIPS))
    for start in range(0, rows, strip):
        out[:, start : start + strip] = matrix[start : start + strip].T
