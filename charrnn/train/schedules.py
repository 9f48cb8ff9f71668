"""Learning-rate schedules: the factor on the base rate as a function of progress in [0, 1]."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi

from charrnn.errors import UsageError

FLOOR = 0.01
"""What every decaying schedule ends at, as a share of the base rate."""


def cosine(progress: float) -> float:
    """Half a cosine from 1 down to the floor (Loshchilov and Hutter 2017, arXiv 1608.03983)."""
    return FLOOR + (1 - FLOOR) * 0.5 * (1 + cos(pi * min(1.0, progress)))


def constant(progress: float) -> float:
    """1 throughout."""
    return 1.0


def step(progress: float) -> float:
    """1, then 0.1 from half of the horizon on, then the floor from three quarters on."""
    return 1.0 if progress < 0.5 else 0.1 if progress < 0.75 else FLOOR


_SCHEDULES: dict[str, Callable[[float], float]] = {
    "cosine": cosine,
    "constant": constant,
    "plateau": constant,  # lowered by Plateau as evaluations come in
    "step": step,
}
NAMES = tuple(_SCHEDULES)


def check(name: str) -> None:
    """Raise :class:`UsageError` if there is no schedule of that name."""
    if name not in _SCHEDULES:
        raise UsageError(f"unknown schedule {name!r}", f"choose one of {', '.join(NAMES)}")


def factor(name: str, progress: float, step: int, warmup: int) -> float:
    """Return the factor on the learning rate for an update.

    Parameters
    ----------
    name
        One of :data:`NAMES`.
    progress
        Share of the schedule's horizon that is over; above 1 counts as 1.
    step
        Updates made before this one.
    warmup
        Updates over which the rate rises linearly to its full value.

    Raises
    ------
    UsageError
        If there is no such schedule.
    """
    check(name)
    rise = min(1.0, (step + 1) / warmup) if warmup else 1.0
    return rise * _SCHEDULES[name](progress)


PLATEAU_PATIENCE = 2
PLATEAU_FACTOR = 0.5


def plateau(factor: float, stale: int) -> tuple[float, int]:
    """Return factor and count after an evaluation that was not better than the best so far.

    After :data:`PLATEAU_PATIENCE` such evaluations in a row the factor is halved, down to the
    floor, and the count starts again.
    """
    stale += 1
    if stale < PLATEAU_PATIENCE:
        return factor, stale
    return max(FLOOR, factor * PLATEAU_FACTOR), 0
