"""Rolling back after a divergence: to the last good state, at a lower learning rate.

When a :class:`~charrnn.train.loop.Loop` raises
:class:`~charrnn.train.divergence.DivergedError`, it is put back into an earlier state and continues
from there, at most ``max_rollbacks`` times. The caller decides how states are kept (files or
memory).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import isfinite

from charrnn.display import count
from charrnn.errors import setting
from charrnn.storage.progress import State
from charrnn.train.divergence import DivergedError
from charrnn.train.loop import Loop
from charrnn.train.records import End, Eval, Record, Rollback, SaveDue

FACTOR = 0.5
"""The learning rate is multiplied by it at every rollback."""


def with_rollbacks(
    loop: Loop,
    keep: Callable[[Record], Iterator[Record]],
    good: Callable[[], State],
    remedy: Callable[[], str],
) -> Iterator[Record]:
    """Yield what ``keep`` returns for a loop's records; after a divergence roll back and continue.

    Parameters
    ----------
    loop
        The training run.
    keep
        Saves what a record asks for; yields the record and whatever else happened. For a
        :class:`~charrnn.train.records.Rollback`, the loop is in the good state already.
    good
        Returns the last good state.
    remedy
        Returns the remedy in the message if training diverges too often.

    Raises
    ------
    DivergedError
        If training diverges again after ``max_rollbacks`` rollbacks.
    """
    while True:
        try:
            for record in loop.records():
                yield from keep(record)
            return
        except DivergedError as problem:
            divergence = problem
        if loop.progress.rollbacks >= loop.config.max_rollbacks:
            raise _final(divergence, loop.progress.rollbacks, remedy())
        yield from keep(_roll_back(loop, divergence, good()))


def in_memory(loop: Loop, best: bool = False) -> Iterator[Record]:
    """Yield a loop's records; after a divergence roll back to the last good state.

    For training that writes no files: where a run would save a checkpoint, the state is copied on
    the host. With ``best`` the weights are in the end those of the best evaluation, if there was
    any.

    Raises
    ------
    DivergedError
        If training diverges again after ``max_rollbacks`` rollbacks.
    """
    good, weights = _copy(loop.state()), None

    def keep(record: Record) -> Iterator[Record]:
        nonlocal good, weights
        found = isinstance(record, Eval) and record.best
        if found or isinstance(record, SaveDue):
            good = _copy(loop.state())
        if found and best:
            weights = good.weights
        if weights is not None and isinstance(record, End):
            loop.task.weights.flat[...] = loop.backend.put(weights)
        yield record

    remedy = f"lower {setting('lr')} or {setting('clip_norm')}"
    return with_rollbacks(loop, keep, lambda: good, lambda: remedy)


def _copy(state: State) -> State:
    moments, states = (
        {name: array.copy() for name, array in part.items()}
        for part in (state.moments, state.states)
    )
    return State(replace(state.progress), state.weights.copy(), moments, states)


def _final(divergence: DivergedError, rollbacks: int, remedy: str) -> DivergedError:
    """Return the error with the number of rollbacks in its message, and with the remedy."""
    if rollbacks:
        divergence.message += f", after {count(rollbacks, 'rollback')}"
    divergence.remedy = remedy
    return divergence


def _roll_back(loop: Loop, divergence: DivergedError, good: State) -> Rollback:
    """Put the loop into a good state with a lower learning rate."""
    reached = loop.progress
    progress = replace(
        good.progress,
        lr_factor=reached.lr_factor * FACTOR,
        rollbacks=reached.rollbacks + 1,
        total_steps=reached.total_steps,
    )
    loop.go_back(good._replace(progress=progress))
    return Rollback(
        step=divergence.step,
        to_step=progress.step,
        tensor=divergence.tensor,
        value=divergence.value if isfinite(divergence.value) else None,
        lr_factor=progress.lr_factor,
        count=progress.rollbacks,
    )
