"""Symbols before the vocabulary is known: provisional ids, which are replaced at the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from charrnn.text.symbols.counts import SymbolCounts
from charrnn.text.symbols.lookup import TOKEN, code_points
from charrnn.text.units.pieces import Numbers
from charrnn.text.vocabulary import Vocabulary

_AT_ONCE = 1 << 20
"""Symbols that are encoded together, about."""


class Provisional:
    """Ids of a level's symbols: code points, bytes, or numbers of words in order of appearance."""

    def __init__(self, level: Any) -> None:
        self.level = level
        self.dtype: np.dtype[Any] = np.dtype(np.uint8 if level == "byte" else np.uint32)
        self._words: dict[str, int] = {}

    def ids(self, text: str) -> NDArray[Any]:
        """Return the ids of a text, 1-D."""
        if self.level == "byte":
            return np.frombuffer(text.encode("utf-8", "surrogateescape"), np.uint8)
        if self.level == "char":
            return code_points(text).astype(np.uint32)
        return self.of_words(TOKEN.findall(text))

    def of_words(self, words: Sequence[str]) -> NDArray[Any]:
        """Return the ids of words that are separated already, 1-D."""
        known, number = self._words, self._words.setdefault
        return np.array([number(word, len(known)) for word in words], np.uint32)

    def counts(
        self, ids: NDArray[Any], lengths: Numbers, counted: NDArray[np.bool_]
    ) -> SymbolCounts:
        """Return how often each symbol occurs in those of the texts that are ``counted``."""
        found = np.zeros(0, np.int64)
        for part, texts in _groups(ids, lengths):
            kept = part[np.repeat(counted[texts], lengths[texts])]
            more = np.bincount(kept, minlength=len(found))
            more[: len(found)] += found
            found = more
        symbols = SymbolCounts(self.level)
        if self.level == "word":
            names = list(self._words)
            symbols.add_words({names[i]: int(found[i]) for i in np.flatnonzero(found).tolist()})
        else:
            symbols.add_codes(found)
        return symbols

    def encode(
        self, ids: NDArray[Any], lengths: Numbers, vocabulary: Vocabulary, file: BinaryIO
    ) -> tuple[NDArray[Any], Numbers]:
        """Write the ids in a vocabulary to ``file``; return them, mapped, and the new lengths.

        Symbols that the vocabulary does not have become its unknown symbol, or are left out if it
        has none.
        """
        table, dtype, kept_lengths = self._table(vocabulary), vocabulary.dtype, []
        for part, texts in _groups(ids, lengths):
            known = table[np.minimum(part.astype(np.int64), len(table) - 1)]
            kept = known >= 0
            file.write(known[kept].astype(dtype).tobytes())
            ends = np.cumsum(lengths[texts])
            before = np.concatenate(([0], np.cumsum(kept)))
            kept_lengths.append(np.diff(before[ends], prepend=0))
        file.flush()
        size = file.seek(0, 2) // dtype.itemsize
        mapped = np.memmap(file, dtype, mode="r", shape=(size,)) if size else np.empty(0, dtype)
        return mapped, np.concatenate(kept_lengths).astype(np.int64)

    def _table(self, vocabulary: Vocabulary) -> NDArray[np.int64]:
        """Return the id of each provisional id; -1 for an unknown one, and at the end."""
        unknown = -1 if vocabulary.unknown is None else vocabulary.unknown
        if self.level == "word":
            known = {str(word): i for i, word in enumerate(vocabulary.symbols)}
            return np.array([*(known.get(w, unknown) for w in self._words), unknown], np.int64)
        codes = [s if isinstance(s, int) else ord(s) for s in vocabulary.symbols]
        table = np.full(max(codes) + 2, unknown, np.int64)
        table[codes] = np.arange(len(codes))
        return table


def _groups(ids: NDArray[Any], lengths: Numbers) -> Iterator[tuple[NDArray[Any], slice]]:
    """Yield the ids of some texts at a time, and which texts they are."""
    ends, first, start = np.cumsum(lengths), 0, 0
    while first < len(lengths):
        last = max(first + 1, int(np.searchsorted(ends, start + _AT_ONCE, "right")))
        stop = int(ends[last - 1])
        yield ids[start:stop], slice(first, last)
        first, start = last, stop
