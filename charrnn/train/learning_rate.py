"""The learning rate of an update: the product of all its factors.

    lr = config.lr · warmup(step) · schedule(elapsed, step) · progress.plateau · progress.lr_factor

The schedule is chosen by ``config.schedule`` (see :mod:`charrnn.train.schedules`) and runs from the
first step to a horizon; ``elapsed`` is the elapsed fraction of it. ``plateau`` is a factor
that a schedule derives from evaluations; ``lr_factor`` is lowered when training diverges and is
rolled back (see :mod:`charrnn.train.rollback`). Clipping by norm scales the gradient itself (see
:mod:`charrnn.train.update`).
"""

from __future__ import annotations

from charrnn.config import TrainConfig
from charrnn.storage.progress import Progress
from charrnn.train import schedules
from charrnn.train.stopping import time_limit


class LearningRate:
    """The learning rate as a function of a run's progress.

    Parameters
    ----------
    config
        The base rate, the warm-up, the schedule and its horizon.
    total_steps
        The last step at the latest; the horizon, if ``config`` has none. None if only a time limit
        ends training.
    """

    def __init__(self, config: TrainConfig, total_steps: int | None) -> None:
        self._config, self._total_steps = config, total_steps
        self._schedule = schedules.create(config)
        self.needs_validation = self._schedule.needs_validation

    def at(self, progress: Progress, seconds: float) -> float:
        """Return the rate of the next update; ``seconds`` is how long the run has lasted."""
        config, step = self._config, progress.step
        rate = schedules.warmup(step, config.warmup)
        rate *= self._schedule.factor(self._elapsed(progress, seconds), step)
        return config.lr * rate * progress.plateau * progress.lr_factor

    def evaluated(self, progress: Progress, better: bool) -> None:
        """Let the schedule react to an evaluation; ``better``: it is the best so far."""
        progress.plateau, progress.plateau_stale = self._schedule.evaluated(
            progress.plateau, progress.plateau_stale, better
        )

    def _elapsed(self, progress: Progress, seconds: float) -> float:
        """Return the elapsed fraction of the schedule's horizon."""
        config, step = self._config, progress.step
        if config.horizon is not None:
            return step / config.horizon
        fractions = [0.0]
        if self._total_steps is not None:
            fractions.append(step / self._total_steps)
        limit = time_limit(config, progress)
        if limit is not None:
            fractions.append(seconds / limit)
        return max(fractions)
