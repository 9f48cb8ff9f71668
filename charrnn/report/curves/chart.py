"""What is shown of the curves of runs, whether as text, as a drawing or on a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from charrnn.display import duration, loss, one_line, unit
from charrnn.evaluate.curves import (
    CHARACTERS,
    RATE,
    SMOOTHED,
    TRAIN,
    VAL,
    Curves,
    comparable,
    differing,
    top_of_losses,
)
from charrnn.report.diagnose.figures import DASH, number

MOST = 8
"""Runs with a colour of their own."""
LOSSES = (TRAIN, VAL)
MEASURES = ("accuracy", "exact_match")
"""Measures besides the loss that are drawn."""
_PER = {"classify": "text", "tag": "label", "transduce": "symbol"}
_APART = 8
"""How many times another a learning rate is, for it to hide the other on one scale."""
_SETTINGS = 8
"""The most settings that are shown where runs differ."""
Line = list[tuple[float, float]]


@dataclass(frozen=True)
class Chart:
    """The runs in a chart, and what they are drawn over.

    Attributes
    ----------
    runs
        All runs, in order.
    axis
        One of :data:`charrnn.evaluate.curves.AXES`.
    chosen
        Those with a colour of their own: all, or the :data:`MOST` with the lowest validation loss.
    others
        The rest, which are drawn in grey.
    verdicts
        How each run is doing, in a line; empty if that is unknown.
    """

    runs: Sequence[Curves]
    axis: str
    chosen: Sequence[Curves]
    others: Sequence[Curves]
    verdicts: Sequence[str] = ()

    @classmethod
    def of(cls, runs: Sequence[Curves], axis: str, verdicts: Sequence[str] = ()) -> Chart:
        """Return the chart of some runs, with their verdicts or without any."""
        best = sorted(runs, key=lambda run: run.best.values[VAL] if run.best else float("inf"))
        kept = {id(run) for run in best[:MOST]}
        chosen = [run for run in runs if id(run) in kept]
        others = [run for run in runs if id(run) not in kept]
        return cls(runs, axis, chosen, others, verdicts)

    def line(self, run: Curves, name: str) -> Line:
        """Return a curve; one of losses begins where it enters the axis."""
        found = run.trained(self.axis) if name == TRAIN else run.line(name, self.axis)
        return entering(found, self.top) if name in LOSSES else found

    @cached_property
    def top(self) -> float | None:
        """The end of the axis of losses."""
        return top_of_losses(self.runs, self.axis)

    @cached_property
    def _every(self) -> Line:
        """The points of all losses."""
        lines = ((run.trained(self.axis), run.line(VAL, self.axis)) for run in self.runs)
        return [point for both in lines for line in both for point in line]

    @property
    def cut(self) -> float | None:
        """The highest loss, if it is above the end of the axis."""
        highest = max((y for _, y in self._every), default=0.0)
        return highest if self.top is not None and highest > self.top else None

    @property
    def measures(self) -> list[str]:
        """The measures that are drawn."""
        return [name for name in MEASURES if any(run.having(name) for run in self.runs)]

    @property
    def rates(self) -> list[tuple[Curves, Line]]:
        """The learning rates of the chosen runs, as shares of each highest if these differ much."""
        found = [(run, run.line(RATE, self.axis)) for run in self.chosen]
        if not self.relative_rates:
            return [(run, line) for run, line in found if line]
        highest = {id(run): max((y for _, y in line), default=0.0) or 1.0 for run, line in found}
        return [(run, [(x, y / highest[id(run)]) for x, y in line]) for run, line in found if line]

    @cached_property
    def relative_rates(self) -> bool:
        """Whether the highest learning rates are too different for one scale."""
        lines = (run.line(RATE, self.axis) for run in self.chosen)
        tops = [top for line in lines if (top := max((y for _, y in line), default=0.0))]
        return bool(tops) and max(tops) > _APART * min(tops)

    @property
    def rate_title(self) -> str:
        """What the learning rates are drawn as."""
        return "Learning rate" + (", of the highest of each run" if self.relative_rates else "")

    @property
    def longest(self) -> float:
        """The last place on the axis."""
        return max((x for x, _ in self._every), default=0.0)

    @property
    def x_label(self) -> str:
        """What the axis counts: symbols are called as the runs' level calls them."""
        if self.axis != CHARACTERS:
            return self.axis
        units = {unit(str(run.start.get("level", "char"))) for run in self.runs}
        return f"{units.pop()}s read" if len(units) == 1 else "symbols read"

    @property
    def y_label(self) -> str:
        """In what the losses are."""
        units = {_unit(run) for run in self.runs}
        return f"nats per {units.pop()}" if len(units) == 1 else "nats"

    def marks(self, run: Curves) -> list[float]:
        """Return where a run was rolled back."""
        places = (run.place(point, self.axis) for point in run.rollbacks)
        return [x for x in places if x is not None]

    @property
    def note(self) -> str:
        """What a reader must know in order not to be misled; empty if there is nothing."""
        if comparable(self.runs):
            return ""
        return "the runs are of different texts or tasks, so their losses cannot be compared"


