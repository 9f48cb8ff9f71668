"""A dry run: the resources of a training run, measured on a few of its steps."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import median
from time import perf_counter
from typing import Any

from charrnn.backend import memory
from charrnn.model.memory import Estimate
from charrnn.train.divergence import DivergedError
from charrnn.train.loop import Loop

SECONDS = 1.2
"""How long to measure; at least one step is measured, however long it takes."""
_MAX_STEPS = 200


@dataclass(frozen=True)
class DryRun:
    """The resources that a training run would need.

    ``memory`` is an estimate and ``available`` what the machine has, in bytes; ``step_seconds`` is
    the median of the steps measured, evaluation and saving not counted. ``steps_left`` and
    ``seconds_left`` are None if only a time limit ends the training.
    """

    parameters: int
    memory: Estimate
    available: int | None
    step_seconds: float
    chars_per_second: float
    steps_per_epoch: int
    epoch_seconds: float
    steps_left: int | None
    seconds_left: float | None

    def to_json(self) -> dict[str, Any]:
        """Return the record as one JSON object."""
        return asdict(self)


def measure(loop: Loop, needed: Estimate, seconds: float = SECONDS) -> DryRun:
    """Make a few updates and return what the run would need; do not use the loop afterwards.

    The first step prepares memory and is only counted if it is the only one.
    """
    begun = perf_counter()
    measured: list[float] = []
    while not measured or (perf_counter() - begun < seconds and len(measured) < _MAX_STEPS):
        start = perf_counter()
        try:
            loop.step()
        except DivergedError:  # not the subject here
            if not measured:
                measured.append(perf_counter() - start)
            break
        loop.backend.get(loop.task.weights.flat[:1])  # waits for a GPU
        measured.append(perf_counter() - start)
    updates = len(measured)
    step = median(measured[1:] or measured)
    left = None
    if loop.total_steps is not None:
        left = max(0, loop.total_steps - max(0, loop.progress.step - updates))
    return DryRun(
        parameters=needed.parameters,
        memory=needed,
        available=memory.limit(loop.backend),
        step_seconds=step,
        chars_per_second=loop.task.symbols_per_batch / step,
        steps_per_epoch=loop.task.windows_per_epoch,
        epoch_seconds=step * loop.task.windows_per_epoch,
        steps_left=left,
        seconds_left=None if left is None else step * left,
    )
