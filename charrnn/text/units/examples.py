"""Examples: whole units of a text, each read from a zero state.

Before an example the model reads one symbol, the *start*, so that the first symbol of the example
is predicted too. The start is the last symbol of the text that ends every example. An example of n
symbols has n targets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from charrnn.display import count
from charrnn.errors import CorpusError, UsageError, setting
from charrnn.randomness import Purpose
from charrnn.text.units.permutation import Permutation
from charrnn.text.units.pieces import Ids, Numbers, Pieces, begins
from charrnn.text.windows import Batch

_AT_ONCE = 1 << 18
"""Units whose lengths are looked up together."""
_COARSE = 16
"""The position of every 16th unit is stored; the others are counted from there."""
_AHEAD = 32
"""Windows that are made together."""


class Numbering(Protocol):
    """Maps the numbers of examples to units of the text."""

    def __call__(self, numbers: Numbers) -> Numbers:
        """Return units, of the shape of ``numbers``."""


def in_order(numbers: Numbers) -> Numbers:
    """Return the units of a text in its order."""
    return numbers


@dataclass(frozen=True)
class Units:
    """Examples: ``count`` units of a text, in an order.

    Attributes
    ----------
    ids, ends
        A text, 1-D, and where each of its units ends, 1-D. Both may be memory-mapped.
    number
        Maps 0 … ``count`` - 1 to units of the text.
    start
        The symbol that is read before each example.
    first
        Where the first unit of the text begins.
    symbols, longest
        Number of symbols of all examples together, and of the longest one.
    """

    ids: Ids
    ends: Numbers
    count: int
    number: Numbering
    start: int
    first: int
    symbols: int
    longest: int

    @classmethod
    def of(
        cls,
        ids: Ids,
        ends: Numbers,
        count: int,
        number: Numbering,
        start: int,
        first: int = 0,
    ) -> Units:
        """Return examples, and count their symbols."""
        made = cls(ids, ends, count, number, start, first, 0, 0)
        symbols = longest = 0
        for begin in range(0, count, _AT_ONCE):
            lengths = made.spans(np.arange(begin, min(begin + _AT_ONCE, count)))[1]
            symbols += int(lengths.sum())
            longest = max(longest, int(lengths.max()))
        return cls(ids, ends, count, number, start, first, symbols, longest)

    @classmethod
    def joined(cls, parts: Sequence[Ids], start: int) -> Units:
        """Return examples that are in memory, in this order; none may be empty."""
        ends = np.cumsum([len(part) for part in parts]).astype(np.int64)
        return cls.of(np.concatenate(list(parts)), ends, len(parts), in_order, start)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the ids."""
        return self.ids.dtype

    def __len__(self) -> int:
        return self.symbols

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Ids:
        return np.asarray(self.text(), dtype)

    def spans(self, numbers: Numbers) -> tuple[Numbers, Numbers]:
        """Return where the examples begin in the text, and their lengths."""
        units = self.number(numbers)
        starts = begins(self.ends, units, self.first)
        return starts, self.ends[units] - starts

    def text(self) -> Pieces:
        """Return the examples joined."""
        starts, lengths = self.spans(np.arange(self.count))
        return Pieces(self.ids, starts, starts + lengths)

    def lengths(self) -> Numbers:
        """Return the number of symbols of each example."""
        return self.spans(np.arange(self.count))[1]

    def __iter__(self) -> Iterator[Ids]:
        for begin in range(0, self.count, _AT_ONCE):
            numbers = np.arange(begin, min(begin + _AT_ONCE, self.count))
            for start, length in zip(*(part.tolist() for part in self.spans(numbers)), strict=True):
                yield self.ids[start : start + length]


