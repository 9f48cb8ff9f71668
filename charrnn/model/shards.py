"""A training window in shards: each thread takes a share of the streams.

Streams interact only through the sum of their gradients, so each thread goes forward and backward
over its own without waiting; then the gradients are added. The result equals that of one window up
to the order of additions, and is reproducible with the same number of threads. On a GPU, with the
compiled core (which divides its own work), or with one thread, there is one shard, which is the
window itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from charrnn import cells
from charrnn.backend import Array
from charrnn.backend.threads import Threads
from charrnn.config import ModelConfig
from charrnn.model import compiled
from charrnn.model.dropout import run_in_turn
from charrnn.model.network import Divisible, recurrent_bytes
from charrnn.model.parameters import Parameters
from charrnn.model.resets import Resets
from charrnn.model.sequences.padding import Padding
from charrnn.model.window import Carried


def shards(config: ModelConfig, streams: int, threads: Threads) -> int:
    """Return the best number of shards for ``streams`` streams of such a model."""
    if threads.compiled and compiled.fits(cells.create(config), config.dtype):
        return 1  # the compiled functions divide their work themselves
    return threads.shares(streams, recurrent_bytes(config))


class Shards(Carried):
    """A model's windows of ``steps`` steps of ``streams`` streams, forward and backward.

    Parameters
    ----------
    model
        Read at every call, so it may be trained meanwhile.
    steps, streams
        T, and the N of the whole batch.
    threads
        The threads to use; by default all that BLAS uses.
    mine
        The streams that are computed here if others compute the rest; by default all. There may be
        none.
    """

    def __init__(
        self,
        model: Divisible,
        steps: int,
        streams: int,
        threads: Threads | None = None,
        mine: slice | None = None,
    ) -> None:
        self.model = model
        self._threads = threads or Threads(model.backend)
        self._masks = model.masks(steps, streams)
        self._streams = streams
        self._mine = mine or slice(0, streams)
        streams = self._mine.stop - self._mine.start
        # there may be fewer texts in a batch than members
        count = shards(model.config, streams, self._threads) if streams else 0
        bounds = [streams * k // max(1, count) for k in range(count + 1)]
        self._parts = [slice(*pair) for pair in pairwise(bounds)]
        self._windows = [model.window(steps, part.stop - part.start) for part in self._parts]
        self._grads: list[Parameters] = []
        self._starts = {}
        if count <= 1:
            for window in self._windows:
                self._starts = dict(window.states())
            return
        xp, like = model.backend.xp, model.weights.trained
        self._grads = [like.like(xp.empty_like(like.flat)) for _ in self._parts[1:]]
        self._starts = {
            name: xp.zeros((1, model.config.hidden, streams), sequence.dtype)
            for name, sequence in self._windows[0].states()
        }

    @property
    def count(self) -> int:
        """The number of shards."""
        return len(self._parts)

    def serial_blas(self) -> AbstractContextManager[None]:
        """Return a context for training: BLAS has one thread if the shards use the others."""
        if self.model.core is not None:
            return nullcontext()
        return self._threads.serial_blas() if self.count > 1 else self._threads.shared_blas()

    def states(self) -> Iterator[tuple[str, Array]]:
        """Yield name and sequence of each state; its index 0, (H, N), is carried."""
        yield from self._starts.items()

    def carry(self) -> None:
        """Start the next window from the states in which the last one ended."""
        if self.count == 1:
            self._windows[0].carry()
            return
        for window, part in zip(self._windows, self._parts, strict=True):
            window.carry()
            for name, sequence in window.states():
                self._starts[name][0][:, part] = sequence[0]

    def loss_and_gradient(
        self,
        ids: Array,
        targets: Array,
        grads: Parameters,
        dropout_key: tuple[int, int] | None = None,
        *,
        mask: Array | None = None,
        symbols: int | None = None,
        resets: Resets | None = None,
        padding: Padding | None = None,
    ) -> Array:
        """Return these streams' part of the mean loss, and write its gradient.

        Parameters
        ----------
        ids, targets
            The streams that are computed here, (T, N); of whole sequences, the targets may be (N,).
        grads
            Overwritten.
        dropout_key
            (seed, step), which determine the masks; None for no dropout.
        mask, symbols
            Which targets count, and how many in the whole batch; by default all of them. See
            :meth:`Divisible.loss_and_gradient`.
        resets
            Which streams start from a zero state inside the window.
        padding
            Where the streams end, of whole sequences.
        """
        if not self.count:
            grads.flat[...] = 0.0
            return self.model.backend.xp.zeros((), grads.flat.dtype)
        symbols = symbols or len(ids) * self._streams
        dropped: Sequence[Array] | None = None
        if dropout_key is not None:
            steps = max(len(ids), len(targets)) if targets.ndim > 1 else len(ids)
            dropped = self._masks.draw(*dropout_key, steps, self._divide)
        if self.count == 1:
            self._windows[0].resets = resets
            dropped = self._of_streams(dropped, self._parts[0])
            how: dict[str, Any] = {"mask": mask, "padding": padding, "symbols": symbols}
            return self.model.loss_and_gradient(
                self._windows[0], ids, targets, grads, dropped, **how
            )
        xp = self.model.backend.xp
        for window, part in zip(self._windows, self._parts, strict=True):
            window.resets = resets and resets.columns(xp, part)
        compute = [
            partial(self._shard, k, ids, targets, each, dropped, mask, padding, symbols)
            for k, each in enumerate((grads, *self._grads))
        ]
        losses = self._threads.run(compute)
        for each in self._grads:
            grads.trained.flat[...] += each.flat
        return sum(losses[1:], losses[0])

    def _divide(self, tasks: Sequence[Callable[[], None]]) -> None:
        """Run tasks, divided among as many threads as there are shards."""
        self._threads.run([partial(run_in_turn, tasks[k :: self.count]) for k in range(self.count)])

    @np.errstate(all="ignore")  # a setting of each thread; non-finite values are checked later
    def _shard(
        self,
        k: int,
        ids: Array,
        targets: Array,
        grads: Parameters,
        dropped: Sequence[Array] | None,
        mask: Array | None,
        padding: Padding | None,
        symbols: int,
    ) -> Array:
        """Compute one shard's part of the mean loss and of its gradient."""
        xp, part, window = self.model.backend.xp, self._parts[k], self._windows[k]
        for name, sequence in window.states():
            sequence[0] = self._starts[name][0][:, part]
        cut = partial(_columns, xp, part)
        return self.model.loss_and_gradient(
            window,
            cut(ids),
            cut(targets),
            grads,
            self._of_streams(dropped, part),
            mask=None if mask is None else cut(mask),
            padding=padding and padding.of(part),
            symbols=symbols,
        )

    def _of_streams(self, dropped: Sequence[Array] | None, part: slice) -> Sequence[Array] | None:
        """Return the columns of dropout masks that belong to a part of the streams held here."""
        first, last = self._mine.start + part.start, self._mine.start + part.stop
        if dropped is None or last - first == self._streams:
            return dropped
        return [_columns(self.model.backend.xp, slice(first, last), mask) for mask in dropped]


def _columns(xp: Any, part: slice, array: Array) -> Array:
    """Return a part of the last axis, contiguous."""
    return xp.ascontiguousarray(array[..., part])
