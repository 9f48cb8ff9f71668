"""A compact index of a text: its lines, or all its spans of a given length.

The index is a Bloom filter (Bloom 1970). Each unit, a line or a span, sets 8 bits of a table with
16 to 32 bits per unit (at least 8 kB in all), so that it needs 2 to 4 bytes, whatever its length.
No unit of the text is missed; any other is mistaken for one with a probability of at most 1 in
1,700.

A unit x_0 … x_n-1 of ids is hashed to Σ r(x_j)·B^j mod 2^64, with a random number r for each id, so
that the hashes of all units of a text come from one cumulative sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import CharRNNError, setting

Hashes = NDArray[np.uint64]

MAX_UNITS = 1 << 26
"""Maximum number of lines or spans of a text; their index has 128 MB."""
_BITS = 8  # set by each unit
_MIN_LOAD = 16  # bits of the table per unit
_MIN_BITS = 1 << 16  # bits of a table
_CHUNK = 1 << 20
_BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse
_INVERSE = pow(_BASE, -1, 1 << 64)


class LineEnds(NamedTuple):
    """What ends a line.

    Attributes
    ----------
    newline
        The symbol that does; None: none.
    join
        The symbols that end a text, such as a document, and so its last line; they belong to no
        line. Empty: none do.
    """

    newline: int | None
    join: tuple[int, ...] = ()

    @property
    def longest(self) -> int:
        """The number of symbols of the longest end, at least 1."""
        return max(1, len(self.join))

    def size(self, symbols: Sequence[int]) -> int:
        """Return how many of the last symbols are an end; 0: the line goes on."""
        if self.join and tuple(symbols[-len(self.join) :]) == self.join:
            return len(self.join)
        return int(symbols[-1] == self.newline)

    def found(self, symbols: NDArray[Any], old: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return behind which symbols (1-D) lines have ended, and the sizes of these ends.

        Ends within the first ``old`` symbols are left out.
        """
        sizes = (symbols == (-1 if self.newline is None else self.newline)).astype(np.intp)
        if self.join and len(symbols) >= len(self.join):
            places = len(symbols) - len(self.join) + 1
            same = np.ones(places, np.bool_)
            for k, symbol in enumerate(self.join):
                same &= symbols[k : k + places] == symbol
            sizes[len(self.join) - 1 :][same] = len(self.join)
        last = np.flatnonzero(sizes[old:]) + old
        return last + 1, sizes[last]


@dataclass(frozen=True)
class Novelty:
    """The indexes of a text that must not be copied; None allows copies.

    A line that occurs in the text is drawn again, from its beginning and with new random numbers. A
    symbol that would complete ``spans.span`` + 1 symbols of the text is not drawn.
    """

    lines: Seen | None = None
    spans: Seen | None = None


