"""Inverted dropout (Srivastava et al. 2014) between layers and before the output.

Only the connections upwards are dropped, never the recurrent ones (Zaremba et al. 2014, arXiv
1409.2329). A mask is a pure function of seed, step and layer, so a resumed run draws the same, and
it is drawn where it is used: the bits are the same on every device, and no mask travels.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from charrnn import randomness
from charrnn.backend import Array, Backend
from charrnn.backend.gpu import philox
from charrnn.backend.gpu.kernels import THREADS, Gpu, Source, blocks, fused
from charrnn.backend.gpu.philox import Key
from charrnn.randomness import Purpose

CUDA = Source(
    philox.CUDA
    + r"""
// A thread makes the mask of 8 elements from one block of bits.
extern "C" __global__ void dropout(
    real* mask, long long size, u64 layer, u64 step, u64 seed, u64 purpose,
    u32 threshold, real scale
) {
    for (long long block = first(); 8 * block < size; block += stride()) {
        u64 bits[4];
        philox(block, layer, step, seed, purpose, bits);
        for (int j = 0; j < 8; ++j) {
            long long i = 8 * block + j;
            if (i >= size) break;
            u32 word = (u32)(bits[j / 2] >> (32 * (j % 2)));
            mask[i] = word >= threshold ? scale : (real)0;
        }
    }
}
"""
)


def _mask_on_gpu(
    gpu: Gpu,
    shape: tuple[int, ...],
    dtype: Any,
    key: Key,
    threshold: int,
    scale: float,
    out: Array | None = None,
) -> Array:
    mask = gpu.xp.empty(shape, dtype) if out is None else out
    grid = blocks(mask.size, 8 * THREADS)
    arguments = (mask, mask.size, *key.words, threshold, scale)
    gpu.launch(mask.dtype, "dropout", grid, THREADS, *arguments)
    return mask


@fused(CUDA, _mask_on_gpu)
def draw(
    xp: Any,
    shape: tuple[int, ...],
    dtype: Any,
    key: Key,
    threshold: int,
    scale: float,
    out: Array | None = None,
) -> Array:
    """Return ``scale`` where an element's 32 random bits reach ``threshold``, else 0.

    Written to ``out``, contiguous, if it is given.
    """
    count = int(np.prod(shape))
    if xp.__name__ == "numpy":
        bits = randomness.words(key.seed, key.purpose, count, step=key.step, layer=key.layer)
        kept = bits >= np.uint32(threshold)
    else:
        kept = philox.words(xp, key, count) >= xp.uint64(threshold)
    scaled = kept.astype(dtype) * np.dtype(dtype).type(scale)
    if out is None:
        return scaled.reshape(shape)
    out[...] = scaled.reshape(shape)
    return out


def mask(
    backend: Backend,
    shape: tuple[int, ...],
    rate: float,
    dtype: Any,
    key: tuple[int, int, int],
    out: Array | None = None,
) -> Array:
    """Return 0 with probability ``rate``, else 1 / (1 - rate), of the given shape.

    ``key`` is (seed, step, layer). An element is dropped where its 32 random bits, read as an
    integer, are below rate · 2^32. Written to ``out``, contiguous, if it is given.
    """
    return draw(backend.xp, shape, np.dtype(dtype), *_drawn(rate, key), out)


def _drawn(rate: float, key: tuple[int, int, int]) -> tuple[Key, int, float]:
    seed, step, layer = key
    threshold = min(round(rate * 2**32), 2**32 - 1)
    return Key(seed, Purpose.DROPOUT, step, layer), threshold, 1.0 / (1.0 - rate)
