"""Products and transposes of matrices."""

from __future__ import annotations

from charrnn.backend.array import Array
from charrnn.backend.gpu.cublas import Module
from charrnn.backend.gpu.kernels import Gpu, launches


@launches("backend.products.add_product")
def add_product(gpu: Gpu, a: Array, b: Array, out: Array, scratch: Array) -> None:
    """CuBLAS adds to the result, unless only CuPy's own matmul is available."""
    if isinstance(gpu.xp, Module):
        gpu.xp.add_product(a, b, out)
        return
    out += gpu.xp.matmul(a, b, out=scratch)


@launches("backend.products.transpose")
def transpose(gpu: Gpu, matrix: Array, out: Array) -> None:
    """CuPy copies in one launch."""
    out[...] = matrix.T
