"""The learning-rate schedules, one per file; found by file name.

:mod:`charrnn.train.learning_rate` multiplies their factor with the others. To add a schedule, add a
file with a class that derives from :class:`charrnn.train.schedules.base.Schedule`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from charrnn.config import TrainConfig
from charrnn.registry import SCHEDULES

if TYPE_CHECKING:
    from charrnn.train.schedules.base import Schedule


def create(config: TrainConfig) -> Schedule:
    """Return the schedule that ``config`` describes."""
    schedule: Schedule = SCHEDULES.get(config.schedule)(**config.schedule_options)
    return schedule


def warmup(step: int, steps: int) -> float:
    """Return the factor of an update that is preceded by ``step`` others.

    It rises linearly to 1 over ``steps`` updates.
    """
    return min(1.0, (step + 1) / steps) if steps else 1.0
