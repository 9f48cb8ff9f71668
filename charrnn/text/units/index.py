"""Where the units of a text end: collected during encoding, and stored after the ids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from charrnn.text.decoding import Border
from charrnn.text.vocabulary import Level, Vocabulary

TYPE = np.dtype(np.int64)
_ALIGNED = 8
_BATCH = 1 << 16  # characters


class EndsWriter:
    """Writes where units end, in symbols from the beginning of the text, to a file.

    Attributes
    ----------
    counts
        Units of the training, validation and test text.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.counts = file, [0, 0, 0]
        self._at = self._last = self._part = 0

    def add(self, part: int, symbols: int, offsets: NDArray[np.int64]) -> None:
        """Add ``symbols`` symbols, in which units end before the ascending ``offsets``."""
        if part != self._part:
            self.close()
            self._part = part
        ends = offsets + self._at
        ends = ends[ends > self._last]  # nothing lies between two borders
        self._write(ends)
        self._at += symbols

    def close(self) -> None:
        """End the last unit of a part with the part itself."""
        if self._at > self._last:
            self._write(np.array([self._at], TYPE))

    def _write(self, ends: NDArray[np.int64]) -> None:
        if len(ends):
            self.file.write(ends.astype(TYPE).tobytes())
            self.counts[self._part] += len(ends)
            self._last = int(ends[-1])


def padding(symbols: int, itemsize: int) -> int:
    """Return the number of bytes between the ids of a text and the ends of its units."""
    return -symbols * itemsize % _ALIGNED


def lines(ids: NDArray[Any], vocabulary: Vocabulary) -> NDArray[np.int64]:
    """Return where lines end in a piece of text, in symbols."""
    if vocabulary.newline is None:
        return np.empty(0, TYPE)
    return np.flatnonzero(ids == vocabulary.newline) + 1


def batches(
    pieces: Iterable[str | bytes | Border], level: Level
) -> Iterator[tuple[str | bytes, list[int]]]:
    """Yield pieces of a reasonable size, and where documents end in each, in characters.

    At word level a document ends only at the end of a piece.
    """
    held: list[Any] = []
    borders: list[int] = []
    size = 0
    for piece in pieces:
        if isinstance(piece, Border):
            borders.append(size)
        else:
            held.append(piece)
            size += len(piece)
        if size >= _BATCH or (borders and level == "word"):
            yield _as_one(held), borders
            held, borders, size = [], [], 0
    if held or borders:
        yield _as_one(held), borders


def _as_one(parts: list[Any]) -> Any:
    return (parts[0][:0] if parts else "").join(parts)
