"""Inverted dropout (Srivastava et al. 2014) between layers and before the output.

Only the connections upwards are dropped, never the recurrent ones (Zaremba et al. 2014, arXiv
1409.2329). A mask is a pure function of seed, step and layer, so a resumed run draws the same, and
it is drawn where it is used: the bits are the same on every device, and no mask travels.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from charrnn import randomness
from charrnn.backend import Array, Backend, philox
from charrnn.backend.operations import operation
from charrnn.backend.philox import Key
from charrnn.randomness import Purpose


@operation
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
