"""Random permutations as functions: a large one takes no memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from charrnn.randomness import Purpose, generator, words
from charrnn.text.units.pieces import Numbers

TABLE = 1 << 20
"""Up to this size a permutation is a table, drawn uniformly."""
_ROUNDS = 6
_MIX = np.uint64(0x9E3779B97F4A7C15)


class Permutation:
    """A permutation of 0 … ``size`` - 1, determined by ``seed``, ``purpose`` and ``step``.

    A large one is a Feistel network on the smallest square domain that holds the numbers; a number
    that leaves the range is mapped again until it is back in it (Black and Rogaway, "Ciphers with
    arbitrary finite domains", 2002).
    """

    def __init__(self, size: int, seed: int, purpose: Purpose, step: int = 0) -> None:
        self.size = size
        self._table: Numbers | None = None
        if size <= TABLE:
            self._table = generator(seed, purpose, step=step).permutation(size)
            return
        self._half = np.uint64(((size - 1).bit_length() + 1) // 2)
        self._keys = words(seed, purpose, 2 * _ROUNDS, step=step).astype(np.uint64)

    def __call__(self, numbers: Numbers) -> Numbers:
        """Return the images of the numbers, an array of any shape."""
        if self._table is not None:
            looked_up: Numbers = self._table[numbers]
            return looked_up
        images = self._mapped(numbers.astype(np.uint64))
        while True:
            outside = images >= np.uint64(self.size)
            if not outside.any():
                return np.asarray(images, np.int64)
            images[outside] = self._mapped(images[outside])

    def _mapped(self, numbers: Any) -> Any:
        half, mask = self._half, (np.uint64(1) << self._half) - np.uint64(1)
        left, right = numbers >> half, numbers & mask
        for k in range(_ROUNDS):
            mixed = (right + self._keys[2 * k]) * _MIX
            mixed = ((mixed ^ (mixed >> np.uint64(29))) + self._keys[2 * k + 1]) * _MIX
            left, right = right, left ^ ((mixed >> np.uint64(32)) & mask)
        return left << half | right
