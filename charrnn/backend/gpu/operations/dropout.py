"""Dropout masks."""

from __future__ import annotations

from charrnn.backend.array import Array
from charrnn.backend.gpu.kernels import THREADS, CudaSource, Gpu, blocks, launches
from charrnn.backend.philox import Key

CUDA = CudaSource("dropout.cu")


@launches("model.dropout.draw", CUDA)
def draw(gpu: Gpu, out: Array, key: Key, threshold: int, scale: float) -> None:
    """One thread draws a block of bits, for eight elements."""
    grid = blocks(out.size, 8 * THREADS)
    arguments = (out, out.size, *key.words, threshold, scale)
    gpu.launch(out.dtype, "dropout", grid, THREADS, *arguments)
