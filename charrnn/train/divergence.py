"""Divergence: non-finite or far too large values are detected before they are saved.

Training has diverged if a loss, a gradient, a weight, an optimizer's moment or a carried state is
not finite; if the loss of a window or of the validation data is more than :data:`EXPLODED` nats
above that of a guess, which is ln V for a language model of V symbols; and if a run would end with
a loss more than :data:`USELESS` nat above that of a guess. How far a loss rises
depends on units and learning rate alone, not on V: cells with bounded states reached 160 nats with
up to 512 units at rates up to 0.05 (every optimizer, first steps included), and 1,000 to 2,000,000
at a rate of 1000. If states are unbounded, as with relu, a loss may exceed a million and recover,
so only non-finite values and the final losses count.

A sum over an array is not finite if one of its elements is not, so one pass over each array is
enough. On NumPy this check is part of every step. A GPU would have to be synchronised for it, so
there the check is made when a record or a checkpoint copies numbers to the host anyway; non-finite
weights stay non-finite until then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import inf, isfinite, nan
from typing import Any

import numpy as np

from charrnn.backend import Array
from charrnn.backend.team import Team
from charrnn.errors import CharRNNError, setting
from charrnn.model.parameters import norm
from charrnn.tasks.base import Task
from charrnn.train.update import Update

EXPLODED = 1000.0
"""Nats above a guess; at any step, such a loss is divergence if states are bounded."""
USELESS = 1.0
"""Nats above a guess; a run that would end with such a loss has diverged."""


class DivergedError(CharRNNError):
    """Training has diverged.

    Attributes
    ----------
    step
        The update during or after which it was detected.
    tensor
        The non-finite or too large tensor: a weight by its name, ``gradient.NAME`` of one,
        ``optimizer.MOMENT.NAME`` of one, ``state.NAME``, ``loss``, ``gradient norm``,
        ``smoothed loss`` or ``validation loss``.
    value
        The value found there.
    """

    everywhere = True

    def __init__(self, step: int, tensor: str, value: float) -> None:
        self.step, self.tensor, self.value = step, tensor, value
        super().__init__(
            f"training diverged at step {step}: {tensor} is {value:g}",
            f"lower {setting('lr')} or {setting('clip_norm')}",
        )


class Guard:
    """Looks for non-finite values among the arrays of a training run.

    In a team every method is called by all members, and raises on all of them.

    Attributes
    ----------
    every_step
        Whether every step is checked, because checking needs no synchronisation.
    """

    def __init__(self, task: Task, update: Update, team: Team) -> None:
        self.every_step = task.backend.synchronous
        self._task, self._update, self._team = task, update, team
        self._most = task.guess + EXPLODED if task.bounded else inf

    def states(self, step: int) -> None:
        """Raise :class:`DivergedError` for a carried state, before it is read or zeroed."""
        finite = all(isfinite(sequence[0].sum()) for _, sequence in self._task.window.states())
        self._check(step, finite)

    def gradient(self, step: int, loss: Any, norm: Any) -> None:
        """Raise :class:`DivergedError` if loss or gradient are not finite, before the update."""
        self._check(step, isfinite(norm), ("gradient norm", float(norm)))
        self.loss(step, "loss", float(loss))

    def update(self, step: int) -> None:
        """Raise :class:`DivergedError` if a weight or a moment is not finite after the update."""
        finite = self._update.optimizer.finite
        if finite is None:
            flats = (self._task.weights.trained.flat, *self._update.optimizer.moments.values())
            xp = self._task.backend.xp
            finite = all(isfinite(norm(xp, flat)) for flat in flats)  # faster than a sum
        self._check(step, finite)

    def loss(self, step: int, name: str, value: float) -> None:
        """Raise :class:`DivergedError` for a non-finite or exploded loss."""
        self._check(step, isfinite(value), (name, value))
        if value > self._most:
            raise DivergedError(step, name, value)

    def end(self, step: int, loss: float, smoothed: float) -> None:
        """Raise :class:`DivergedError` if a run would end far worse than a guess."""
        if min(loss, smoothed) > self._task.guess + USELESS:
            raise DivergedError(step, "smoothed loss", smoothed)

    def last(self, step: int, name: str, value: float) -> None:
        """Raise :class:`DivergedError` for the last validation loss of a run, if it exploded."""
        if value > self._task.guess + EXPLODED:
            raise DivergedError(step, name, value)

    @np.errstate(all="ignore")
    def total(self) -> Array:
        """Return a number (0-d) that is finite only if all states, weights and moments are."""
        total = self._task.weights.trained.flat.sum()
        for flat in self._update.optimizer.moments.values():
            total = total + flat.sum()
        for _, sequence in self._task.window.states():
            total = total + sequence[0].sum()
        return total

    def everything(self, step: int, total: float | None = None) -> None:
        """Raise :class:`DivergedError` if anything is not finite; waits for a GPU."""
        if total is None:
            total = float(self._task.backend.get(self.total()))
        self._check(step, isfinite(total))

    def _check(self, step: int, finite: bool, what: tuple[str, float] | None = None) -> None:
        """Raise unless ``finite``, naming the array at fault or else ``what``.

        Without ``what``, a non-finite sum or norm alone proves nothing: that of finite numbers
        may overflow.
        """
        culprit = None if finite else self._first() or what
        if self._team.any(culprit is not None):
            raise DivergedError(step, *(culprit or ("a state of another team member", nan)))

    def _first(self) -> tuple[str, float] | None:
        """Return the first array with a non-finite value, by name, and that value."""
        for tensor, array in self._suspects():
            host = self._task.backend.get(array)
            bad = host[~np.isfinite(host)]
            if bad.size:
                return tensor, float(bad[0])
        return None

    def _suspects(self) -> Iterator[tuple[str, Array]]:
        """Yield arrays by name, likely culprits first.

        A bad weight makes gradients bad, and these make moments bad. But if all gradients are
        finite and a moment is not, the moment made the weight bad. If a rule has written something
        else over them, those of every step were looked at before.
        """
        weights, grads = self._task.weights, self._update.grads
        optimizer = self._update.optimizer
        for name, sequence in self._task.window.states():
            yield f"state.{name}", sequence[0]
        moments = [
            (f"optimizer.{moment}.{name}", array)
            for moment, flat in optimizer.moments.items()
            for name, array in weights.trained.like(flat).items()
        ]
        seen = optimizer.overwrites and self.every_step
        if seen or np.isfinite(self._task.backend.get(grads.flat)).all():
            yield from moments
        yield from weights.items()
        for name, array in grads.items():
            yield f"gradient.{name}", array
        yield from moments


@np.errstate(all="ignore")
def all_finite(arrays: Iterable[np.ndarray]) -> bool:
    """Return whether the sums of host arrays are finite; then so is every element."""
    return all(isfinite(array.sum()) for array in arrays)
