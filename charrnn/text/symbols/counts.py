"""Counts of the symbols of a text that comes in pieces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from charrnn.text.symbols.lookup import TOKEN, code_points
from charrnn.text.vocabulary import Level, Vocabulary, build_vocabulary


class SymbolCounts:
    """How often each symbol occurs in the pieces of text added so far.

    Memory grows with the number of different symbols, not with the text.
    """

    def __init__(self, level: Level) -> None:
        self.level = level
        self._words: Counter[str] = Counter()
        self._codes: NDArray[np.int64] = np.zeros(256, np.int64)

    def add(self, piece: str | bytes) -> None:
        """Count the symbols of a piece: bytes at byte level, whole words at word level."""
        if isinstance(piece, bytes):
            self.add_codes(_byte_counts(piece))
        elif self.level == "word":
            self._words.update(TOKEN.findall(piece))
        elif piece.isascii():
            self.add_codes(_byte_counts(piece.encode("ascii")))
        else:
            self.add_codes(np.bincount(code_points(piece)))

    def vocabulary(self, min_count: int = 1) -> Vocabulary:
        """Return the vocabulary, with symbols rarer than ``min_count`` folded into the unknown."""
        if self.level == "word":
            return build_vocabulary("word", self._words.items(), min_count)
        present = np.flatnonzero(self._codes)
        codes, counts = present.tolist(), self._codes[present].tolist()
        if self.level == "byte":
            return build_vocabulary("byte", zip(codes, counts, strict=True), min_count)
        return build_vocabulary("char", zip(map(chr, codes), counts, strict=True), min_count)

    def add_words(self, counts: Mapping[str, int]) -> None:
        """Add the counts of words, at word level."""
        self._words.update(counts)

    def add_codes(self, counts: NDArray[np.int64]) -> None:
        """Add the count of each code point, or byte, at the other levels."""
        if len(counts) > len(self._codes):
            counts, self._codes = self._codes, counts
        self._codes[: len(counts)] += counts


def _byte_counts(data: bytes) -> NDArray[np.int64]:
    # Counting pairs of bytes takes half the time: there are half as many.
    if len(data) < 1 << 17:
        return np.bincount(np.frombuffer(data, np.uint8), minlength=256)
    even = len(data) & ~1
    pairs = np.bincount(np.frombuffer(data, np.uint16, even // 2), minlength=1 << 16)
    square = pairs.reshape(256, 256)
    counts: NDArray[np.int64] = square.sum(axis=0) + square.sum(axis=1)
    if even < len(data):
        counts[data[-1]] += 1
    return counts
