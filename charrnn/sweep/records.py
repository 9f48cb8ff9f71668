"""The records of a sweep, one per event; ``to_json`` is a line of ``--json``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from math import inf
from typing import Any, ClassVar

RUNNING, COMPLETE, PRUNED, FAILED = "running", "complete", "pruned", "failed"


@dataclass(frozen=True)
class Trial:
    """What is known of a trial.

    ``number`` counts from 1; ``options`` are the values that it tries; ``state`` is ``complete``,
    ``pruned`` (stopped early), ``failed`` (``reason`` says why) or ``running`` (here, in another
    process, or to be continued). ``loss`` is its best validation loss so far in nats, ``step`` and
    ``seconds`` are how far it has been trained.
    """

    number: int
    state: str
    options: dict[str, Any]
    run: str
    loss: float | None = None
    step: int = 0
    seconds: float = 0.0
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the trial as one JSON object."""
        return {"trial": self.number, **{k: v for k, v in asdict(self).items() if k != "number"}}


def by_loss(trials: Iterable[Trial]) -> list[Trial]:
    """Return the trials in order, the lowest validation loss first; of equals by number."""
    return sorted(trials, key=lambda t: (inf if t.loss is None else t.loss, t.number))


@dataclass(frozen=True)
class Record:
    """An event of a sweep."""

    event: ClassVar[str]

    def to_json(self) -> dict[str, Any]:
        """Return the record as one JSON object: its event, then its fields."""
        return {"event": self.event, **asdict(self)}


@dataclass(frozen=True)
class SweepStart(Record):
    """The sweep begins or goes on, with ``trials`` that exist already, of ``total`` if known."""

    event = "sweep"
    folder: str
    search: str
    tries: list[str]
    trials: int
    total: int | None


@dataclass(frozen=True)
class OfTrial(Record):
    """An event of one trial, which is shown as it is then."""

    trial: Trial

    def to_json(self) -> dict[str, Any]:
        """Return the record as one JSON object: its event, then what is known of the trial."""
        return {"event": self.event, **self.trial.to_json()}


@dataclass(frozen=True)
class TrialStart(OfTrial):
    """A trial begins, or continues at its ``step``; ``notes`` are those of its training."""

    event = "trial"
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrialEval(OfTrial):
    """A trial was evaluated: ``val_loss`` now; ``share`` of it is done, None if nobody knows."""

    event = "eval"
    val_loss: float
    share: float | None

    def to_json(self) -> dict[str, Any]:
        """Return the record as one JSON object."""
        return super().to_json() | {"val_loss": self.val_loss, "share": self.share}


@dataclass(frozen=True)
class TrialEnd(OfTrial):
    """A trial has ended, or this process leaves it to be continued (state ``running``)."""

    event = "trial-end"


@dataclass(frozen=True)
class SweepEnd(Record):
    """The process has done its part of the sweep.

    ``reason`` is ``complete`` (nothing is left to begin), ``total-minutes`` or ``interrupted``.
    """

    event = "end"
    reason: str
    best: Trial | None
    trials: list[Trial]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return the record as one JSON object; of the trials, how many have each state."""
        states = [trial.state for trial in self.trials]
        return {
            "event": self.event,
            "reason": self.reason,
            "best": self.best and self.best.to_json(),
            **{state: states.count(state) for state in (COMPLETE, PRUNED, FAILED, RUNNING)},
            "seconds": round(self.seconds, 3),
        }
