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

Numbers = NDArray[np.int64]


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
    last
        Where it first ends in the text.
    """

    context: Numbers
    symbol: Numbers
    suffix: Numbers
    times: Numbers
    counts: Numbers
    last: Numbers


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
    """

    keys: NDArray[np.uint64]
    left: NDArray[np.float64]
    begins: Numbers
    symbols: Numbers
    shares: NDArray[np.float64]


NOTHING = Table(
    np.full(1, EMPTY, np.uint64),
    np.ones(1),
    np.zeros(1, np.int64),
    np.zeros(0, np.int64),
    np.zeros(0),
)
"""The table of a text without symbols."""


def table(ids: NDArray[Any], V: int, most_grams: int, most_contexts: int) -> Table:
    """Count the n-grams of a text of V symbols; keep the most frequent ones.

    Of those that are as frequent the shorter are kept first.
    """
    if not len(ids):
        return NOTHING
    every = grams(ids, V)
    kept = _most_frequent(every, most_grams, most_contexts)
    read = np.concatenate((np.zeros(LONGEST - 1, np.int64), ids + 1))
    found = keys(read[:, None])[0][:, :, 0]
    parts = [
        _of_length(n, these, some_of, found)
        for n, (these, some_of) in enumerate(zip(every, kept, strict=True))
    ]
    key, left, number, symbols, shares = (np.concatenate(x) for x in zip(*parts, strict=True))
    order, begins = np.argsort(key, kind="stable"), np.cumsum(number) - number
    number = number[order]
    new = np.cumsum(number) - number
    at = np.repeat(begins[order] - new, number) + np.arange(len(symbols))
    return Table(key[order], left[order], new, symbols[at], shares[at])


def some(ids: Any) -> NDArray[np.int64]:
    """Return the symbols of a text that are counted; the text may be memory-mapped."""
    n = len(ids)
    if n <= SYMBOLS:
        return np.asarray(ids, np.int64)
    length = SYMBOLS // PIECES
    starts = [(n - length) * k // (PIECES - 1) for k in range(PIECES)]
    return np.concatenate([np.asarray(ids[at : at + length], np.int64) for at in starts])


def grams(ids: Numbers, V: int) -> list[Grams]:
    """Return the n-grams of a text of one symbol, of two, and so on."""
    found: list[Grams] = []
    before = np.zeros(len(ids) + 1, np.int64)  # the number of the shorter n-gram that ends there
    for n in range(min(LONGEST + 1, len(ids))):
        symbols = ids[n:]
        _, at, number, times = np.unique(
            before[: len(symbols)] * V + symbols,
            return_index=True,
            return_inverse=True,
            return_counts=True,
        )
        context, suffix = before[at], before[1:][at] if n else at * 0
        if n:
            preceded = np.bincount(suffix, minlength=len(found[-1].times))
            found[-1] = found[-1]._replace(counts=np.maximum(preceded, 1))
        found.append(Grams(context, symbols[at], suffix, times, times, at + n))
        before = number
    return found


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
    context = np.concatenate([each.context + sizes[n] for n, each in enumerate(every)])
    first = np.unique(context[order], return_index=True)[1]
    new = np.zeros(len(order), np.int64)
    new[first] = 1
    number = int(np.searchsorted(np.cumsum(new), most_contexts, side="right"))
    kept = np.zeros(len(order), np.bool_)
    kept[order[: min(number, most_grams)]] = True
    return np.split(kept, sizes[1:-1])


def _of_length(
    n: int, these: Grams, kept: NDArray[np.bool_], found: NDArray[np.uint64]
) -> tuple[Any, Any, Any, Any, Any]:
    """Return the contexts of n symbols, γ, the number of n-grams of each, and those n-grams.

    ``found`` are the keys of the contexts of 1, 2, … symbols that end at each place.
    """
    shares = _shares(these)[kept]
    _, first, number = np.unique(these.context[kept], return_index=True, return_counts=True)
    own = np.repeat(np.arange(len(number)), number)
    left = 1 - np.bincount(own, shares, len(number))
    ends = these.last[kept][first] - 1
    key = found[n - 1][ends] if n else np.full(len(number), EMPTY, np.uint64)
    return key, left, number, these.symbol[kept], shares