class _Epoch:
    """The order of the examples in an epoch, and their positions in the row that they make.

    In the row each example of n symbols takes n + 1 steps; the last one has no target.
    """

    def __init__(self, units: Units, seed: int, epoch: int) -> None:
        self._units = units
        self._order = Permutation(units.count, seed, Purpose.ORDER, epoch)
        positions: list[Numbers] = []
        at = 0
        for begin in range(0, units.count, _AT_ONCE):
            numbers = np.arange(begin, min(begin + _AT_ONCE, units.count))
            ends = at + np.cumsum(units.spans(self._order(numbers))[1] + 1)
            positions.append(np.concatenate(([at], ends[:-1]))[::_COARSE])
            at = int(ends[-1])
        self._coarse = np.concatenate(positions)
        self.steps = at

    def look_up(self, positions: Numbers, most: int) -> tuple[Numbers, Numbers, Numbers]:
        """Return the examples in ``most`` steps from each position (P,), or a few more.

        Returns
        -------
        begins, starts, lengths
            Where each begins in the row and in the text, and its symbols, (P, examples) each.
            Columns without an example begin where the row ends.
        """
        count, mean = self._units.count, self.steps // self._units.count
        groups = np.searchsorted(self._coarse, positions, "right") - 1
        # Twice as many as there are on average are nearly always enough.
        for shortest in (max(2, mean // 2), 2):
            numbers = groups[:, None] * _COARSE + np.arange(_COARSE + most // shortest + 1)
            starts, lengths = self._units.spans(self._order(np.minimum(numbers, count - 1)))
            ends = self._coarse[groups][:, None] + np.cumsum(lengths + 1, axis=1)
            if (ends[:, -1] >= np.minimum(positions + most, self.steps)).all():
                break
        begins = np.where(numbers < count, ends - (lengths + 1), self.steps)
        return begins, starts, lengths

    def cuts(self, streams: int, steps: int, window: int) -> Numbers:
        """Return where each stream begins in the row, and where the last one ends, (streams + 1,).

        A stream takes whole examples as long as they fit into ``steps`` steps; the last step of its
        last example, which has no target, need not fit. An example that is longer than a window is
        cut to fit.
        """
        cuts = [0]
        for _ in range(streams):
            full = cuts[-1] + steps
            if full >= self.steps:
                cuts.append(self.steps)
                continue
            begins, _, lengths = (found[0] for found in self.look_up(np.array([full]), 1))
            at = int(np.searchsorted(begins, full, "right")) - 1
            begin, end = int(begins[at]), int(begins[at] + lengths[at]) + 1
            whole = end if full == end - 1 else begin
            cuts.append(full if end - begin > window and whole == begin else whole)
        return np.array(cuts)


class ExampleStreams:
    """The batches of training examples: a function of the step, without state.

    The order of the examples is drawn anew for every epoch. In that order they form a row, which is
    cut into N streams; a stream reads its examples one after the other, each from a zero state.
    Every example is read once per epoch. One that is longer than a window may be cut at the end of
    a stream; the next stream then begins with its second part, also from a zero state.

    Parameters
    ----------
    units
        The examples.
    batch, seq_len
        Number of streams N and steps T. :func:`fit_examples` lowers them for few examples.
    seed
        Determines the orders.

    Raises
    ------
    CorpusError
        If the examples have fewer steps than one window.
    """

    def __init__(self, units: Units, batch: int, seq_len: int, *, seed: int = 0) -> None:
        self._units, self._seed = units, seed
        steps = len(units) + units.count
        if steps < batch * seq_len:
            raise CorpusError(
                f"the examples have {steps:,} steps, but a window {batch * seq_len:,}"
            )
        self.batch, self.seq_len = batch, seq_len
        # A stream ends before an example that does not fit, unless the example may be cut.
        spare = min(units.longest, seq_len - 1) if batch > 1 else -1
        self.windows_per_epoch = -(-(steps + batch * spare) // (batch * seq_len))
        self._epoch: tuple[int, _Epoch, Numbers] | None = None
        self._made: tuple[int, int, list[NDArray[Any]]] | None = None

    def batch_at(self, step: int) -> Batch:
        """Return the batch of a global step, counted from 0."""
        if step < 0:
            raise ValueError(f"step {step} is negative")
        epoch, place = divmod(step, self.windows_per_epoch)
        block, at = divmod(place, _AHEAD)
        if self._made is None or self._made[:2] != (epoch, block):
            self._made = epoch, block, self._windows(epoch, block)
        steps = slice(at * self.seq_len, (at + 1) * self.seq_len)
        inputs, targets, starts, mask = (
            np.array(array[:, steps].T, order="C") for array in self._made[2]
        )
        reset = starts[0] | (place == 0)
        inside = starts if starts[1:].any() else None
        counted = int(mask.sum())
        return Batch(inputs, targets, epoch, reset if reset.any() else None, mask, inside, counted)

    def _windows(self, epoch: int, block: int) -> list[NDArray[Any]]:
        """Return inputs, targets, starts and mask of some windows, (N, steps) each."""
        if self._epoch is None or self._epoch[0] != epoch:
            order = _Epoch(self._units, self._seed, epoch)
            self._epoch = (
                epoch,
                order,
                order.cuts(self.batch, self.windows_per_epoch * self.seq_len, self.seq_len),
            )
        _, order, cuts = self._epoch
        steps = _AHEAD * self.seq_len
        ids = self._units.ids
        shape = (self.batch, steps)
        made: list[NDArray[Any]] = [np.zeros(shape, ids.dtype), np.zeros(shape, ids.dtype)]
        made += [np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)]
        begins = np.minimum(cuts[:-1] + block * steps, cuts[1:])
        stops = np.minimum(begins + steps, cuts[1:])
        active = np.flatnonzero(begins < stops)
        found = order.look_up(begins[active], steps)
        for row, stream in enumerate(active.tolist()):
            positions = np.arange(begins[stream], stops[stream])
            part = (array[stream, : len(positions)] for array in made)
            self._fill(positions, *(each[row] for each in found), *part)
        return made

    def _fill(
        self,
        positions: Numbers,
        begins: Numbers,
        texts: Numbers,
        lengths: Numbers,
        inputs: Ids,
        targets: Ids,
        starts: NDArray[np.bool_],
        mask: NDArray[np.bool_],
    ) -> None:
        """Write the steps at some positions of the row, given the examples there."""
        units = self._units
        at = np.searchsorted(begins, positions, "right") - 1
        inside = positions - begins[at]
        place = texts[at] + inside
        starts[...] = inside == 0
        mask[...] = inside < lengths[at]
        inputs[...] = np.where(starts, units.start, units.ids[np.maximum(place - 1, 0)])
        targets[mask] = units.ids[place[mask]]


def fit_examples(units: Units, batch: int, seq_len: int) -> tuple[int, int, str | None]:
    """Lower the number of streams, then of steps, until the examples fill one window.

    Returns
    -------
    batch, seq_len, note
        ``note`` is one line that says what was lowered and why, or None.

    Raises
    ------
    UsageError
        If ``batch`` is below 1, or ``seq_len`` below 2.
    """
    for name, value, least in (("batch", batch, 1), ("seq_len", seq_len, 2)):
        if value < least:
            raise UsageError(f"{setting(name)} must be at least {least} for examples, not {value}")
    steps = len(units) + units.count
    if steps >= batch * seq_len:
        return batch, seq_len, None
    streams, window = max(1, steps // seq_len), min(seq_len, steps)
    note = (
        f"the training text has {count(units.count, 'example')} of {count(len(units), 'symbol')}, "
        f"but one window of {count(batch, 'stream')} × {count(seq_len, 'step')} needs more; "
        f"using {count(streams, 'stream')} × {count(window, 'step')} instead"
    )
    return streams, window, note
