"""The parallel streams of truncated backpropagation through time.

The N streams are N contiguous pieces of the text, all of the same length. A batch is T steps of
every stream, and the next batch begins where it ended (Williams & Peng 1990, "An efficient
gradient-based algorithm for on-line training of recurrent network trajectories").
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.display import count
from charrnn.errors import CorpusError, UsageError, setting
from charrnn.randomness import Purpose, Words, threshold
from charrnn.text.units.pieces import Ids, Pieces, TextIds

EVALUATION_STEPS, EVALUATION_STREAMS = 32, 64
"""T of a window of the validation text, and the most streams that it is divided into."""
MIN_EVALUATION_LENGTH = 1024
"""Symbols that each of these streams has, unless there is only one."""
AHEAD = 64
"""Steps whose restarts are drawn at a time; alone, those of one cost as much as those of eight."""


class Batch(NamedTuple):
    """T steps of N streams.

    Attributes
    ----------
    inputs, targets
        (T, N), C-contiguous, in the type of the text's ids.
    epoch
        Passes over the text that were completed before, from 0.
    reset
        (N,), True for each stream that starts from a zero state here; None if all continue from
        the previous window.
    mask
        (T, N), True for each target that counts; None if all of them do.
    starts
        (T, N), True at each step where a stream is reset to a zero state, including its first step.
        None if no reset falls after the first step. The step before a reset has no target.
    symbols
        Targets of all streams that count; None if all of them do.
    lengths
        (N,): how many steps each stream has before its padding, of whole sequences; their targets
        may be (N,). None if all have T.
    """

    inputs: Ids
    targets: Ids
    epoch: int
    reset: NDArray[np.bool_] | None
    mask: NDArray[np.bool_] | None = None
    starts: NDArray[np.bool_] | None = None
    symbols: int | None = None
    lengths: NDArray[np.int64] | None = None

    def of(self, streams: slice) -> Batch:
        """Return a copy of some of the streams."""
        cut = (
            None if array is None else np.ascontiguousarray(array[..., streams])
            for array in (
                *(self.inputs, self.targets, self.reset, self.mask, self.starts),
                self.lengths,
            )
        )
        inputs, targets, reset, mask, starts, lengths = cut
        assert inputs is not None
        assert targets is not None
        return Batch(inputs, targets, self.epoch, reset, mask, starts, self.symbols, lengths)


class Streams:
    """The batches of a training text: a function of the step, without state.

    A stream has ``length = (n - 1) // batch`` of the ``n`` symbols. The inputs of stream ``i`` are
    ``ids[i·length : (i+1)·length]``, and each target is the symbol after its input. The last
    ``length % seq_len`` steps of every stream are unused.

    Parameters
    ----------
    ids
        1-D array of ids, or pieces of one. It may be memory-mapped: only what a batch needs is
        read.
    batch, seq_len
        Number of streams N and steps T. :func:`fit_window` lowers them for a short text.
    carry
        Whether states are carried from window to window; if not, all streams start from a zero
        state in each. At the start of an epoch, where the text jumps back, they always do.
    restart
        The probability that a single stream starts from a zero state in a window, a function of
        ``seed`` and the step.

    Raises
    ------
    CorpusError
        If the text is shorter than one window.
    UsageError
        If ``batch`` or ``seq_len`` is below 1.
    """

    def __init__(
        self,
        ids: TextIds,
        batch: int,
        seq_len: int,
        *,
        carry: bool = True,
        restart: float = 0.0,
        seed: int = 0,
    ) -> None:
        _check_sizes(batch, seq_len)
        self._carry, self._restart = carry, restart
        self._words = Words(seed, Purpose.RESTART)
        least = batch * seq_len + 1
        if len(ids) < least:
            has = f"the training text has {count(len(ids), 'symbol')}"
            message = f"{has}, one window needs {least:,}"
            lower = f"lower {setting('batch')} or {setting('seq_len')}"
            raise CorpusError(message, f"{lower}, or use a longer text")
        self.batch, self.seq_len = batch, seq_len
        self.among(batch, slice(0, batch))
        self.length = (len(ids) - 1) // batch
        self.windows_per_epoch = self.length // seq_len
        self._ids = ids if isinstance(ids, Pieces) else np.ascontiguousarray(ids)

    def among(self, streams: int, mine: slice) -> None:
        """Draw restarts for all of ``streams`` streams, of which these are some."""
        self._streams, self._mine = streams, mine
        self._drawn: tuple[int, list[NDArray[np.bool_] | None]] = (-1, [])

    def batch_at(self, step: int) -> Batch:
        """Return the batch of a global step, counted from 0."""
        if step < 0:
            raise ValueError(f"step {step} is negative")
        epoch, place = divmod(step, self.windows_per_epoch)
        read = self._read(place * self.seq_len)
        inputs, targets = np.array(read[:-1], order="C"), np.array(read[1:], order="C")
        return Batch(inputs, targets, epoch, self._reset(step, place == 0))

    def _read(self, start: int) -> Ids:
        """Return the symbols (seq_len + 1, batch) of all streams from step ``start`` on, a view."""
        ids, steps, length = self._ids, self.seq_len + 1, self.length
        if isinstance(ids, Pieces):
            begins = range(start, length * self.batch, length)
            return np.stack([ids[begin : begin + steps] for begin in begins], axis=1)
        size, shape = ids.itemsize, (steps, self.batch)
        return np.ndarray(shape, ids.dtype, ids, start * size, (size, length * size))

    def _reset(self, step: int, first: bool) -> NDArray[np.bool_] | None:
        """Return which streams start from a zero state; ``first``: an epoch starts here."""
        if first or not self._carry:
            return np.ones(self.batch, np.bool_)
        if not self._restart:
            return None
        block, place = divmod(step, AHEAD)
        if block != self._drawn[0]:
            steps = range(block * AHEAD, (block + 1) * AHEAD)
            self._drawn = block, [self._draw(step) for step in steps]
        reset = self._drawn[1][place]
        return None if reset is None else reset.copy()

    def _draw(self, step: int) -> NDArray[np.bool_] | None:
        """Return which streams the dice let start from a zero state at a step; None if none."""
        bits = self._words.at(step, self._streams)[self._mine]
        reset: NDArray[np.bool_] = bits < np.uint32(threshold(self._restart))
        return reset if reset.any() else None


def fit_window(n_train: int, batch: int, seq_len: int) -> tuple[int, int, str | None]:
    """Lower the number of streams, and then that of steps, to what a short text can fill.

    Returns
    -------
    batch, seq_len, note
        ``note`` is one line that says what was lowered and why, or None.

    Raises
    ------
    CorpusError
        If the text has fewer than 2 symbols: there is nothing to predict.
    UsageError
        If ``batch`` or ``seq_len`` is below 1.
    """
    _check_sizes(batch, seq_len)
    if n_train < 2:
        message = f"the training text has {count(n_train, 'symbol')}, but at least 2 are needed"
        fractions = f"a smaller {setting('val_frac')} and {setting('test_frac')}"
        raise CorpusError(message, f"use a longer text, or {fractions}")
    if n_train - 1 >= batch * seq_len:
        return batch, seq_len, None
    streams, steps = max(1, (n_train - 1) // seq_len), min(seq_len, n_train - 1)
    note = (
        f"the training text has {count(n_train, 'symbol')}, but one window of "
        f"{count(batch, 'stream')} × {count(seq_len, 'step')} needs {batch * seq_len + 1:,}; "
        f"using {count(streams, 'stream')} × {count(steps, 'step')} instead"
    )
    return streams, steps, note


class EvaluationStreams:
    """Parallel streams that cover every target of a text exactly once; iterating gives batches.

    Of M targets the first M mod N streams have one more than the others, so that the last step
    needs a mask. Every stream starts from a zero state and continues through all batches.

    Attributes
    ----------
    batch
        Number of streams N.
    seq_len
        Number of steps T of a batch; the last batch may be shorter.
    targets
        Number of targets M.
    """

    def __init__(self, ids: Ids, batch: int, seq_len: int) -> None:
        _check_sizes(batch, seq_len)
        self.targets = len(ids) - 1
        if self.targets < batch:
            message = f"the text has {count(len(ids), 'symbol')}, at least {batch + 1} are needed"
            raise CorpusError(message, "use a longer text")
        self.batch, self.seq_len = batch, seq_len
        self._ids = np.asarray(ids)
        self._length, self._longer = divmod(self.targets, batch)

    def __iter__(self) -> Iterator[Batch]:
        inputs, targets = self._blocks(0), self._blocks(1)
        steps = self._length + (self._longer > 0)
        for start in range(0, steps, self.seq_len):
            stop = min(start + self.seq_len, steps)
            mask = None
            if stop > self._length:
                mask = np.ones((stop - start, self.batch), np.bool_)
                mask[-1, self._longer :] = False
            yield Batch(
                self._gather(inputs, start, stop),
                self._gather(targets, start, stop),
                epoch=0,
                reset=None if start else np.ones(self.batch, np.bool_),
                mask=mask,
            )

    def _blocks(self, shift: int) -> tuple[Ids, Ids]:
        """Return views (streams, steps) of the longer streams and of the others."""
        ids, middle = self._ids[shift:], self._longer * (self._length + 1)
        longer = ids[:middle].reshape(self._longer, self._length + 1)
        others = ids[middle : self.targets].reshape(self.batch - self._longer, self._length)
        return longer, others

    def _gather(self, blocks: tuple[Ids, Ids], start: int, stop: int) -> Ids:
        longer, others = blocks
        out = np.zeros((stop - start, self.batch), self._ids.dtype)
        np.copyto(out[:, : self._longer], longer[:, start:stop].T)
        inside = min(stop, self._length)
        np.copyto(out[: inside - start, self._longer :], others[:, start:inside].T)
        return out


def evaluation_streams(
    ids: TextIds, streams: int, limit: int | None = None, *, seq_len: int = EVALUATION_STEPS
) -> EvaluationStreams:
    """Cut a text to ``limit`` targets and divide it into at most ``streams`` parallel streams.

    There are fewer streams (but at least one) if each would have fewer than
    :data:`MIN_EVALUATION_LENGTH` symbols: the first predictions of a stream lack context, and in so
    short a stream they would have too much weight.

    Raises
    ------
    CorpusError
        If the text has fewer than 2 symbols.
    UsageError
        If ``limit`` is below 1.
    """
    if len(ids) < 2:
        message = f"the text has {count(len(ids), 'symbol')}, a score needs at least 2"
        raise CorpusError(message, "use a longer text")
    if limit is not None:
        if limit < 1:
            raise UsageError(f"a limit of {limit} characters is below 1", "choose at least 1")
        ids = ids[: limit + 1]
    ids = np.asarray(ids)
    most = max(1, (len(ids) - 1) // MIN_EVALUATION_LENGTH)
    return EvaluationStreams(ids, max(1, min(streams, most)), seq_len)


def _check_sizes(batch: int, seq_len: int) -> None:
    for name, value in (("batch", batch), ("seq_len", seq_len)):
        if value < 1:
            raise UsageError(f"{setting(name)} must be at least 1, not {value}")
