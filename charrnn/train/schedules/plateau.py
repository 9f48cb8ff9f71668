"""Halves the learning rate when the validation loss stops falling."""

from __future__ import annotations

from charrnn.train.schedules.base import FLOOR, Schedule

PATIENCE = 2
FACTOR = 0.5


class Plateau(Schedule):
    """Halves the factor after every two evaluations in a row without a better loss."""

    name = "plateau"
    uses_horizon = False
    needs_validation = True

    def factor(self, progress: float, step: int) -> float:
        return 1.0

    def evaluated(self, factor: float, stale: int, better: bool) -> tuple[float, int]:
        """Return the factor, down to the floor, and the evaluations since it changed."""
        if better:
            return factor, 0
        stale += 1
        return (factor, stale) if stale < PATIENCE else (max(FLOOR, factor * FACTOR), 0)
