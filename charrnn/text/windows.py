"""The parallel streams of truncated backpropagation through time.

The N streams are N equal contiguous pieces of the text; a window is T steps of all of them, and the
next window goes on where it ended (Williams & Peng 1990, "An efficient gradient-based algorithm for
on-line training of recurrent network trajectories").
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import CorpusError, UsageError

Ids = NDArray[Any]
MIN_EVALUATION_LENGTH = 1024


class Batch(NamedTuple):
    """T steps of N streams.

    ``inputs`` and ``targets`` are (T, N), C-contiguous, in the type of the text's ids; ``start``
    tells that an epoch begins here, where a carried state must be zeroed.
    """

    inputs: Ids
    targets: Ids
    epoch: int
    start: bool


class EvaluationBatch(NamedTuple):
    """T steps of N streams, each target counting once; False in ``mask`` (T, N) does not count.

    ``mask`` is ``None`` where everything counts.
    """

    inputs: Ids
    targets: Ids
    mask: NDArray[np.bool_] | None


class Streams:
    """The windows of a training text, for any step, without state.

    Of ``n`` symbols every stream reads ``length = (n - 1) // batch``: stream ``i`` reads
    ``ids[i·length : (i+1)·length]``, and its targets are the symbols after each. The last
    ``length % seq_len`` steps of every stream are not used.

    Parameters
    ----------
    ids
        1-D array of ids, may be memory-mapped: only what a window needs is touched.
    batch, seq_len
        Streams N and steps T; see :func:`fit_window` for a text that is too short for them.

    Raises
    ------
    CorpusError
        The text is shorter than one window.
    """

    def __init__(self, ids: Ids, batch: int, seq_len: int) -> None:
        _check_sizes(batch, seq_len)
        ids = np.asarray(ids)
        least = batch * seq_len + 1
        if len(ids) < least:
            message = f"the training text has {len(ids):,} symbols, one window takes {least:,}"
            raise CorpusError(message, "lower --batch or --seq-len, or use a longer text")
        self.batch, self.seq_len = batch, seq_len
        self.length = (len(ids) - 1) // batch
        self.windows_per_epoch = self.length // seq_len
        used = self.length * batch
        self._inputs = ids[:used].reshape(batch, self.length)
        self._targets = ids[1 : used + 1].reshape(batch, self.length)

    def batch_at(self, step: int, out: tuple[Ids, Ids] | None = None) -> Batch:
        """Return the window of global step 0, 1, 2, …; it depends on the step alone.

        ``out`` is a pair of C-contiguous (T, N) arrays to be filled instead of new ones.
        """
        if step < 0:
            raise ValueError(f"step {step} is negative")
        epoch, place = divmod(step, self.windows_per_epoch)
        steps = slice(place * self.seq_len, (place + 1) * self.seq_len)
        if out is None:
            shape = (self.seq_len, self.batch)
            out = np.empty(shape, self._inputs.dtype), np.empty(shape, self._inputs.dtype)
        np.copyto(out[0], self._inputs[:, steps].T)
        np.copyto(out[1], self._targets[:, steps].T)
        return Batch(out[0], out[1], epoch, place == 0)


def fit_window(n_train: int, batch: int, seq_len: int) -> tuple[int, int, str | None]:
    """Lower the batch, and then the window, to what a short text can fill.

    Returns
    -------
    batch, seq_len, note
        ``note`` is one line that says what was lowered and why, or ``None``.

    Raises
    ------
    CorpusError
        Fewer than 2 symbols: there is nothing to predict.
    """
    _check_sizes(batch, seq_len)
    if n_train < 2:
        message = f"the training text has {_symbols(n_train)}, it takes at least 2"
        raise CorpusError(message, "use a longer text, or a smaller --val-frac and --test-frac")
    if n_train - 1 >= batch * seq_len:
        return batch, seq_len, None
    why = (
        f"the training text has {_symbols(n_train)}, one window of {batch} streams × {seq_len} "
        f"steps takes {batch * seq_len + 1:,}"
    )
    if streams := (n_train - 1) // seq_len:
        return streams, seq_len, f"{why}: --batch lowered to {streams}"
    lowered = f"--seq-len lowered to {n_train - 1}"
    if batch > 1:
        lowered = f"--batch lowered to 1, {lowered}"
    return 1, n_train - 1, f"{why}: {lowered}"


class EvaluationStreams:
    """Parallel streams that cover every target of a text exactly once.

    Of M targets the first M mod N streams take one more than the others; that last, ragged step
    comes with a mask. Every stream starts from a zero state and goes through all windows.

    Attributes
    ----------
    batch
        Number of streams.
    seq_len
        Steps of a window; the last window may be shorter.
    targets
        Number of targets M.
    """

    def __init__(self, ids: Ids, batch: int, seq_len: int) -> None:
        _check_sizes(batch, seq_len)
        self.targets = len(ids) - 1
        if self.targets < batch:
            message = f"the text has {_symbols(len(ids))}, it takes at least {batch + 1}"
            raise CorpusError(message, "use a longer text")
        self.batch, self.seq_len = batch, seq_len
        self._ids = np.asarray(ids)
        self._length, self._longer = divmod(self.targets, batch)

    def __iter__(self) -> Iterator[EvaluationBatch]:
        inputs, targets = self._blocks(0), self._blocks(1)
        steps = self._length + (self._longer > 0)
        for start in range(0, steps, self.seq_len):
            stop = min(start + self.seq_len, steps)
            mask = None
            if stop > self._length:
                mask = np.ones((stop - start, self.batch), np.bool_)
                mask[-1, self._longer :] = False
            yield EvaluationBatch(
                self._gather(inputs, start, stop), self._gather(targets, start, stop), mask
            )

    def _blocks(self, shift: int) -> tuple[Ids, Ids]:
        """Return views (streams, steps) of the longer and of the other streams."""
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
    ids: Ids, streams: int, limit: int | None = None, *, seq_len: int = 128
) -> EvaluationStreams:
    """Cut a text to ``limit`` targets and lay it out in at most ``streams`` parallel streams.

    Streams are as many as leave each at least 1024 symbols (one at least), so that the few
    predictions without context at each start do not weigh.

    Raises
    ------
    CorpusError
        The text has fewer than 2 symbols.
    """
    if len(ids) < 2:
        message = f"the text has {_symbols(len(ids))}, a score takes at least 2"
        raise CorpusError(message, "use a longer text")
    if limit is not None:
        if limit < 1:
            raise UsageError(f"a limit of {limit} characters is below 1", "give at least 1")
        ids = ids[: limit + 1]
    most = max(1, (len(ids) - 1) // MIN_EVALUATION_LENGTH)
    return EvaluationStreams(ids, max(1, min(streams, most)), seq_len)


def _check_sizes(batch: int, seq_len: int) -> None:
    for name, value in (("--batch", batch), ("--seq-len", seq_len)):
        if value < 1:
            raise UsageError(f"{name} {value} is below 1", "give a positive number")


def _symbols(n: int) -> str:
    return f"{n:,} symbol" if n == 1 else f"{n:,} symbols"