class Seen:
    """The lines of a text, or its spans of ``span`` + 1 symbols.

    Attributes
    ----------
    span
        0 for lines.
    bits
        The table, uint8.
    ends
        What ends a line.
    """

    def __init__(self, bits: NDArray[np.uint8], span: int, ends: LineEnds) -> None:
        self.bits, self.span, self.ends = bits, span, ends
        self._mask = np.uint64(8 * len(bits) - 1)

    @classmethod
    def of(
        cls,
        parts: Sequence[NDArray[Any]],
        ends: LineEnds,
        span: int = 0,
        *,
        apart: bool = False,
    ) -> Seen:
        """Return the index of a text.

        Parameters
        ----------
        parts
            Its symbols: 1-D arrays of ids, one after the other.
        ends
            What ends a line.
        span
            0 for lines; else spans of one symbol more than this.
        apart
            Whether each part is a text of its own, so that no line or span continues in the next.

        Raises
        ------
        CharRNNError
            If the text has more than :data:`MAX_UNITS` units.
        """
        texts = [[part] for part in parts] if apart else [parts]
        if span:
            units = max(1, sum(max(0, sum(map(len, text)) - span) for text in texts))
        else:
            units = sum(1 + _count(text, ends) for text in texts)
        if units > MAX_UNITS:
            what = f"spans of {span + 1} symbols" if span else "lines"
            raise CharRNNError(
                f"the text has {units:,} {what}, but an index can hold at most {MAX_UNITS:,}",
                f"name a part of it with {setting('novel_text')}",
            )
        size = max(_MIN_BITS, 1 << (_MIN_LOAD * units - 1).bit_length())
        seen = cls(np.zeros(size // 8, np.uint8), span, ends)
        for text in texts:
            for some in _spans(text, span + 1) if span else _lines(text, ends):
                seen._add(some)
        return seen

    def has_line(self, line: Sequence[int]) -> bool:
        """Return whether a line, without its end, is one of the text."""
        return bool(self._has(_line_hash(np.array(line, np.int64)[None]))[0])

    def completed(self, last: NDArray[Any], symbols: NDArray[Any]) -> NDArray[np.bool_]:
        """Return for each of ``symbols`` (S,) whether it completes ``last`` (span,) to a span."""
        powers = _powers(self.span + 1)
        before = (_random(last) * powers[:-1]).sum(dtype=np.uint64)
        return self._has(_mixed(before + _random(symbols) * powers[-1]))

    def _add(self, hashes: Hashes) -> None:
        for place in self._places(hashes):
            np.bitwise_or.at(self.bits, place >> np.uint64(3), _bit(place))

    def _has(self, hashes: Hashes) -> NDArray[np.bool_]:
        found = np.ones(len(hashes), np.bool_)
        for place in self._places(hashes):
            found &= (self.bits[place >> np.uint64(3)] & _bit(place)) != 0
        return found

    def _places(self, hashes: Hashes) -> Iterator[Hashes]:
        """Yield the place of each of a unit's bits (Kirsch and Mitzenmacher 2006)."""
        step = (hashes >> np.uint64(32)) | np.uint64(1)
        for k in range(_BITS):
            yield (hashes + np.uint64(k) * step) & self._mask


def broken(
    lines: Iterable[NDArray[Any]], ends: LineEnds, symbols: int
) -> tuple[list[NDArray[Any]], LineEnds]:
    """Return the lines of a text whose newline is none of ``symbols`` symbols, and their end.

    Each line, 1-D ids, is followed by the id ``symbols``, which no sample has.
    """
    end = np.array([symbols], np.int64)
    parts = [part.astype(np.int64) for line in lines for part in (line, end)]
    return [np.concatenate(parts)] if parts else [], ends._replace(newline=symbols)


def _bit(place: Hashes) -> NDArray[np.uint8]:
    bits: NDArray[np.uint8] = np.left_shift(1, place & np.uint64(7)).astype(np.uint8)
    return bits


def _chunks(parts: Sequence[NDArray[Any]], overlap: int) -> Iterator[NDArray[Any]]:
    """Yield the text in pieces that overlap the previous one by ``overlap`` symbols."""
    kept = np.empty(0, np.int64)
    for part in parts:
        for start in range(0, len(part), _CHUNK):
            piece = part[start : start + _CHUNK]
            if overlap:
                piece = np.concatenate((kept, piece.astype(np.int64)))
                kept = piece[max(0, len(piece) - overlap) :]
            yield piece


def _count(parts: Sequence[NDArray[Any]], ends: LineEnds) -> int:
    """Return the number of ends of lines in a text."""
    count = old = 0
    for chunk in _chunks(parts, ends.longest - 1):
        count += len(ends.found(chunk, old)[0])
        old = min(ends.longest - 1, len(chunk))
    return count


def _spans(parts: Sequence[NDArray[Any]], length: int) -> Iterator[Hashes]:
    for chunk in _chunks(parts, length - 1):
        sums, unpower = _sums(chunk)
        count = len(chunk) - length + 1
        if count > 0:
            yield _mixed((sums[length:] - sums[:count]) * unpower[:count])


def _lines(parts: Sequence[NDArray[Any]], ends: LineEnds) -> Iterator[Hashes]:
    # The hash of symbols i … j-1 is (S_j - S_i)·B^-i with S_j = Σ_k<j r(x_k)·B^k.
    total, inverse, power = np.zeros(1, np.uint64), np.ones(1, np.uint64), 1  # where a chunk begins
    last, begun, unpower = total, total, inverse  # where it ends, and where the open line begins
    start = old = 0  # where that line begins in the chunk; symbols of the chunk read before
    for chunk in _chunks(parts, ends.longest - 1):
        sums, unpowers = _sums(chunk)
        sums, unpowers = total + np.uint64(power) * sums, inverse * unpowers
        after, sizes = ends.found(chunk, old)
        stops = np.maximum(after - sizes, np.append(start, after[:-1])[: len(after)])
        begins, scales = np.append(begun, sums[after]), np.append(unpower, unpowers[after])
        yield _mixed((sums[stops] - begins[:-1]) * scales[:-1])
        begun, unpower = begins[-1:], scales[-1:]
        old = min(ends.longest - 1, len(chunk))
        new = len(chunk) - old
        start = int(after[-1] if len(after) else start) - new
        power = power * pow(_BASE, new, 1 << 64) % (1 << 64)
        total, inverse, last = sums[new : new + 1], unpowers[new : new + 1], sums[-1:]
    yield _mixed((last - begun) * unpower)


def _line_hash(lines: NDArray[Any]) -> Hashes:
    """Return the hashes of lines of equal length, (L, n)."""
    return _mixed((_random(lines) * _powers(lines.shape[1])).sum(axis=1, dtype=np.uint64))


def _sums(chunk: NDArray[Any]) -> tuple[Hashes, Hashes]:
    """Return the cumulative sums of a chunk, from 0 on, and B^-j for each j."""
    sums = np.zeros(len(chunk) + 1, np.uint64)
    np.cumsum(_random(chunk) * _powers(len(chunk)), out=sums[1:])
    return sums, _powers(len(chunk) + 1, _INVERSE)


def _powers(count: int, base: int = _BASE) -> Hashes:
    """Return base^0 to base^(count - 1) mod 2^64."""
    powers = np.full(count, base, np.uint64)
    powers[:1] = 1
    return np.cumprod(powers, dtype=np.uint64)


def _random(ids: NDArray[Any]) -> Hashes:
    """Return a random number for each id."""
    return _mixed((ids.astype(np.uint64) + np.uint64(1)) * np.uint64(_BASE))


def _mixed(numbers: Hashes) -> Hashes:
    """Return well-mixed bits: the finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))
