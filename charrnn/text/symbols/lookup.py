"""The ids of the symbols of a text, by tables that are fast at each level."""

from __future__ import annotations

import re
from functools import cached_property
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

TOKEN = re.compile(r"\w+|\W")
"""A token of the word level: a run of word characters, or one character of any other kind."""

_MISSING = 255  # in the byte table: never the id of an ASCII character, which is at most 127


class Lookup:
    """Tables of the symbols of a vocabulary, each of which is made when it is first used.

    Parameters
    ----------
    level, symbols, unknown
        As in :class:`charrnn.text.vocabulary.Vocabulary`.
    dtype
        Of the ids.
    """

    def __init__(
        self,
        level: str,
        symbols: tuple[str, ...] | tuple[int, ...],
        unknown: int | None,
        dtype: np.dtype[Any],
    ) -> None:
        self.level, self.symbols, self.unknown, self.dtype = level, symbols, unknown, dtype

    def ids(self, text: str | bytes) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Return the ids of a text, and where a symbol is missing, both 1-D.

        There is None in place of the second if no symbol is missing. The id in such a place means
        nothing.

        Raises
        ------
        TypeError
            If the text has the wrong type for the level.
        """
        if self.level == "byte":
            if not isinstance(text, bytes | bytearray | memoryview):
                raise TypeError("the byte level encodes bytes, not str")
            return self._of_bytes(bytes(text))
        if not isinstance(text, str):
            raise TypeError(f"the {self.level} level encodes str, not bytes")
        if self.level == "word":
            return self._of_words(text)
        if text.isascii():
            return self._of_bytes(text.encode("ascii"))
        return self._of_codes(code_points(text))

    @cached_property
    def codes(self) -> NDArray[np.uint32]:
        """(V,) the code point or byte of every id; not at word level."""
        codes = [s if isinstance(s, int) else ord(s) for s in self.symbols]
        return np.array(codes, dtype=np.uint32)

    @cached_property
    def words(self) -> dict[str, int]:
        """The id of every word."""
        return {str(word): i for i, word in enumerate(self.symbols)}

    @cached_property
    def _byte_table(self) -> tuple[bytes, bool] | None:
        """Table for ``bytes.translate``, and whether 255 in it means "missing"; None: too small."""
        known = [(int(code), i) for i, code in enumerate(self.codes) if code < 256]
        complete = self.level == "byte" and len(known) == 256
        fill = _MISSING
        if self.unknown is not None and self.unknown < 256:
            fill, complete = self.unknown, True
        if len(self.symbols) > 256 and self.level == "byte":
            return None
        table = bytearray([fill]) * 256
        for code, i in known:
            if self.level == "byte" or code < 128:
                table[code] = i
        return bytes(table), not complete

    @cached_property
    def _code_table(self) -> NDArray[np.int32]:
        """The id of every code up to the largest known one; -1 for unknown codes and at the end."""
        table = np.full(int(self.codes[-1]) + 2, -1, dtype=np.int32)
        table[self.codes] = np.arange(len(self.symbols), dtype=np.int32)
        return table

    def _of_bytes(self, data: bytes) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        if self._byte_table is None:
            return self._of_codes(np.frombuffer(data, np.uint8))
        table, marks = self._byte_table
        mapped = bytearray(data).translate(table)  # unlike bytes, a writable buffer
        ids = np.frombuffer(mapped, np.uint8)
        missing = ids == _MISSING if marks and _MISSING in mapped else None
        return ids.astype(self.dtype, copy=False), missing

    def _of_codes(self, codes: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        table = self._code_table
        ids = table.take(codes, mode="clip")  # a code above the table gets its last entry
        missing = ids < 0
        return ids.astype(self.dtype), missing if missing.any() else None

    def _of_words(self, text: str) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        tokens = TOKEN.findall(text)
        ids = np.fromiter(map(self.words.get, tokens, repeat(-1)), np.int64, len(tokens))
        missing = ids < 0
        return ids.astype(self.dtype), missing if missing.any() else None


def code_points(text: str) -> NDArray[Any]:
    """Return the code points of ``text``, 1-D, as uint8 for ASCII and uint32 otherwise."""
    if text.isascii():
        return np.frombuffer(text.encode("ascii"), np.uint8)
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
