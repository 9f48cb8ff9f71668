"""The tables of counted n-grams as parameters of a model, and what they say of the next symbol."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.backend import Array, Backend
from charrnn.model.counted import counting, merging
from charrnn.model.counted.contexts import KEY_BITS, LONGEST
from charrnn.model.counted.lookup import PAIRS, Lookup
from charrnn.model.head import Beside
from charrnn.model.parameters import FIXED, Parameters

READ = FIXED + "read"
"""The name of the state that holds the last symbols of each stream."""
HIGH, LOW, LEFT, BEGINS = (FIXED + name for name in ("high", "low", "left", "begins"))
SYMBOLS, SHARES = FIXED + "symbol", FIXED + "p"
MIXED, SHARE = FIXED + "share", 0.45
"""s, which is stored beside the tables, and its value for new ones."""
HALF = KEY_BITS // 2
ALL = slice(None)
"""All steps."""


class Counted:
    """The counted n-grams of a language model of V symbols.

    Parameters
    ----------
    most
        The most n-grams.
    """

    def __init__(self, most: int, vocabulary: int, backend: Backend) -> None:
        self._most, self._V, self._backend = most, vocabulary, backend
        self._contexts = max(1, most // 2) + 1
        self._prepared: tuple[Parameters, Lookup, float] | None = None

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return names and shapes: contexts and n-grams of :class:`counting.Table`.

        A key is stored as its two halves, which float32 holds.
        """
        of_contexts, of_grams = (HIGH, LOW, LEFT, BEGINS), (SYMBOLS, SHARES)
        shapes: dict[str, tuple[int, ...]] = dict.fromkeys(of_contexts, (self._contexts,))
        return shapes | dict.fromkeys(of_grams, (self._most,)) | {MIXED: (1,)}

    def clear(self, weights: Parameters) -> None:
        """Write the tables of a text without n-grams: all symbols are as likely."""
        self._write(weights, counting.NOTHING)

    def fill(self, weights: Parameters, ids: Any, other: counting.Table | None = None) -> None:
        """Count the n-grams of a text (n,), and write the tables into the weights.

        ``other`` are those of another text (:mod:`.merging`).
        """
        self._count(weights, counting.some(ids), other=other)

    def fill_with_examples(
        self,
        weights: Parameters,
        ids: Any,
        lengths: NDArray[Any],
        start: int,
        other: counting.Table | None = None,
    ) -> None:
        """Count the n-grams of examples, each of which is read from nothing but a symbol before it.

        Parameters
        ----------
        ids, lengths
            The examples joined (n,), and the length of each.
        start
            That symbol, which is also the last one of each example.
        other
            The n-grams of another text.
        """
        self._count(weights, *counting.some_examples(ids, lengths, start), other=other)

    def _count(
        self,
        weights: Parameters,
        ids: NDArray[Any],
        ends: NDArray[Any] | None = None,
        other: counting.Table | None = None,
    ) -> None:
        room = own = self._most, self._contexts - 1
        if other is not None:  # which gives way at most to half of it
            taken = len(other.symbols), len(other.keys)
            own = max(room[0] - taken[0], room[0] // 2), max(room[1] - taken[1], room[1] // 2)
        made = counting.table(ids, self._V, *own, ends)
        if other is not None:
            made = merging.fitting(merging.merged(made, other, self._V), *room)
        self._write(weights, made)

    def known(self, weights: Parameters, numbers: NDArray[Any]) -> counting.Table:
        """Return what was counted, for a vocabulary in which each symbol has another number.

        ``numbers`` (V,) are those of a model with that vocabulary, -1 for symbols that it lacks.
        """
        return merging.translated(self._table(weights), numbers)

    def _write(self, weights: Parameters, made: counting.Table) -> None:
        low = (1 << HALF) - 1
        halves = (made.keys >> np.uint64(HALF), made.keys & np.uint64(low))
        self._put(weights[HIGH], halves[0], low)  # after all keys
        self._put(weights[LOW], halves[1], low)
        self._put(weights[LEFT], made.left, 1)
        self._put(weights[BEGINS], made.begins, len(made.symbols))
        self._put(weights[SYMBOLS], made.symbols, 0)
        self._put(weights[SHARES], made.shares, 0)
        weights[MIXED][...] = SHARE
        self._prepared = None

    def _put(self, out: Array, values: NDArray[Any], otherwise: int) -> None:
        whole = np.full(out.shape, otherwise, np.float64)
        whole[: len(values)] = values
        out[...] = self._backend.put(whole, out.dtype)

    def state(self, steps: int, streams: int, dtype: Any) -> Array:
        """Allocate what a window remembers of streams, (T + 1, K - 1, N): symbols + 1, or 0."""
        return self._backend.xp.zeros((steps + 1, LONGEST - 1, streams), dtype)

    def remember(self, states: Array, ids: Array) -> None:
        """Write what is remembered after symbols (T, N), given what was before them."""
        T = len(ids)
        states[T] = self.read(states[0], ids)[T:]

    def read(self, before: Array, ids: Array) -> Array:
        """Return what was read before symbols (T, N), (K - 1, N), followed by them."""
        return self._backend.xp.concatenate((before, ids.astype(before.dtype) + 1))

    def beside(self, weights: Parameters, read: Array, part: slice = ALL) -> Beside:
        """Return what the logits after each step are mixed with, or after some of the steps.

        ``read`` (K - 1 + T, N) is the result of :meth:`read`.
        """
        lookup, share = self.prepared(weights)
        host, dtype = self._backend.get(read), weights[SHARES].dtype
        T = len(host) - LONGEST + 1
        start, stop, _ = part.indices(T)
        host = host[start : stop + LONGEST - 1]
        core = self._backend.core if dtype == "float32" else None
        added = lookup.log_q(host, share, dtype, core)
        return Beside(1 - share, self._backend.put(added, dtype))

    def prepared(self, weights: Parameters) -> tuple[Lookup, float]:
        """Return the tables as they are read, and s."""
        if self._prepared is None or self._prepared[0] is not weights:
            share = float(self._backend.get(weights[MIXED])[0])
            self._prepared = weights, Lookup(self._table(weights), self._V), share
        return self._prepared[1:]

    def _table(self, weights: Parameters) -> counting.Table:
        """Return the tables; numbers that are none of them, as in a forged file, become some."""
        high, low, left, begins, symbols, shares = (
            np.nan_to_num(self._backend.get(weights[name]).astype(np.float64))
            for name in (HIGH, LOW, LEFT, BEGINS, SYMBOLS, SHARES)
        )
        halves = [np.clip(half, 0, (1 << HALF) - 1).astype(np.uint64) for half in (high, low)]
        keys = (halves[0] << np.uint64(HALF)) + halves[1]
        rows = np.maximum.accumulate(np.clip(begins, 0, self._most).astype(np.int64))
        followers = np.clip(symbols, 0, self._V - 1).astype(np.int64)
        return counting.Table(keys, left, rows, followers, shares, np.zeros_like(rows))


def elements(most: int, V: int, at_once: int, itemsize: int) -> int:
    """Return the elements that ``most`` n-grams need to be read after ``at_once`` symbols."""
    of_tables = 2 * (2 * (most // 2 + 1) + most) + (V * V if V * V <= PAIRS else 0)
    of_keys = 4 * LONGEST * at_once
    return 8 // itemsize * (of_tables + of_keys) + 2 * at_once * V
