"""The contexts of symbols: the last 1, 2, … symbols, each as a number."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LONGEST = 6
"""The most symbols of a context: one less than those of the longest n-gram."""
KEY_BITS = 48
_FACTOR, _MIX = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9  # of SplitMix64 (Steele et al. 2014)

Keys = NDArray[np.uint64]
EMPTY = 0
"""The key of the context of no symbols."""


def keys(read: NDArray[Any]) -> tuple[Keys, NDArray[np.bool_]]:
    """Return the key of each context, and whether there is one, (K, T, N) both.

    Parameters
    ----------
    read
        What was read (K - 1 + T, N): symbols + 1, or 0 where nothing was. The contexts of step t
        end with row K - 1 + t.
    """
    rows = len(read) - LONGEST + 1
    symbols = read.astype(np.uint64)
    found = np.empty((LONGEST, rows, read.shape[1]), np.uint64)
    there = np.empty(found.shape, np.bool_)
    sums, known = np.zeros(found.shape[1:], np.uint64), np.ones(found.shape[1:], np.bool_)
    power = 1
    for k in range(LONGEST):
        last = symbols[LONGEST - 1 - k : LONGEST - 1 - k + rows]
        sums += last * np.uint64(power)
        known &= last > 0
        found[k], there[k] = mixed(sums + np.uint64(k + 1)), known
        power = power * _FACTOR % (1 << 64)
    return found, there


def mixed(sums: Keys) -> Keys:
    """Return ``KEY_BITS`` bits that depend on all bits of each number; never :data:`EMPTY`."""
    sums = sums ^ (sums >> np.uint64(30))
    sums *= np.uint64(_MIX)
    sums ^= sums >> np.uint64(27)
    sums *= np.uint64(_FACTOR)
    return (sums >> np.uint64(64 - KEY_BITS)) | np.uint64(1)
