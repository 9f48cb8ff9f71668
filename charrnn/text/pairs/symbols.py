"""The symbols of targets: characters, or words between single spaces.

Unlike the words of a source, these may be anything but a space, such as the phonemes of a
transcription. So a text has as many of them as spaces and one more, and joined by spaces they are
the text again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from charrnn.text.units.pieces import Numbers
from charrnn.text.vocabulary import SURROGATE

LEVELS = ("char", "word")


def split(text: str, level: str) -> Sequence[str]:
    """Return the symbols of a target."""
    if level == "char" or not text:
        return text
    return text.split(" ")


def joined(symbols: Iterable[str], level: str) -> str:
    """Return the target that consists of these symbols."""
    return ("" if level == "char" else " ").join(symbols)


def is_symbol(symbol: str, level: str) -> bool:
    """Return whether a string may be a symbol of a target."""
    if SURROGATE.search(symbol):
        return False
    return len(symbol) == 1 if level == "char" else " " not in symbol


class Numbered:
    """Targets on their way into a file, their symbols numbered in order of appearance.

    Parameters
    ----------
    level
        ``char`` or ``word``.
    file
        Open for writing and reading.
    """

    dtype = np.dtype(np.uint32)

    def __init__(self, level: str, file: BinaryIO) -> None:
        self.level, self._file = level, file
        self._numbers: dict[str, int] = {}

    def size(self, text: str) -> int:
        """Return the number of symbols of a text."""
        return len(split(text, self.level))

    def add(self, text: str) -> None:
        """Add a text."""
        numbers, symbols = self._numbers, split(text, self.level)
        ids = [numbers.setdefault(symbol, len(numbers)) for symbol in symbols]
        self._file.write(np.array(ids, self.dtype).tobytes())

    def symbols(self, ids: NDArray[Any], parts: Iterable[NDArray[Any]]) -> tuple[str, ...]:
        """Return the symbols, sorted, that occur in ``parts`` of the numbered ``ids``."""
        seen = np.zeros(len(self._numbers), np.bool_)
        for part in parts:
            seen[part] = True
        names = list(self._numbers)
        return tuple(sorted(names[i] for i in np.flatnonzero(seen).tolist()))

    def encode(self, ids: NDArray[Any], symbols: Sequence[str], file: BinaryIO) -> None:
        """Write the ids among ``symbols`` to a file; len(symbols) stands for all others."""
        known = {symbol: i for i, symbol in enumerate(symbols)}
        table = np.array([known.get(name, len(symbols)) for name in self._numbers], np.uint32)
        for start in range(0, len(ids), 1 << 20):
            file.write(table[ids[start : start + (1 << 20)]].tobytes())


def slices(begins: Numbers, lengths: Numbers, ids: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield the ids of each text."""
    for begin, length in zip(begins.tolist(), lengths.tolist(), strict=True):
        yield ids[begin : begin + length]
