"""Base class of the learning-rate schedules: a factor on the learning rate during training.

A schedule is one file of this package, or of a plug-in, with a class that derives from
:class:`Schedule`. Its own settings are its ``options``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from charrnn.registry import Choice

FLOOR = 0.01
"""The final factor of every decaying schedule."""


class Schedule(Choice, ABC):
    """A learning-rate schedule.

    Parameters
    ----------
    **options
        Values of the options that the class declares; they become attributes.
    """

    needs_validation: ClassVar[bool] = False
    """Whether it depends on the validation loss."""
    uses_horizon: ClassVar[bool] = True
    """Whether it depends on how much of the horizon has elapsed."""
    ends_at_floor: ClassVar[bool] = False
    """Whether it falls to the floor by the end of its horizon and stays there."""

    def __init__(self, **options: Any) -> None:
        for name, value in options.items():
            setattr(self, name, value)

    @abstractmethod
    def factor(self, progress: float, step: int) -> float:
        """Return the factor on the learning rate of an update.

        Parameters
        ----------
        progress
            The fraction of the schedule's horizon that has elapsed; values above 1 count as 1.
        step
            Updates made before this one.
        """

    def evaluated(self, factor: float, stale: int, better: bool) -> tuple[float, int]:
        """Return a second factor on the learning rate, and a count, after an evaluation.

        Both are kept in the checkpoint. They begin as 1 and 0.

        Parameters
        ----------
        factor, stale
            What the previous evaluation returned.
        better
            Whether the evaluation is the best so far.
        """
        return factor, stale
