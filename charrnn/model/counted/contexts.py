"""The contexts of symbols: the last 1, 2, … symbols, each as a number."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.model.sequences.ngrams import FACTOR, mixed

LONGEST = 6
"""The most symbols of a context: one less than those of the longest n-gram."""
KEY_BITS = 48

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
        found[k], there[k] = mixed(sums + np.uint64(k + 1), np, KEY_BITS), known
        power = power * FACTOR % (1 << 64)
    return found | np.uint64(1), there  # none of them is EMPTY
