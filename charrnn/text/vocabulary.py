"""The vocabulary: the symbols that a model knows, in sorted order, and their ids."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from charrnn.errors import CheckpointError, VocabularyError, setting
from charrnn.text.symbols.lookup import TOKEN, Lookup

Level = Literal["char", "byte", "word"]
LEVELS: tuple[Level, ...] = get_args(Level)
Unknown = Literal["error", "skip"]

UNKNOWN_CHAR = "\ufffd"
UNKNOWN_BYTE = 256
SURROGATE = re.compile("[\ud800-\udfff]")
"""Half of a pair of UTF-16, which strings of Python may hold though it is no character."""

_SKIP = f"set {setting('unknown')} to skip, which leaves such symbols out"
_REMEDIES: dict[str | bytes, str] = {
    "\r": rf"make newlines of them (tr '\r' '\n'), or {_SKIP}",
    b"\r": rf"make newlines of them (tr '\r' '\n'), or {_SKIP}",
    "\ufeff": f"set {setting('encoding')} to utf-8-sig, which drops a byte order mark",
}
"""What else than to skip it can be done about a symbol that the model does not know."""


@dataclass(frozen=True)
class Vocabulary:
    r"""The symbols of a model; the id of a symbol is its place in the sorted order.

    Attributes
    ----------
    level
        ``"char"`` (Unicode code points), ``"byte"``, or ``"word"`` (runs of word characters; every
        other character is a token of its own, so that the joined tokens are the text).
    symbols
        Strings in code point order, or ascending integers at byte level.
    unknown
        The id of the symbol that stands for everything outside the vocabulary (``"\ufffd"``, or
        the integer 256 at byte level); None if there is no such symbol.
    """

    level: Level
    symbols: tuple[str, ...] | tuple[int, ...]
    unknown: int | None = None

    def __len__(self) -> int:
        return len(self.symbols)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The smallest unsigned type that can hold every id."""
        return np.dtype(np.min_scalar_type(max(len(self.symbols) - 1, 0)))

    @property
    def newline(self) -> int | None:
        """The id of the newline, None if the vocabulary does not have it."""
        newline: Any = 10 if self.level == "byte" else "\n"
        return self.symbols.index(newline) if newline in self.symbols else None

    @cached_property
    def carriage_return(self) -> bool:
        """Whether the vocabulary has the carriage return."""
        symbol: Any = 13 if self.level == "byte" else "\r"
        return symbol in self.symbols

    def newlines(self, text: str | bytes) -> str | bytes:
        r"""Return a text with each ``"\r\n"`` as ``"\n"`` if there is no carriage return here.

        To such a model a newline alone ends a line.
        """
        if self.carriage_return:
            return text
        return text.replace("\r\n", "\n") if isinstance(text, str) else text.replace(b"\r\n", b"\n")

    def text(self, text: str | bytes) -> str | bytes:
        """Return a text of the level: at byte level, the UTF-8 bytes of a string."""
        if self.level == "byte" and isinstance(text, str):
            return text.encode("utf-8", "surrogateescape")
        return text

    def join(self, parts: Iterable[str | bytes]) -> str | bytes:
        """Return pieces of text as one: bytes at byte level, else a string."""
        empty: Any = b"" if self.level == "byte" else ""
        joined: str | bytes = empty.join(parts)
        return joined

    def encode(
        self, text: str | bytes, unknown: Unknown = "error", *, offset: int = 0
    ) -> NDArray[Any]:
        """Turn text into ids.

        Parameters
        ----------
        text
            ``bytes`` at byte level, ``str`` at the others.
        unknown
            What to do with a symbol outside the vocabulary if there is no unknown symbol:
            ``"error"`` or ``"skip"`` (leave it out).
        offset
            Position of ``text`` in the whole text, for messages.

        Returns
        -------
        ids
            1-D array of :attr:`dtype`.

        Raises
        ------
        VocabularyError
            If a symbol is outside the vocabulary, there is no unknown symbol, and ``unknown`` is
            ``"error"``.
        TypeError
            If the text has the wrong type for the level.
        """
        ids, missing = self._lookup.ids(text)
        if missing is None:
            return ids
        if self.unknown is not None:
            ids[missing] = self.unknown
            return ids
        if unknown == "skip":
            return ids[~missing]
        raise self._unknown_symbol(text, int(np.argmax(missing)), offset)

    def count(self, text: str | bytes) -> int:
        """Return the number of symbols that a text consists of, known or not."""
        if isinstance(text, str) and self.level == "word":
            return sum(1 for _ in TOKEN.finditer(text))
        return len(text)

    def size(self, ids: NDArray[Any]) -> int | None:
        """Return the number of UTF-8 bytes of the text that ids (1-D) stand for.

        None if the unknown symbol of a text is among them: what it stands for is not known.
        """
        if self.level == "byte":
            return len(ids)
        if self.unknown is not None and (ids == self.unknown).any():
            return None
        return int(self._sizes[ids].sum())

    def decode(self, ids: ArrayLike) -> str | bytes:
        """Turn ids (any integer array or sequence) into text; the unknown byte becomes ``?``."""
        index = np.asarray(ids)
        if index.size == 0:
            return b"" if self.level == "byte" else ""
        if self.level == "word":
            return "".join([str(self.symbols[i]) for i in index.ravel().tolist()])
        codes = self._lookup.codes[index.ravel()]
        if self.level == "byte":
            return np.where(codes == UNKNOWN_BYTE, ord("?"), codes).astype(np.uint8).tobytes()
        text: str = codes.astype("<u4").tobytes().decode("utf-32-le")
        return text

    def with_unknown(self) -> Vocabulary:
        """Return the vocabulary with an unknown symbol, if it has none."""
        if self.unknown is not None:
            return self
        marker: Any = _marker(self.level)
        symbols = tuple(sorted({*self.symbols, marker}))
        return Vocabulary(self.level, symbols, symbols.index(marker))

    def encode_words(self, words: Iterable[str]) -> NDArray[Any]:
        """Return the ids of words that are separated already; there must be an unknown symbol."""
        assert self.unknown is not None
        table = self._lookup.words
        return np.array([table.get(word, self.unknown) for word in words], self.dtype)

    def to_json(self) -> dict[str, Any]:
        """Return a dict for JSON, with ``level``, ``symbols`` and ``unknown``."""
        return {"level": self.level, "symbols": list(self.symbols), "unknown": self.unknown}

    @classmethod
    def from_json(cls, data: Any, separated: bool = False) -> Vocabulary:
        """Return the vocabulary that :meth:`to_json` wrote.

        ``separated`` says that words come separated already, and so may be any strings.

        Raises
        ------
        CheckpointError
            If it is not a valid vocabulary: wrong types, symbols that repeat or are out of order,
            several code points in one character, an unknown id out of range.
        """
        if not isinstance(data, Mapping):
            raise _damaged("it is not a mapping")
        level, symbols, unknown = (data.get(key) for key in ("level", "symbols", "unknown"))
        if level not in LEVELS:
            raise _damaged("its level is not one of char, byte, word")
        if not isinstance(symbols, list | tuple) or not symbols:
            raise _damaged("its symbols are not a list with at least one entry")
        if level == "byte":
            if not all(type(s) is int and 0 <= s <= UNKNOWN_BYTE for s in symbols):
                raise _damaged("a byte is not an integer from 0 to 255")
        elif not all(isinstance(s, str) and _is_symbol(s, level, separated) for s in symbols):
            raise _damaged(f"a symbol is not one {level}")
        if any(a >= b for a, b in pairwise(symbols)):
            raise _damaged("its symbols repeat or are out of order")
        if unknown is None:
            if level == "byte" and symbols[-1] == UNKNOWN_BYTE:
                raise _damaged("it has an unknown symbol without an id")
        elif type(unknown) is not int or not 0 <= unknown < len(symbols):
            raise _damaged("the id of its unknown symbol is out of range")
        elif symbols[unknown] != _marker(level):
            raise _damaged("the id of its unknown symbol names another symbol")
        return cls(level, tuple(symbols), unknown)

    @cached_property
    def _lookup(self) -> Lookup:
        return Lookup(self.level, self.symbols, self.unknown, self.dtype)

    @cached_property
    def _sizes(self) -> NDArray[np.int64]:
        """(V,) the bytes of every symbol in UTF-8; not at byte level."""
        return np.array([len(str(s).encode()) for s in self.symbols], np.int64)

    def _unknown_symbol(self, text: str | bytes, index: int, offset: int) -> VocabularyError:
        remedy = _REMEDIES.get(text[index : index + 1], _SKIP)
        if isinstance(text, str) and self.level == "word":
            for match in TOKEN.finditer(text):
                if match.group() not in self._lookup.words:
                    where = offset + match.start()
                    word = repr(match.group()[:40])
                    message = f"the vocabulary has no word {word} (at character offset {where})"
                    return VocabularyError(message, _REMEDIES.get(match.group(), _SKIP))
        if isinstance(text, str):
            char = text[index]
            name = f"character {char!r} (U+{ord(char):04X}, at character offset"
        else:
            name = f"byte 0x{bytes(text)[index]:02x} (at byte offset"
        return VocabularyError(f"the vocabulary has no {name} {offset + index})", remedy)


def build_vocabulary(
    level: Level, counts: Iterable[tuple[str, int]] | Iterable[tuple[int, int]], min_count: int = 1
) -> Vocabulary:
    """Return the vocabulary of a text, given its symbols and how often each occurs.

    Symbols that occur fewer than ``min_count`` times are folded into the unknown symbol. There is
    an unknown symbol only if some symbol was folded.
    """
    kept: set[Any] = set()
    folded = False
    for symbol, count in counts:
        if count >= min_count:
            kept.add(symbol)
        else:
            folded = True
    marker: Any = _marker(level)
    if folded:
        kept.add(marker)
    symbols = tuple(sorted(kept))
    return Vocabulary(level, symbols, symbols.index(marker) if folded else None)


def _marker(level: str) -> int | str:
    """Return the unknown symbol of a level."""
    return UNKNOWN_BYTE if level == "byte" else UNKNOWN_CHAR


def _is_symbol(symbol: str, level: str, separated: bool) -> bool:
    whole = len(symbol) == 1 if level == "char" else separated or TOKEN.fullmatch(symbol)
    return bool(symbol and whole) and not SURROGATE.search(symbol)


def _damaged(why: str) -> CheckpointError:
    return CheckpointError(f"the vocabulary is damaged: {why}")
