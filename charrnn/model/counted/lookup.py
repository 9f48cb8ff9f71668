"""What tables of counted n-grams say of the next symbol; with a compiled core, by that."""

from __future__ import annotations

from ctypes import addressof
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.backend.native import jobs
from charrnn.backend.native.core import Core, address
from charrnn.model.counted.contexts import LONGEST, Keys, keys
from charrnn.model.counted.counting import Table, followers

PAIRS = 1 << 18
"""The most numbers in a table of all pairs of symbols."""


class Lookup:
    """Tables of V symbols, prepared to be read."""

    def __init__(self, table: Table, V: int) -> None:
        self._table, self._V = table, V
        self._begins = np.append(table.begins, table.begins[-1])
        root = slice(*self._begins[:2])  # the empty context's key is the smallest
        self._alone = np.full(V, table.left[0] / V)
        self._alone[table.symbols[root]] += table.shares[root]
        self._pairs: NDArray[np.float64] | None = None
        if V * V <= PAIRS:
            read = np.zeros((LONGEST, V), np.int64)
            read[-1] = np.arange(1, V + 1)
            self._pairs = self.probabilities(read)

    def log_q(self, read: NDArray[Any], share: float, dtype: Any, core: Core | None) -> Any:
        """Return s ln q after each step of each stream, (T, N, V).

        Parameters
        ----------
        read
            What was read (K - 1 + T, N): symbols + 1, or 0 where nothing was.
        core
            The compiled core, for float32.
        """
        T, N = len(read) - LONGEST + 1, read.shape[1]
        if core is None:
            q = self.probabilities(read).reshape(T, N, self._V)
            return (share * np.log(q)).astype(dtype)
        numbers, out = read.astype(np.int64), np.empty((T, N, self._V), np.float32)
        tables = self.described(share)
        job = jobs.Counted(addressof(tables), T, N, address(numbers), address(out))
        core.call("counted", job, 64.0 * out.size)
        return out

    def described(self, share: float) -> Any:
        """Return the C structure of the tables, which live as long as this."""
        table = self._table
        return jobs.CountedTables(
            V=self._V,
            contexts=len(table.keys),
            keys=address(table.keys),
            left=address(table.left),
            begins=address(self._begins),
            symbols=address(table.symbols),
            p=address(table.shares),
            alone=address(self._alone),
            pairs=address(self._pairs),
            share=share,
        )

    def probabilities(self, read: NDArray[Any]) -> NDArray[np.float64]:
        """Return q after each step of each stream, (T N, V)."""
        found, last = _found(read)
        if self._pairs is None:
            p, first = np.repeat(self._alone[None], len(last), axis=0), 0
        else:
            p, first = np.where((last > 0)[:, None], self._pairs[last - 1], self._alone), 1
        for each in found[first:]:
            self._add(p, each)
        return p

    def _add(self, p: NDArray[np.float64], found: Keys) -> None:
        """Make q of a context out of q of a shorter one, both (M, V), where the longer is known."""
        known, V = self._table, self._V
        row = np.minimum(np.searchsorted(known.keys, found), len(known.keys) - 1)
        at = np.flatnonzero((known.keys[row] == found) & (found > 0))
        row = row[at]
        p[at] *= known.left[row][:, None]
        which, place = followers(row, self._begins)
        cells = at[which] * V + known.symbols[place]
        p.reshape(-1)[cells] += known.shares[place]


def _found(read: NDArray[Any]) -> tuple[Keys, NDArray[np.int64]]:
    """Return the key of each context (K, T N), 0 if there is none, and last symbols + 1, (T N,)."""
    found, there = keys(read)
    last = read[LONGEST - 1 :].reshape(-1).astype(np.int64)
    return np.where(there, found, np.uint64(0)).reshape(LONGEST, -1), last
