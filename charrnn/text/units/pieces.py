"""Pieces of a text, joined, as one array that need not be in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[Any]
Numbers = NDArray[np.int64]


class Pieces:
    """Pieces of a 1-D array of ids, joined; only the slices that are asked for are read.

    Parameters
    ----------
    ids
        The array, which may be memory-mapped.
    starts, stops
        Where each piece begins and ends, 1-D.
    """

    def __init__(self, ids: Ids, starts: Numbers, stops: Numbers) -> None:
        self.ids, self._starts = ids, starts
        self._ends = np.cumsum(stops - starts)

    def bounds(self) -> tuple[Numbers, Numbers]:
        """Return where each piece begins and ends in the array."""
        lengths = np.diff(self._ends, prepend=0)
        return self._starts, self._starts + lengths

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the ids."""
        return self.ids.dtype

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, part: slice) -> Ids:
        start, stop, step = part.indices(len(self))
        if step != 1:
            raise ValueError("pieces are read in order")
        if stop <= start:
            return self.ids[:0]
        first = int(np.searchsorted(self._ends, start, "right"))
        last = int(np.searchsorted(self._ends, stop, "left"))
        ends = self._ends[first : last + 1]
        before = np.concatenate(([self._ends[first - 1] if first else 0], ends[:-1]))
        begins = np.maximum(before, start)
        lengths = np.minimum(ends, stop) - begins
        shift = self._starts[first : last + 1] - before
        if len(lengths) == 1:
            at = int(begins[0] + shift[0])
            return self.ids[at : at + int(lengths[0])]
        gathered: Ids = self.ids[np.repeat(shift, lengths) + np.arange(start, stop)]
        return gathered

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Ids:
        return np.asarray(self[:], dtype)


TextIds = Ids | Pieces
"""A text, 1-D: its ids, or pieces of them."""


def begins(ends: Numbers, units: Numbers, first: int) -> Numbers:
    """Return where units begin, given the ends of all units and where the first one begins."""
    return np.where(units > 0, ends[np.maximum(units, 1) - 1], first)
