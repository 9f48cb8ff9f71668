"""When training stops, and what its learning rate is on the way there."""

from __future__ import annotations

from math import ceil

from charrnn.config import DEFAULT_STEPS, TrainConfig
from charrnn.storage.progress import Progress
from charrnn.train import schedules

MOST_STEPS = 1 << 62
"""Where the longest run ends: a number of steps that a checkpoint can hold."""


class Limits:
    """The stop conditions of a configuration, and the schedule that runs until one of them holds.

    Attributes
    ----------
    total_steps
        Steps at which training ends at the latest; None if only a time limit is given.
    schedule
        The learning-rate schedule.
    """

    def __init__(self, config: TrainConfig, windows_per_epoch: int) -> None:
        self._config = config
        self.schedule = schedules.create(config)
        limits = [config.steps] if config.steps is not None else []
        if config.epochs is not None:
            limits.append(ceil(min(MOST_STEPS, config.epochs * windows_per_epoch)))
        if not limits and config.minutes is None:
            limits.append(DEFAULT_STEPS)
        self.total_steps = min(limits) if limits else None

    def reason(self, progress: Progress, seconds: float) -> str | None:
        """Return which stop condition holds after ``seconds`` of training, if any."""
        config, step = self._config, progress.step
        if config.patience and progress.stale >= config.patience:
            return "patience"
        if self.total_steps is not None and step >= self.total_steps:
            return "steps" if config.steps is None or step >= config.steps else "epochs"
        if config.minutes is not None and seconds >= config.minutes * 60:
            return "minutes"
        return None

    def learning_rate(self, progress: Progress, seconds: float) -> float:
        """Return the learning rate of the next update."""
        config, step = self._config, progress.step
        rate = schedules.warmup(step, config.warmup)
        rate *= self.schedule.factor(self._share(step, seconds), step)
        return config.lr * rate * progress.plateau * progress.lr_factor

    def _share(self, step: int, seconds: float) -> float:
        """Return the share of the schedule's horizon that is over."""
        if self._config.horizon is not None:
            return step / self._config.horizon
        shares = [0.0]
        if self.total_steps is not None:
            shares.append(step / self.total_steps)
        if self._config.minutes is not None:
            shares.append(seconds / (self._config.minutes * 60))
        return max(shares)
