"""The loop of ranks that train apart: a round of updates on each, and then their average.

Within a round a member does not hear of the others. Whatever they decide together falls between two
rounds: reports, evaluations, samples and checkpoints that are due by then, the end, and a
divergence. So all that is saved is common to all of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from time import perf_counter
from typing import Any

import numpy as np

from charrnn.backend import Array
from charrnn.backend.team import Alone, Team
from charrnn.config import TrainConfig
from charrnn.errors import UsageError, setting
from charrnn.model.parameters import Parameters
from charrnn.tasks.base import Task
from charrnn.text.windows import Batch
from charrnn.train.divergence import DivergedError
from charrnn.train.local.outer import OUTER, Outer
from charrnn.train.loop import Loop


def loop_of(task: Task, config: TrainConfig, team: Team | None = None, **more: Any) -> Loop:
    """Return the loop that a configuration asks for.

    ``more`` are further arguments of :class:`~charrnn.train.loop.Loop`.

    Raises
    ------
    UsageError
        If a single process would have to train apart from others, or as :class:`Loop` does.
    """
    team = team or Alone()
    refuse_alone(config, team)
    if config.sync_every == 1:
        return Loop(task, config, team=team, **more)
    return LocalLoop(task, config, team=team, **more)


def refuse_alone(config: TrainConfig, team: Team) -> None:
    """Raise :class:`UsageError` if weights are to be averaged, but there is one process only."""
    if config.sync_every > 1 and team.size == 1:
        every = f"{setting('sync_every')} {config.sync_every}"
        raise UsageError(
            f"{every} averages the weights of several ranks, but this is a single process",
            f"start it with mpirun, or give {setting('sync_every')} 1",
        )


class LocalLoop(Loop):
    """A loop whose members average their weights after every ``config.sync_every`` updates.

    Loss, norm and smoothed loss are the members' averages, too.
    """

    def __init__(self, task: Task, config: TrainConfig, *, team: Team, **more: Any) -> None:
        mine = team.share(config.batch)
        self._share = (mine.stop - mine.start) / config.batch
        rate, momentum = config.outer_lr, config.outer_momentum
        self._outer = Outer(task.backend, rate, momentum, self._share, task.weights.trained.flat)
        super().__init__(task, config, team=team, **more)

    @property
    def _partners(self) -> Team:
        """Nobody: each member makes its updates by itself."""
        return Alone()

    def _moments(self) -> dict[str, Array]:
        return {**super()._moments(), OUTER: self._outer.momentum}

    def _kept(self, moments: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Add the outer momentum of a run that has had none so far: zero."""
        return {OUTER: np.zeros_like(self.backend.get(self._outer.momentum)), **moments}

    def _begin(self, moments: Mapping[str, np.ndarray], states: Mapping[str, np.ndarray]) -> None:
        super()._begin(moments, states)
        self._outer.begin(self.task.weights.trained.flat)

    def _reached(self, every: int, last: int = 0) -> bool:
        """Return whether a multiple of ``every`` was passed in the last round, but not by last."""
        step, length = self.progress.step, self.config.sync_every
        begun = step - (step % length or length)
        return step // every > max(last, begun) // every

    @np.errstate(all="ignore")
    def step(self) -> None:
        """Make a round of updates, and average.

        Raises
        ------
        DivergedError
            On all members if one of them diverged.
        """
        failure = b""
        with self.task.training():
            for _ in range(self._round()):
                try:
                    self._step()
                except DivergedError as problem:  # the others will hear of it
                    failure = json.dumps([problem.step, problem.tensor, problem.value]).encode()
                    break
        self._meet(failure)

    def _round(self) -> int:
        """Return how many updates are made before the next average."""
        step, length = self.progress.step, self.config.sync_every
        length -= step % length
        return length if self.total_steps is None else max(1, min(length, self.total_steps - step))

    def _gradient(self, batch: Batch) -> Array:
        """Compute the gradient of the mean loss over this member's own streams."""
        step, share = self.progress.step, self._share

        def own(grads: Parameters) -> Array:
            part = self.task.loss_and_gradient(batch, step, grads)
            grads.flat /= share
            return part / share

        return self.update.gradient(own)

    def _meet(self, failure: bytes) -> None:
        """Average, unless a member failed."""
        begun = perf_counter()
        found = next((each for each in self._team.gather(failure) if each), None)
        if found is not None:
            raise DivergedError(*json.loads(found))
        weights = self.task.weights.trained.flat
        self._outer.average(weights, super()._moments().values(), self._team)
        self._outer.begin(weights)
        numbers = self.backend.xp.stack([self._loss, self._norm, self._smoothed]) * self._share
        self._team.sum(numbers)
        self._loss, self._norm, self._smoothed = numbers
        self._train_seconds += perf_counter() - begun
