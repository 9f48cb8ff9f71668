"""Gradient clipping: by value, then by the norm of the whole gradient (Pascanu et al. 2013)."""

from __future__ import annotations

from typing import Any

from charrnn.backend import Array
from charrnn.backend.gpu.kernels import THREADS, Gpu, Source, blocks, fused

CUDA = Source(
    r"""
extern "C" __global__ void squares(const real* x, long long size, double* partial) {
    __shared__ double room[256];
    double sum = 0;
    for (long long i = first(); i < size; i += stride()) sum += (double)x[i] * x[i];
    sum = block_sum(sum, room, threadIdx.x, 256);
    if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

extern "C" __global__ void root(const double* partial, int count, real* out) {
    __shared__ double room[256];
    double sum = 0;
    for (int i = threadIdx.x; i < count; i += 256) sum += partial[i];
    sum = block_sum(sum, room, threadIdx.x, 256);
    if (threadIdx.x == 0) *out = (real)sqrt(sum);
}

extern "C" __global__ void clip(const real* size, real limit, real* out) {
    if (first() == 0) *out = limit / (*size < limit ? limit : *size);
}
"""
)


def _norm_on_gpu(gpu: Gpu, flat: Array) -> Array:
    grid = blocks(flat.size, 4 * THREADS)
    partial = gpu.xp.empty(grid, gpu.xp.float64)
    out = gpu.xp.empty((), flat.dtype)
    gpu.launch(flat.dtype, "squares", grid, THREADS, flat, flat.size, partial)
    gpu.launch(flat.dtype, "root", 1, THREADS, partial, grid, out)
    return out


def _clip_on_gpu(gpu: Gpu, size: Array, limit: float) -> Array:
    out = gpu.xp.empty((), size.dtype)
    gpu.launch(size.dtype, "clip", 1, 1, size, limit, out)
    return out


@fused(CUDA, _norm_on_gpu)
def norm(xp: Any, flat: Array) -> Array:
    """Return the Euclidean norm of the flat gradient, a 0-d array."""
    return xp.sqrt(xp.dot(flat, flat))


def by_value(xp: Any, flat: Array, limit: float) -> None:
    """Move every element into [-limit, limit], in place."""
    xp.clip(flat, -limit, limit, out=flat)


@fused(CUDA, _clip_on_gpu)
def scale_for_norm(xp: Any, size: Array, limit: float) -> Array:
    """Return limit / max(size, limit), 0-d: the factor that brings the norm down to ``limit``.

    Computed where the norm is, so that a GPU is not waited for. A norm of zero gives 1.
    """
    return limit / xp.maximum(size, limit)
