"""The n-grams of a text, counted and smoothed (equations: :mod:`charrnn.model.counted`)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.model.counted.contexts import EMPTY, LONGEST, keys

SYMBOLS = 1 << 20
"""The most symbols of a text that are counted."""
PIECES = 16
"""Of a longer text so many pieces are counted, spread evenly over it."""

ENOUGH, ENOUGH_OF_SYMBOL = 400_000, 2
"""The most n-grams that are worth their room, of any text and for each of its symbols."""

Numbers = NDArray[np.int64]
Small = NDArray[np.int32]
"""Numbers of at most as many symbols as are counted."""


class Grams(NamedTuple):
    """The different n-grams of one length, (M,) each, in the order of context and symbol.

    Attributes
    ----------
    context, symbol
        The number of the n-gram without its last symbol among the shorter ones, and that symbol.
    suffix
        The number of the n-gram without its first symbol among the shorter ones.
    times
        How often it occurs.
    counts
        C.
    ends
        Where it first ends in the text.
    """

    context: Small
    symbol: Small
    suffix: Small
    times: Small
    counts: Small
    ends: Small


class Table(NamedTuple):
    """What is kept of all n-grams: contexts (C,), and those that follow each, (E,).

    Attributes
    ----------
    keys
        Of the contexts, sorted.
    left
        γ.
    begins
        Where the n-grams of each context begin.
    symbols, shares
        The last symbol of each n-gram, and (C - D) / Σ C.
    times
        How often each context occurs before an n-gram that is kept; zeros if that is not known.
    """

    keys: NDArray[np.uint64]
    left: NDArray[np.float64]
    begins: Numbers
    symbols: Numbers
    shares: NDArray[np.float64]
    times: Numbers


def followers(rows: Numbers, begins: Numbers) -> tuple[Numbers, Numbers]:
    """Return which of some contexts each of their n-grams follows, and its place in the table.

    ``begins`` (C + 1,) also has where the last one's n-grams end.
    """
    number = begins[rows + 1] - begins[rows]
    until = np.cumsum(number)
    place = np.repeat(begins[rows] - until + number, number) + np.arange(number.sum())
    return np.repeat(np.arange(len(rows)), number), place


NOTHING = Table(
    np.full(1, EMPTY, np.uint64),
    np.ones(1),
    np.zeros(1, np.int64),
    np.zeros(0, np.int64),
    np.zeros(0),
    np.zeros(1, np.int64),
)
"""The table of a text without symbols."""


def table(
    ids: NDArray[Any],
    V: int,
    most_grams: int,
    most_contexts: int,
    ends: NDArray[Any] | None = None,
) -> Table:
    """Count the n-grams of a text of V symbols; keep the most frequent ones.

    Of those that are as frequent the shorter are kept first. ``ends`` as in :func:`grams`.
    """
    if not len(ids):
        return NOTHING
    every = grams(ids, V, ends)
    kept = _most_frequent(every, most_grams, most_contexts)
    read = np.concatenate((np.zeros(LONGEST - 1, np.int64), ids + 1))
    parts = [
        _of_length(n, these, some_of, read)
        for n, (these, some_of) in enumerate(zip(every, kept, strict=True))
    ]
    key, left, number, times, symbols, shares = map(np.concatenate, zip(*parts, strict=True))
    order, begins = np.argsort(key, kind="stable"), np.cumsum(number) - number
    number = number[order]
    new = np.cumsum(number) - number
    at = np.repeat(begins[order] - new, number) + np.arange(len(symbols))
    return Table(key[order], left[order], new, symbols[at], shares[at], times[order])


def some(ids: Any) -> NDArray[np.int64]:
    """Return the symbols of a text that are counted; the text may be memory-mapped."""
    parts = _parts(len(ids))
    return np.concatenate([np.asarray(ids[part], np.int64) for part in parts])


def some_examples(ids: Any, lengths: NDArray[Any], start: int) -> tuple[Numbers, Numbers]:
    """Return the symbols of examples that are counted, and where each ends, for :func:`grams`.

    ``ids`` are the examples joined, which may be memory-mapped, ``lengths`` theirs, and ``start``
    is the symbol that is read before each.
    """
    ends, found = np.cumsum(lengths) - 1, [np.zeros(1, np.int64)]
    size = 1
    for part in _parts(len(ids)):
        first, last = np.searchsorted(ends, (part.start, part.stop))
        found.append(ends[first:last] - part.start + size)
        size += part.stop - part.start
    return np.concatenate(([start], some(ids))), np.concatenate(found)


def _parts(n: int) -> list[slice]:
    """Return the parts of a text of n symbols that are counted."""
    if n <= SYMBOLS:
        return [slice(0, n)]
    length = SYMBOLS // PIECES
    starts = ((n - length) * k // (PIECES - 1) for k in range(PIECES))
    return [slice(at, at + length) for at in starts]


def enough(symbols: int) -> int:
    """Return how many n-grams of a text are worth their room, at most."""
    return min(ENOUGH, ENOUGH_OF_SYMBOL * symbols)


def needed(symbols: int) -> int:
    """Return the bytes that counting a text takes, about, as measured on prose and on code.

    The longer a text, the more of its n-grams have occurred before.
    """
    return 85 * min(symbols, SYMBOLS) + 190 * min(symbols, 100_000)


def grams(ids: Numbers, V: int, ends: NDArray[Any] | None = None) -> list[Grams]:
    """Return the n-grams of a text of one symbol, of two, and so on.

    Parameters
    ----------
    ids, V
        The text, of V symbols.
    ends
        Where its examples end, ascending, if each is read by itself; the first is 0. An example is
        read after the last symbol of the one before, with which an n-gram may begin.
    """
    found: list[Grams] = []
    left = None if ends is None else _left_of_example(len(ids), ends)
    shorter = np.zeros(len(ids) + 1, np.int64)  # the number of the one that begins at each place
    for n in range(min(LONGEST + 1, len(ids))):
        places: Any = slice(len(ids) - n) if left is None else np.flatnonzero(left >= n)
        symbols = ids[n:][places]
        _, first, number, times = np.unique(
            shorter[places] * V + symbols,
            return_index=True,
            return_inverse=True,
            return_counts=True,
        )
        begins = first if left is None else places[first]
        suffix = shorter[begins + 1] if n else np.zeros(len(begins), np.int64)
        if n:
            preceded = np.bincount(suffix, minlength=len(found[-1].times))
            found[-1] = found[-1]._replace(counts=np.maximum(preceded, 1))
        if n > 1 and left is not None:
            found[-1] = _with_beginnings(found[-1], ids, n)
        of_each = (shorter[begins], symbols[first], suffix, times, times, begins + n)
        found.append(Grams(*(each.astype(np.int32) for each in of_each)))
        if left is None:
            shorter = number
        else:
            shorter = np.zeros(len(ids) + 1, np.int64)
            shorter[places] = number
    return found


def _left_of_example(n: int, ends: NDArray[Any]) -> Numbers:
    """Return how many symbols of its example come after each; after the last, those of the next."""
    places = np.arange(n)
    following = np.searchsorted(ends, places, side="right")
    return np.append(ends, n - 1)[following] - places


def _with_beginnings(these: Grams, ids: Numbers, size: int) -> Grams:
    """Return n-grams of a size; those that begin with the first symbol have C as they occur."""
    begin = ids[these.ends - size + 1] == ids[0]
    return these._replace(counts=np.where(begin, these.times, these.counts))


def _shares(these: Grams) -> NDArray[np.float64]:
    """Return (C - D) / Σ C of the n-grams of one length."""
    counts = these.counts.astype(np.float64)
    rare = np.maximum(1.0, np.bincount(these.counts, minlength=5)[1:5])
    y = rare[0] / (rare[0] + 2 * rare[1])
    k = np.array((1, 2, 3))
    estimated = k - (k + 1) * y * rare[1:] / rare[:-1]
    discounts = np.clip(estimated, 0.1, k - 0.05)  # a short text may give nonsense
    total = np.bincount(these.context, counts)
    counts -= discounts[np.minimum(these.counts, 3) - 1]
    return counts / total[these.context]


def _most_frequent(
    every: list[Grams], most_grams: int, most_contexts: int
) -> list[NDArray[np.bool_]]:
    """Return which n-grams of each length are kept."""
    times = np.concatenate([each.times for each in every])
    order = np.argsort(-times, kind="stable")
    sizes = [0, *np.cumsum([len(each.times) for each in every])]
    numbers = [0, *(1 + np.array(sizes[:-2]))]  # 0 is the empty context, then those of one symbol
    context = np.concatenate([each.context + at for each, at in zip(every, numbers, strict=True)])
    first = np.unique(context[order], return_index=True)[1]
    new = np.zeros(len(order), np.int64)
    new[first] = 1
    number = int(np.searchsorted(np.cumsum(new), most_contexts, side="right"))
    kept = np.zeros(len(order), np.bool_)
    kept[order[: min(number, most_grams)]] = True
    return np.split(kept, sizes[1:-1])


def _of_length(
    n: int, these: Grams, kept: NDArray[np.bool_], read: Numbers
) -> tuple[Any, Any, Any, Any, Any, Any]:
    """Return the contexts of n symbols, γ, number and times of the n-grams of each, and those.

    ``read`` are the symbols + 1 of the text, after as many zeros as a context has before them.
    """
    shares = _shares(these)[kept]
    _, first, number = np.unique(these.context[kept], return_index=True, return_counts=True)
    own = np.repeat(np.arange(len(number)), number)
    left = 1 - np.bincount(own, shares, len(number))
    times = np.bincount(own, these.times[kept], len(number)).astype(np.int64)
    if n:
        before = these.ends[kept][first] - 1  # where the context ends
        key = keys(read[np.arange(LONGEST)[:, None] + before])[0][n - 1, 0]
    else:
        key = np.full(len(number), EMPTY, np.uint64)
    return key, left, number, times, these.symbol[kept], shares
