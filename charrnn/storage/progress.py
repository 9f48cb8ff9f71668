"""The progress of a run, which the loop changes and a checkpoint stores, and its whole state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from math import inf
from typing import Any, NamedTuple

import numpy as np

from charrnn.errors import CheckpointError, setting
from charrnn.settings import refuse_unknown

Better = Callable[[float, float | None], bool]
"""Whether a metric is better than the best so far, None if there is none."""
_KEYS = {"best_scheduled_loss": "best_val_loss"}
"""Keys in a checkpoint that differ from the names of the fields."""


@dataclass
class Progress:
    """Counters and losses of a run.

    Attributes
    ----------
    step
        Number of updates made. The position in the text and all random numbers follow from it.
    epoch
        The pass over the training text that the last update was in, counted from 0.
    total_steps
        The step at which the run is due to end; None if only a time limit decides.
    seconds
        Wall-clock time of training, evaluation included, over all sessions.
    smoothed
        Exponentially smoothed training loss in nats; None before the first step.
    val_loss
        The last validation loss in nats per symbol; None before the first evaluation.
    best_scheduled_loss, best_step
        The lowest loss of the scheduled evaluations, and its step.
    kept_val_loss
        The validation loss of the weights kept as the run's best. Unlike ``best_scheduled_loss`` it
        may come from the evaluation at the end of a session, which a longer run would not have
        made.
    stale
        Number of scheduled evaluations since the last new best.
    evaluated
        The step of the last scheduled evaluation.
    measured
        The step of the last evaluation, scheduled or not.
    plateau, plateau_stale
        The plateau schedule's factor on the learning rate, and its own ``stale``.
    sampled, saved
        The steps of the last sample and of the last regular save.
    ended
        The step at which a stop condition ended the run; None until the run has ended.
    watched, clipped
        Updates since the last record of gradients by layer, and how many of them were clipped.
    lr_factor, rollbacks
        A factor on every learning rate, lowered each time training diverges and is rolled back, and
        the number of rollbacks.
    metrics_bytes
        Length of the run's ``metrics.jsonl`` at this step. The rest of the file belongs to lost
        steps and is dropped on resume.
    ranks
        The processes that trained together when this was saved.
    evaluation_seconds
        How long an evaluation takes: the last one, or before the first what was expected.
    planned_passes, planned_speed, planned_steps
        Of a run that was planned: how often it would read the text, the symbols a second that were
        measured for that, and the step at which more would hardly pay, if that is to end the run;
        None otherwise.
    started_from
        The checkpoint whose weights the run started from, an absolute path; None: they were fresh.
    """

    step: int = 0
    epoch: int = 0
    total_steps: int | None = None
    seconds: float = 0.0
    smoothed: float | None = None
    val_loss: float | None = None
    best_scheduled_loss: float | None = None
    best_step: int | None = None
    kept_val_loss: float | None = None
    stale: int = 0
    evaluated: int = 0
    measured: int = 0
    plateau: float = 1.0
    plateau_stale: int = 0
    sampled: int = 0
    saved: int = 0
    ended: int | None = None
    watched: int = 0
    clipped: int = 0
    lr_factor: float = 1.0
    rollbacks: int = 0
    metrics_bytes: int = 0
    ranks: int = 1
    evaluation_seconds: float = 0.0
    planned_passes: float | None = None
    planned_speed: float | None = None
    planned_steps: int | None = None
    started_from: str | None = None

    @property
    def launcher(self) -> str:
        """What starts a command with as many ranks, whose sums others would round differently."""
        return f"mpirun -n {self.ranks} " if self.ranks > 1 else ""

    def measure(self, value: float, better: Better) -> bool:
        """Note the metric of an evaluation; return whether its weights are the best so far."""
        self.val_loss, self.measured = value, self.step
        best = better(value, self.kept_val_loss)
        if best:
            self.kept_val_loss = value
        return best

    def schedule(self, value: float, better: Better) -> bool:
        """Note that the evaluation was scheduled; return whether it is the best of these."""
        self.evaluated = self.step
        best = better(value, self.best_scheduled_loss)
        if best:
            self.best_scheduled_loss, self.best_step = value, self.step
        self.stale = 0 if best else self.stale + 1
        return best

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary for JSON, with the keys that all versions have written."""
        return {_KEYS.get(name, name): value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, data: object) -> Progress:
        """Rebuild a record; a missing field gets its default.

        Raises
        ------
        CheckpointError
            If a field is unknown or its value is invalid.
        """
        of_key = {_KEYS.get(f.name, f.name): f for f in fields(cls)}
        known = {key: str(f.type) for key, f in of_key.items()}
        if not isinstance(data, dict):
            raise CheckpointError("its progress is not a JSON object")
        refuse_unknown(data, known)
        for name, value in data.items():
            optional, integer = "None" in known[name], known[name].startswith("int")
            if value is None and optional:
                continue
            if known[name].startswith("str"):
                valid = isinstance(value, str)
            else:
                valid = type(value) is int or (type(value) is float and not integer)
                valid = valid and 0 <= value < (2**63 if type(value) is int else inf)
            if not valid:
                raise CheckpointError(f"its progress has an invalid {name}")
        return cls(**{of_key[key].name: value for key, value in data.items()})


class State(NamedTuple):
    """A resumable state of training: host arrays as a checkpoint keeps them.

    ``moments`` and ``states`` are empty if training has not begun.
    """

    progress: Progress
    weights: np.ndarray
    moments: dict[str, np.ndarray]
    states: dict[str, np.ndarray]


def restore(
    arrays: Mapping[str, Any],
    saved: Mapping[str, np.ndarray] | None,
    put: Callable[[np.ndarray], Any],
) -> None:
    """Write the moments and states of a checkpoint to arrays of a backend.

    Parameters
    ----------
    arrays, saved
        By name; without ``saved``, of a run that has not begun, the arrays are zeroed.
    put
        Brings a host array to the backend.

    Raises
    ------
    CheckpointError
        If names or shapes differ.
    """
    if saved is None:
        for array in arrays.values():
            array[...] = 0.0
        return
    shapes = {name: array.shape for name, array in arrays.items()}
    if {name: array.shape for name, array in saved.items()} != shapes:
        raise CheckpointError(
            "the checkpoint lacks the moments or states that its training needs to continue",
            f"start a new run from its weights with {setting('init_from')}",
        )
    for name, array in saved.items():
        arrays[name][...] = put(array)
