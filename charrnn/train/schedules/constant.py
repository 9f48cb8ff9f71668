"""The same learning rate throughout."""

from __future__ import annotations

from charrnn.train.schedules.base import Schedule


class Constant(Schedule):
    """1 throughout."""

    name = "constant"
    uses_horizon = False

    def factor(self, progress: float, step: int) -> float:
        return 1.0
