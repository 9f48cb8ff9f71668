"""Texts and sizes that both sides share. Imports no peer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SYMBOLS = "".join(map(chr, range(32, 97)))
"""65 characters, as many as tiny-shakespeare has."""


@dataclass(frozen=True)
class Size:
    """A model and its windows: L layers of H units, T steps, N streams, V symbols.

    ``embed`` is the width of a learned embedding, 0 for one-hot vectors.
    """

    cell: str = "lstm"
    layers: int = 2
    hidden: int = 128
    window: int = 50
    batch: int = 50
    embed: int = 0
    vocabulary: int = len(SYMBOLS)


def random_ids(size: Size, windows: int = 64, seed: int = 3) -> NDArray[np.uint8]:
    """Return a text of random symbols (1-D, uint8) that fills ``windows`` windows."""
    rng = np.random.default_rng(seed)
    count = size.batch * size.window * windows + 1
    return rng.integers(0, size.vocabulary, count, dtype=np.uint8)
