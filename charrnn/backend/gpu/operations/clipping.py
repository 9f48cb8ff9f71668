"""The norm of the gradient and the factor that limits it, without waiting for the GPU."""

from __future__ import annotations

from charrnn.backend.array import Array
from charrnn.backend.gpu.kernels import THREADS, CudaSource, Gpu, blocks, launches

CUDA = CudaSource("clipping.cu")


@launches("model.parameters.norm", CUDA)
def norm(gpu: Gpu, flat: Array) -> Array:
    """Sum the squares block by block in float64, then the blocks' sums."""
    grid = blocks(flat.size, 4 * THREADS)
    partial = gpu.xp.empty(grid, gpu.xp.float64)
    out = gpu.xp.empty((), flat.dtype)
    gpu.launch(flat.dtype, "squares", grid, THREADS, flat, flat.size, partial)
    gpu.launch(flat.dtype, "root", 1, THREADS, partial, grid, out)
    return out


@launches("train.clipping.scale_for_norm", CUDA)
def scale_for_norm(gpu: Gpu, size: Array, limit: float) -> Array:
    """One thread computes the one number."""
    out = gpu.xp.empty((), size.dtype)
    gpu.launch(size.dtype, "clip", 1, 1, size, limit, out)
    return out
