"""The cross-entropy of many columns of logits."""

from __future__ import annotations

from charrnn.backend.array import Array
from charrnn.backend.gpu.kernels import CudaSource, Gpu, launches

CUDA = CudaSource("head.cu")

_COLUMNS, _ROWS = 32, 8  # threads of a block


@launches("model.head.cross_entropy", CUDA)
def cross_entropy(gpu: Gpu, products: Array, bias: Array, targets: Array, count: int) -> Array:
    """Eight threads share a column; the blocks' sums are added by one more launch."""
    V, M = products.shape
    dtype, grid = products.dtype, -(-M // _COLUMNS)
    partial = gpu.xp.empty(grid, gpu.xp.float64)
    out = gpu.xp.empty((), dtype)
    width, share = targets.dtype.itemsize, 1.0 / count
    arguments = (products, bias, targets, width, V, M, share, partial)
    gpu.launch(dtype, "cross_entropy", grid, (_COLUMNS, _ROWS), *arguments)
    gpu.launch(dtype, "total", 1, _COLUMNS * _ROWS, partial, grid, out)
    return out
