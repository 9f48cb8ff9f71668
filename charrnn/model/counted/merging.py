"""The n-grams of another text, beside those of this one.

A run that starts from the weights of another one keeps what that one has counted. Where both texts
know a context h, with n the times that it occurs in this one,

    q(x | h) = λ q_this(x | h) + (1 - λ) q_other(x | h),   λ = n / (n + PRIOR)

as if the other text had told what follows h :data:`PRIOR` times (a maximum a posteriori estimate:
Bacchiani et al. 2006, "MAP adaptation of stochastic grammars"). Where one of them knows it, that
one speaks; shorter contexts are mixed alike.

The tables hold keys instead of contexts. But a kept n-gram is as frequent as any longer one that
begins with it, and so was kept before it: from the empty context on, each n-gram with its last
symbol is the next longer context, whose key can be looked up.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.model.counted.contexts import EMPTY, LONGEST, Keys, keys
from charrnn.model.counted.counting import Numbers, Table, followers

PRIOR = 5.0
"""The times that the other text counts for; `benchmarks/LOG.md` has prose, verse and code."""


def spelled(table: Table) -> tuple[Numbers, Numbers]:
    """Return the contexts of a table, and how long they are.

    Returns
    -------
    read
        (C, K) symbols + 1, the last one of a context last, after zeros.
    length
        (C,); -1 if a context cannot be told, as in a forged file.
    """
    read = np.zeros((len(table.keys), LONGEST), np.int64)
    length = np.full(len(table.keys), -1)
    length[table.keys == EMPTY] = 0
    begins = np.append(table.begins, len(table.symbols))
    for k in range(LONGEST):
        shorter = np.flatnonzero(length == k)
        which, place = followers(shorter, begins)
        longer = np.column_stack((read[shorter[which], 1:], table.symbols[place] + 1))
        found = _keys(longer, np.full(len(longer), k + 1))
        row = np.minimum(np.searchsorted(table.keys, found), len(table.keys) - 1)
        known = (table.keys[row] == found) & (length[row] < 0)
        read[row[known]], length[row[known]] = longer[known], k + 1
    return read, length


def translated(table: Table, numbers: NDArray[Any]) -> Table:
    """Return a table whose symbols have other numbers, -1 where they are no more.

    Contexts with such a symbol are left out. What they follow others with goes to shorter contexts.
    """
    read, length = spelled(table)
    read = np.append(0, numbers + 1)[read]
    known = (length >= 0) & (np.count_nonzero(read, axis=1) == length)
    rows = np.flatnonzero(known)
    found = _keys(read[rows], length[rows])
    order = np.argsort(found, kind="stable")
    own, place = followers(rows[order], np.append(table.begins, len(table.symbols)))
    symbols, shares = numbers[table.symbols[place]], table.shares[place]
    gone = symbols < 0
    left = table.left[rows[order]] + np.bincount(own[gone], shares[gone], len(rows))
    number = np.bincount(own[~gone], minlength=len(rows))
    new = np.cumsum(number) - number
    times = np.zeros(len(rows), np.int64)
    return Table(found[order], left, new, symbols[~gone], shares[~gone], times)


def merged(this: Table, other: Table, V: int) -> Table:
    """Return the table of both texts, of V symbols."""
    every = np.union1d(this.keys, other.keys)
    ours, theirs = (np.searchsorted(every, each.keys) for each in (this, other))
    weight = np.zeros(len(every))
    weight[ours] = 1.0
    both = ours[np.isin(this.keys, other.keys)]
    times = np.zeros(len(every), np.int64)
    times[ours] = this.times
    weight[both] = times[both] / (times[both] + PRIOR)
    left = np.zeros(len(every))
    left[ours] += weight[ours] * this.left
    left[theirs] += (1 - weight[theirs]) * other.left
    cells, shares = [], []
    for table, rows, share in ((this, ours, weight), (other, theirs, 1 - weight)):
        row = np.repeat(rows, np.diff(np.append(table.begins, len(table.symbols))))
        cells.append(row * V + table.symbols)
        shares.append(share[row] * table.shares)
    cell, where = np.unique(np.concatenate(cells), return_inverse=True)
    number = np.bincount(cell // V, minlength=len(every))
    found = np.bincount(where, np.concatenate(shares), len(cell)).astype(np.float64)
    return Table(every, left, np.cumsum(number) - number, cell % V, found, times)


def fitting(table: Table, most_grams: int, most_contexts: int) -> Table:
    """Return a table without the longest contexts, of which there are too many."""
    number = np.diff(np.append(table.begins, len(table.symbols)))
    if len(number) <= most_contexts and len(table.symbols) <= most_grams:
        return table
    order = np.argsort(spelled(table)[1], kind="stable")
    within = (np.cumsum(number[order]) <= most_grams) & (np.arange(len(order)) < most_contexts)
    rows = np.sort(order[within])
    _, place = followers(rows, np.append(table.begins, len(table.symbols)))
    number = number[rows]
    kept = (table.symbols[place], table.shares[place], table.times[rows])
    return Table(table.keys[rows], table.left[rows], np.cumsum(number) - number, *kept)


def _keys(read: Numbers, length: Numbers) -> Keys:
    """Return the keys of contexts (C, K) of these lengths (C,)."""
    every = np.vstack((np.full((1, len(read)), EMPTY, np.uint64), keys(read.T)[0][:, 0]))
    return every[length, np.arange(len(read))]
