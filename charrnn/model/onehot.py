"""Products with one-hot vectors: a choice of columns one way, sums of columns the other."""

from __future__ import annotations

from typing import Any

from charrnn.backend import Array
from charrnn.backend.gpu.kernels import THREADS, Gpu, Source, Strided, blocks, fused

_MOST_ROWS = 65535  # of a grid
_ORDERED = 64  # threads of a block that puts ids in order

CUDA = Source(
    r"""
extern "C" __global__ void columns(
    const real* table, long long width, const void* ids, int bytes,
    real* out, long long step, int T, int F, int N
) {
    for (long long t = blockIdx.y; t < T; t += gridDim.y)
        for (long long i = first(); i < (long long)F * N; i += stride()) {
            int f = (int)(i / N), n = (int)(i % N);
            out[t * step + i] = table[f * width + symbol(ids, bytes, t * N + n)];
        }
}

// The ids in their order, equal ones as they stand: each thread counts those before its own. No
// sorting of a library, which the host would have to wait for.
extern "C" __global__ void ordered(const void* ids, int bytes, long long M, long long* order) {
    __shared__ int some[256];
    for (long long block = blockIdx.x; block * 64 < M; block += gridDim.x) {
        long long m = block * 64 + threadIdx.x, place = 0;
        int mine = m < M ? (int)symbol(ids, bytes, m) : 0;
        for (long long from = 0; from < M; from += 256) {
            int count = M - from < 256 ? (int)(M - from) : 256;
            int equals = m <= from ? 0 : m - from < count ? (int)(m - from) : count;
            __syncthreads();
            for (int j = threadIdx.x; j < count; j += 64)
                some[j] = (int)symbol(ids, bytes, from + j);
            __syncthreads();
            int before = 0;
            for (int j = 0; j < count; ++j) before += some[j] < mine + (j < equals);
            place += before;
        }
        if (m < M) order[place] = m;
    }
}

// Where each symbol begins in the sorted ids, and the last one ends.
extern "C" __global__ void bounds(
    const void* ids, int bytes, const long long* order, long long M, long long* starts, int V
) {
    for (long long v = first(); v <= V; v += stride()) {
        long long low = 0, high = M;
        while (low < high) {
            long long middle = (low + high) / 2;
            if (symbol(ids, bytes, order[middle]) < v) low = middle + 1;
            else high = middle;
        }
        starts[v] = low;
    }
}

// A block has a row of the result, each of its warps every eighth symbol of it.
extern "C" __global__ void column_sums(
    const real* rows, const long long* order, const long long* starts, long long M,
    real* out, int V
) {
    const real* row = rows + blockIdx.x * M;
    int lane = threadIdx.x % 32;
    for (int v = threadIdx.x / 32; v < V; v += blockDim.x / 32) {
        real sum = 0;
        for (long long i = starts[v] + lane; i < starts[v + 1]; i += 32) sum += row[order[i]];
        for (int half = 16; half > 0; half /= 2) sum += __shfl_xor_sync(0xFFFFFFFFu, sum, half);
        if (lane == 0) out[(long long)blockIdx.x * V + v] = sum;
    }
}
"""
)


def _columns_on_gpu(gpu: Gpu, table: Array, ids: Array, out: Array) -> None:
    T, F, N = out.shape
    if not out[0].flags.c_contiguous:
        raise ValueError("each step of the output must be contiguous")
    grid = (blocks(F * N), min(T, _MOST_ROWS))
    step = out.strides[0] // out.dtype.itemsize
    symbols = (ids, ids.dtype.itemsize)
    arguments = (table, table.shape[1], *symbols, Strided(out), step, T, F, N)
    gpu.launch(out.dtype, "columns", grid, THREADS, *arguments)


@fused(CUDA, _columns_on_gpu)
def columns(xp: Any, table: Array, ids: Array, out: Array) -> None:
    """Write ``table @ one-hot(ids)`` to ``out`` (T, F, N), for a table (F, D) and ids (T, N)."""
    # NumPy's default mode copies through a buffer; CuPy has but one mode.
    unbuffered: dict[str, Any] = {"mode": "clip"} if xp.__name__ == "numpy" else {}
    for t in range(out.shape[0]):
        xp.take(table, ids[t], axis=1, out=out[t], **unbuffered)


def _column_sums_on_gpu(gpu: Gpu, rows: Array, ids: Array, out: Array) -> None:
    F, V = out.shape
    xp, dtype, M = gpu.xp, rows.dtype, ids.size
    flat = ids.reshape(-1)
    order, starts = xp.empty(M, xp.int64), xp.empty(V + 1, xp.int64)
    symbols = (flat, flat.dtype.itemsize)
    gpu.launch(dtype, "ordered", blocks(M, _ORDERED), _ORDERED, *symbols, M, order)
    gpu.launch(dtype, "bounds", blocks(V + 1), THREADS, *symbols, order, M, starts, V)
    gpu.launch(dtype, "column_sums", F, THREADS, rows, order, starts, M, out, V)


@fused(CUDA, _column_sums_on_gpu)
def column_sums(xp: Any, rows: Array, ids: Array, out: Array) -> None:
    """Write ``rows`` (F, T·N) times the one-hot rows (T·N, V) of ``ids`` (T, N) to ``out`` (F, V).

    Where the alphabet is larger than the window, only the symbols that occur are multiplied.
    """
    flat, V = ids.reshape(-1), out.shape[1]
    if flat.size >= V:
        xp.matmul(rows, _one_hot(xp, flat, V, rows.dtype), out=out)
    else:
        symbols, flat = xp.unique(flat, return_inverse=True)
        out[...] = 0.0
        out[:, symbols] = rows @ _one_hot(xp, flat.reshape(-1), symbols.size, rows.dtype)


def _one_hot(xp: Any, ids: Array, V: int, dtype: Any) -> Array:
    """Return (M, V) with a single 1 in each row m, at ``ids[m]``."""
    hot = xp.zeros(ids.size * V, dtype)
    hot[xp.arange(ids.size, dtype=xp.int64) * V + ids] = 1.0
    return hot.reshape(ids.size, V)
