"""How far a run has come: what the loop changes and a checkpoint keeps, besides arrays."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from math import inf
from typing import Any

from charrnn.errors import CheckpointError
from charrnn.settings import refuse_unknown


@dataclass
class Progress:
    """Counters and losses of a run.

    Attributes
    ----------
    step
        Updates made. The position in the text and all random numbers follow from it.
    epoch
        Passes over the training text begun before the last update, from 0.
    total_steps
        Where the run was to end, None where a time limit alone decides.
    seconds
        Wall-clock time of training, evaluation included, over all sessions.
    smoothed
        Exponentially smoothed training loss in nats, None before the first step.
    val_loss
        The last validation loss in nats a symbol, None before the first evaluation.
    best_val_loss, best_step
        The lowest of the scheduled evaluations, and its step.
    kept_val_loss
        The validation loss of the weights kept as the run's best: unlike ``best_val_loss`` it may
        come from the evaluation at the end of a session, which a longer run would not have made.
    stale
        Scheduled evaluations in a row without a new best.
    evaluated
        The step of the last scheduled evaluation.
    measured
        The step of the last evaluation, scheduled or not.
    plateau, plateau_stale
        Factor on the learning rate of the plateau schedule, and its own count.
    sampled, saved
        The steps of the last sample and the last regular save.
    ended
        The step at which a stop condition ended the run, all of its end being done.
    watched, clipped
        Updates since the last record of gradients by layer, and how many of them were clipped.
    lr_factor, rollbacks
        Factor on every learning rate, lowered each time that training diverged and went back, and
        how often that happened.
    metrics_bytes
        Length of the run's ``metrics.jsonl`` at this step; what is beyond it belongs to steps that
        were lost, and is dropped on resume.
    """

    step: int = 0
    epoch: int = 0
    total_steps: int | None = None
    seconds: float = 0.0
    smoothed: float | None = None
    val_loss: float | None = None
    best_val_loss: float | None = None
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

    def to_json(self) -> dict[str, Any]:
        """Return the record as a plain dictionary."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: object) -> Progress:
        """Rebuild a record; a missing field gets its default.

        Raises
        ------
        CheckpointError
            If a field is unknown or not a number.
        """
        known = {f.name: str(f.type) for f in fields(cls)}
        if not isinstance(data, dict):
            raise CheckpointError("its progress is no record")
        refuse_unknown(data, known)
        for name, value in data.items():
            optional, whole = "None" in known[name], known[name].startswith("int")
            if value is None and optional:
                continue
            number = type(value) is int or (type(value) is float and not whole)
            if not number or not 0 <= value < (2**63 if type(value) is int else inf):
                raise CheckpointError(f"its progress record has an impossible {name}")
        return cls(**data)
