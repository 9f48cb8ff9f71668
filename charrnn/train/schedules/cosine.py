"""Half a cosine from 1 down to the floor (Loshchilov and Hutter 2017, arXiv 1608.03983)."""

from __future__ import annotations

from math import cos, pi

from charrnn.train.schedules.base import FLOOR, Schedule


class Cosine(Schedule):
    """Half a cosine."""

    name = "cosine"
    ends_at_floor = True

    def factor(self, progress: float, step: int) -> float:
        return FLOOR + (1 - FLOOR) * 0.5 * (1 + cos(pi * min(1.0, progress)))
