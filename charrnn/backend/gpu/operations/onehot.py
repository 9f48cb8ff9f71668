"""Products with one-hot vectors."""

from __future__ import annotations

from charrnn.backend.array import Array
from charrnn.backend.gpu.kernels import THREADS, CudaSource, Gpu, Strided, blocks, launches

CUDA = CudaSource("onehot.cu")

_MAX_ROWS = 65535  # of a grid
_ORDERED = 64  # threads of a block that puts ids in order


@launches("model.onehot.columns", CUDA)
def columns(gpu: Gpu, table: Array, ids: Array, out: Array) -> None:
    """One thread copies elements of one step; ``out`` may have gaps between its steps."""
    T, F, N = out.shape
    if not out[0].flags.c_contiguous:
        raise ValueError("each step of the output must be contiguous")
    grid = (blocks(F * N), min(T, _MAX_ROWS))
    step = out.strides[0] // out.dtype.itemsize
    symbols = (ids, ids.dtype.itemsize)
    arguments = (table, table.shape[1], *symbols, Strided(out), step, T, F, N)
    gpu.launch(out.dtype, "columns", grid, THREADS, *arguments)


@launches("model.onehot.column_sums", CUDA)
def column_sums(gpu: Gpu, rows: Array, ids: Array, out: Array) -> None:
    """Sort the positions by symbol, then add up each symbol's elements of each row."""
    F, V = out.shape
    xp, dtype, M = gpu.xp, rows.dtype, ids.size
    flat = ids.reshape(-1)
    order, starts = xp.empty(M, xp.int64), xp.empty(V + 1, xp.int64)
    symbols = (flat, flat.dtype.itemsize)
    gpu.launch(dtype, "ordered", blocks(M, _ORDERED), _ORDERED, *symbols, M, order)
    gpu.launch(dtype, "bounds", blocks(V + 1), THREADS, *symbols, order, M, starts, V)
    gpu.launch(dtype, "column_sums", F, THREADS, rows, order, starts, M, out, V)
