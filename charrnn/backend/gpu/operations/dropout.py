"""Dropout masks."""

from __future__ import annotations

from typing import Any

from charrnn.backend.array import Array
from charrnn.backend.gpu.kernels import THREADS, Gpu, Source, blocks, launches
from charrnn.backend.philox import Key

CUDA = Source("dropout.cu")


@launches("model.dropout.draw", CUDA)
def draw(
    gpu: Gpu,
    shape: tuple[int, ...],
    dtype: Any,
    key: Key,
    threshold: int,
    scale: float,
    out: Array | None = None,
) -> Array:
    """One thread draws a block of bits, for eight elements."""
    mask = gpu.xp.empty(shape, dtype) if out is None else out
    grid = blocks(mask.size, 8 * THREADS)
    arguments = (mask, mask.size, *key.words, threshold, scale)
    gpu.launch(mask.dtype, "dropout", grid, THREADS, *arguments)
    return mask
