"""When training stops."""

from __future__ import annotations

from math import ceil

from charrnn.config import DEFAULT_STEPS, TrainConfig
from charrnn.storage.progress import Progress

MOST_STEPS = 1 << 62
"""Where the longest run ends: a number of steps that a checkpoint can hold."""


class StopConditions:
    """The stop conditions of a configuration; the first that holds ends training.

    Attributes
    ----------
    total_steps
        Steps at which training ends at the latest; None if a time limit alone ends it.
    """

    def __init__(self, config: TrainConfig, windows_per_epoch: int) -> None:
        self._config = config
        limits = [config.steps] if config.steps is not None else []
        if config.epochs is not None:
            limits.append(ceil(min(MOST_STEPS, config.epochs * windows_per_epoch)))
        if not limits and config.minutes is None:
            limits.append(DEFAULT_STEPS)
        self.total_steps = min(limits) if limits else None

    def reason(self, progress: Progress, seconds: float) -> str | None:
        """Return which condition holds after ``seconds`` of training, None if none does."""
        config, step = self._config, progress.step
        if config.patience and progress.stale >= config.patience:
            return "patience"
        if self.total_steps is not None and step >= self.total_steps:
            return "steps" if config.steps is None or step >= config.steps else "epochs"
        if config.minutes is not None and seconds >= config.minutes * 60:
            return "minutes"
        return None
