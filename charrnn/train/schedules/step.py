"""The learning rate falls in two steps."""

from __future__ import annotations

from charrnn.train.schedules.base import FLOOR, Schedule


class StepDecay(Schedule):
    """1; 0.1 from half of the horizon on; the floor from three quarters on."""

    name = "step"
    ends_at_floor = True

    def factor(self, progress: float, step: int) -> float:
        return 1.0 if progress < 0.5 else 0.1 if progress < 0.75 else FLOOR
