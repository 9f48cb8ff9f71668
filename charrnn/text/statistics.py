"""Statistics of a text from one pass: its size, its symbols, entropies of low order."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from charrnn.config import DataConfig
from charrnn.text.decoding import check_codec, pieces
from charrnn.text.entropy import entropy
from charrnn.text.finding import find_sources, parted
from charrnn.text.formats import is_plain
from charrnn.text.layout import WHOLE, Layout
from charrnn.text.remarks import CarriageReturns, EmptyValues, Replaced, Tell, about_files
from charrnn.text.source import CHUNK, empty
from charrnn.text.symbols.lookup import TOKEN, code_points
from charrnn.text.vocabulary import Level

_FREQUENT = 10


@dataclass(frozen=True)
class TextStatistics:
    """Statistics of a text. A symbol is a character, a byte or a word, as the level says."""

    name: str
    level: Level
    bytes: int
    chars: int
    """Number of symbols."""
    lines: int
    """Newlines, and one more if the text does not end with one."""
    distinct: int
    """Number of different symbols."""
    sha256: str
    """SHA-256 of the raw bytes."""
    unigram: float
    """Entropy of a symbol in nats, from relative frequencies."""
    bigram: float | None
    """Entropy of a symbol given the one before it, in nats; None for a text of one symbol."""
    frequent: tuple[tuple[str | int, int], ...]
    """The most frequent symbols (integers at byte level) and their counts, in descending order."""
    left_out: tuple[tuple[str, str], ...] = ()
    """The files of a directory that were left out, or are empty, each with the reason."""


def text_statistics(
    name: str,
    *,
    level: Level = "char",
    encoding: str = DataConfig.encoding,
    errors: str = DataConfig.errors,
    layout: Layout = WHOLE,
    stdin: BinaryIO | None = None,
    chunk: int = CHUNK,
    tell: Tell | None = None,
) -> TextStatistics:
    """Read a file, a directory or ``-`` once and count its symbols and their pairs.

    Memory grows with the number of different pairs of symbols, not with the text.

    Parameters
    ----------
    name
        A path, or ``-`` for ``stdin`` (None: the standard input of the process).
    level
        What counts as a symbol.
    encoding, errors
        How bytes are decoded; unused at byte level.
    layout
        Which part of the files is text, and the text between them.
    chunk
        Bytes read at a time.
    tell
        Is called with each note on the text: files of a directory left out, carriage returns.

    Raises
    ------
    CorpusError
        If the text is missing, unreadable, empty or wrongly encoded.
    UsageError
        If the encoding does not exist.
    """
    check_codec(encoding, errors)
    found = find_sources(name)
    layout.check(found)
    sources, others = parted(found, "" if level == "byte" else encoding, layout)
    if others and tell is not None:
        tell(about_files(others))
    digest, size = hashlib.sha256(), 0

    def observe(data: bytes) -> None:
        nonlocal size
        digest.update(data)
        size += len(data)

    counts, lines, returns, replaced = _PairCounts(), _Lines(), CarriageReturns(), Replaced(errors)
    words: dict[str, int] = {}
    left_out = EmptyValues()
    how: dict[str, Any] = {"layout": layout, "stdin": stdin, "chunk": chunk, "observe": observe}
    how["empty"] = left_out.add
    for piece in pieces(sources, level, encoding, errors, **how):
        if piece:
            lines.add(piece)
            returns.add(piece)
            replaced.add(piece)
            counts.add(_codes(piece, level, words))
    if not counts.total:
        raise empty(name, layout.values)
    notes = [left_out.note(), replaced.note()]
    if level != "byte" and returns.note():
        notes.append(returns.note(layout.field is None and is_plain(sources, encoding)))
    for note in notes:
        if note and tell is not None:
            tell(note)
    codes, totals = counts.symbols()
    return TextStatistics(
        name=name,
        level=level,
        bytes=size,
        chars=counts.total,
        lines=lines.count,
        distinct=len(codes),
        sha256=digest.hexdigest(),
        unigram=entropy(totals / totals.sum()),
        bigram=counts.conditional_entropy(),
        frequent=_most_frequent(codes, totals, level, list(words)),
        left_out=tuple((source.name, reason) for source, reason in others),
    )


class _Lines:
    """The number of lines of a text that comes in pieces."""

    def __init__(self) -> None:
        self._newlines, self._ended = 0, True

    def add(self, piece: str | bytes) -> None:
        newline: Any = b"\n" if isinstance(piece, bytes) else "\n"
        self._newlines += piece.count(newline)
        self._ended = piece.endswith(newline)

    @property
    def count(self) -> int:
        return self._newlines + (not self._ended)


class _PairCounts:
    """Counts of neighbouring pairs in a sequence of codes below 2^32 that comes in pieces."""

    def __init__(self) -> None:
        self.total = 0
        self._first = 0
        self._last = 0
        self._small: NDArray[np.int64] = np.zeros(1 << 16, np.int64)
        self._large: dict[int, int] = {}

    def add(self, codes: NDArray[Any]) -> None:
        """Count the pairs in (n,) codes, n > 0, and the pair across the edge to the last piece."""
        if self.total:
            before = np.array([self._last], np.min_scalar_type(self._last))
            codes = np.concatenate([before, codes])
        else:
            self._first, self.total = int(codes[0]), 1
        self.total += len(codes) - 1
        self._last = int(codes[-1])
        if codes.max() < 256:
            narrow = codes.astype(np.uint16)
            self._small += np.bincount(narrow[:-1] << 8 | narrow[1:], minlength=1 << 16)
        else:
            wide = codes.astype(np.int64)
            keys, counts = np.unique(wide[:-1] << 32 | wide[1:], return_counts=True)
            known = self._large.get
            fresh = zip(keys.tolist(), counts.tolist(), strict=True)
            self._large.update((key, known(key, 0) + count) for key, count in fresh)

    def pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return (pairs,) first codes, second codes and counts."""
        small = np.flatnonzero(self._small)
        large = np.fromiter(self._large, np.int64, len(self._large))
        counts = np.fromiter(self._large.values(), np.int64, len(self._large))
        keys, index = np.unique(
            np.concatenate([(small >> 8) << 32 | (small & 255), large]), return_inverse=True
        )
        totals = np.zeros(len(keys), np.int64)
        np.add.at(totals, index, np.concatenate([self._small[small], counts]))
        return keys >> 32, keys & 0xFFFFFFFF, totals

    def symbols(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return (distinct,) codes in ascending order, and how often each occurs."""
        _, second, counts = self.pairs()
        codes, index = np.unique(np.append(second, self._first), return_inverse=True)
        totals = np.zeros(len(codes), np.int64)
        np.add.at(totals, index, np.append(counts, 1))
        return codes, totals

    def conditional_entropy(self) -> float | None:
        """Return the entropy of a code given the one before, in nats."""
        first, _, counts = self.pairs()
        if not len(counts):
            return None
        _, index = np.unique(first, return_inverse=True)
        contexts = np.zeros(int(index.max()) + 1, np.int64)
        np.add.at(contexts, index, counts)
        return max(entropy(counts / counts.sum()) - entropy(contexts / contexts.sum()), 0.0)


def _codes(piece: str | bytes, level: Level, words: dict[str, int]) -> NDArray[Any]:
    """Return one integer per symbol; ``words`` numbers the words in order of first occurrence."""
    if isinstance(piece, bytes):
        return np.frombuffer(piece, np.uint8)
    if level == "char":
        return code_points(piece)
    tokens = TOKEN.findall(piece)
    return np.fromiter((words.setdefault(t, len(words)) for t in tokens), np.int64, len(tokens))


def _most_frequent(
    codes: NDArray[np.int64], totals: NDArray[np.int64], level: Level, words: list[str]
) -> tuple[tuple[str | int, int], ...]:
    order = np.lexsort((codes, -totals))[:_FREQUENT].tolist()
    return tuple((_symbol(int(codes[i]), level, words), int(totals[i])) for i in order)


def _symbol(code: int, level: Level, words: list[str]) -> str | int:
    if level == "byte":
        return code
    return chr(code) if level == "char" else words[code]
