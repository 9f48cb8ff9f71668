"""Inverted dropout (Srivastava et al. 2014) between layers and before the output.

Only the connections upwards are dropped, never the recurrent ones (Zaremba et al. 2014, arXiv
1409.2329). A mask is a pure function of seed, step and layer, so a resumed run draws the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from charrnn.backend import Array, Backend
from charrnn.randomness import Purpose, words


def mask(
    backend: Backend, shape: tuple[int, ...], rate: float, dtype: Any, key: tuple[int, int, int]
) -> Array:
    """Return 0 with probability ``rate``, else 1 / (1 - rate), of the given shape.

    ``key`` is (seed, step, layer). An element is dropped where its 32 random bits, read as an
    integer, are below rate · 2^32.
    """
    seed, step, layer = key
    bits = words(seed, Purpose.DROPOUT, int(np.prod(shape)), step=step, layer=layer)
    kept = bits >= np.uint32(min(round(rate * 2**32), 2**32 - 1))
    scaled = kept.astype(dtype) * np.dtype(dtype).type(1.0 / (1.0 - rate))
    return backend.put(scaled.reshape(shape))