def entering(line: Line, top: float | None) -> Line:
    """Return a curve from where it falls below ``top``; what is above it later stays there."""
    if top is None:
        return line
    first = next((i for i, (_, y) in enumerate(line) if y <= top), len(line))
    if first in (0, len(line)):
        return line if first == 0 else []
    (a, above), (b, below) = line[first - 1], line[first]
    crossing = a + (b - a) * (above - top) / (above - below)
    return [(crossing, top), *((x, min(y, top)) for x, y in line[first:])]


def _unit(run: Curves) -> str:
    """Return what a loss of a run is the mean of."""
    task = run.start.get("task", "lm")
    return _PER.get(str(task), unit(str(run.start.get("level", "char"))))


def numbers(runs: Sequence[Curves]) -> tuple[list[str], list[list[str]]]:
    """Return a table of where each run stands: its head, and a row for each run."""
    named = [name for name in MEASURES if any(run.having(name) for run in runs)]
    back = any(run.rollbacks for run in runs)
    head = ["run", "steps", "epochs", "train", "val", "best val", "at step", *named]
    head += [*(["rollbacks"] if back else []), "time"]
    rows = []
    for run in runs:
        train, best, last = run.having(SMOOTHED), run.best, run.last
        seconds = next((p.seconds for p in reversed(run.points) if p.seconds is not None), None)
        epochs = run.place(last, "epochs") if last else None
        measured = [(run.having(name), name) for name in named]
        rows.append(
            [
                one_line(run.name),
                DASH if last is None else f"{last.step:,}",
                number(epochs, 2),
                loss(train[-1].values[SMOOTHED] if train else None),
                loss(run.having(VAL)[-1].values[VAL] if best else None),
                loss(best.values[VAL] if best else None),
                DASH if best is None else f"{best.step:,}",
                *(loss(of[-1].values[name] if of else None) for of, name in measured),
                *([str(len(run.rollbacks))] if back else []),
                DASH if seconds is None else duration(seconds),
            ]
        )
    return head, rows


def differences(runs: Sequence[Curves]) -> tuple[list[str], list[list[str]]]:
    """Return a table of the settings in which runs differ: its head, and a row for each run.

    Without rows if there are none, or more than a table can show.
    """
    found = differing(runs)
    if not found or len(found) > _SETTINGS:
        return [], []
    rows = [
        [one_line(run.name), *(_value(values[at]) for values in found.values())]
        for at, run in enumerate(runs)
    ]
    return ["run", *found], rows


def _value(value: Any) -> str:
    if value is None or value == []:
        return DASH
    return f"{value:g}" if isinstance(value, float) else one_line(value)
