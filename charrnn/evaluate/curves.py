"""The curves of a run, from its metrics: losses, further measures, learning rate, rollbacks.

The training curve is the smoothed loss of the records: s_1 = l_1, s_n = r s_{n-1} + (1-r) l_n, with
r = :data:`charrnn.evaluate.course.SMOOTHING`, for each update n and its loss l_n. That is a
weighted mean of l_1 … l_n, whose mean step is

    n - a (1 - r^{n-1})    with a = r / (1-r)

(the sum of j r^j). It is drawn there, about 49 steps earlier, so that it does not lag behind the
validation loss while both fall. Nothing else is smoothed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from charrnn.architecture import ModelConfig
from charrnn.config import TrainConfig
from charrnn.errors import UsageError, setting
from charrnn.evaluate.course import SMOOTHING, number_of

STEPS, CHARACTERS, MINUTES, EPOCHS = AXES = ("steps", "characters", "minutes", "epochs")
"""What the curves of runs can be drawn over."""
TRAIN, SMOOTHED, VAL, RATE = "loss", "smoothed", "val_loss", "lr"
"""Names of values, as in the metrics."""
STEP, EVAL, ROLLBACK = "step", "eval", "rollback"
"""Events with a point."""
BEGINNING = 0.05
"""The share of a run in which losses fall from those of a guess."""
_OF_STEPS = (TRAIN, SMOOTHED, RATE, "grad_norm")
_NOT_MEASURED = {"step", "seconds"}


@dataclass(frozen=True)
class Point:
    """What was recorded at one step.

    ``seconds`` is the wall-clock time of the run then, None if it is unknown. A rollback is at the
    step that it went back to; its values are ``diverged_at``, the step that was undone, and
    ``lr_factor``.
    """

    event: str
    step: int
    seconds: float | None
    values: Mapping[str, float]


@dataclass
class Curves:
    """The curves of one run.

    Attributes
    ----------
    name
        What the run is called.
    start
        Its first record, with all settings; empty if there is none.
    points
        What was recorded, in order, without what a rollback undid.
    """

    name: str
    start: Mapping[str, Any] = field(default_factory=dict)
    points: list[Point] = field(default_factory=list)

    @classmethod
    def of(cls, name: str, lines: Iterable[Mapping[str, Any]]) -> Curves:
        """Return the curves that the lines of a run's metrics tell; what is invalid is left out."""
        curves = cls(name)
        for line in lines:
            curves.take(line)
        return curves

    def take(self, line: Mapping[str, Any]) -> None:
        """Take in a record as a JSON object."""
        event, step = line.get("event"), number_of(line.get("step"))
        if step is None or not 0 <= step < 2**63:
            return
        if event == "start":
            self.start = self.start or dict(line)
            self._forget(int(step))
        elif event == STEP:
            found = {name: number_of(line.get(name)) for name in _OF_STEPS}
            self._add(STEP, int(step), line, found)
        elif event == EVAL:
            kept = {name: number_of(of) for name, of in line.items() if name not in _NOT_MEASURED}
            self._add(EVAL, int(step), line, kept)
        elif event == ROLLBACK:
            back = int(number_of(line.get("to_step")) or 0)
            self._forget(back)
            found = {"diverged_at": step, "lr_factor": number_of(line.get("lr_factor"))}
            last = self.points[-1].seconds if self.points else 0.0
            self._add(ROLLBACK, back, {"seconds": last}, found)

    def _add(
        self, event: str, step: int, line: Mapping[str, Any], found: Mapping[str, float | None]
    ) -> None:
        values = {name: value for name, value in found.items() if value is not None}
        if values:
            self.points.append(Point(event, step, number_of(line.get("seconds")), values))

    def _forget(self, step: int) -> None:
        """Drop what was recorded after a step that the run went back to."""
        self.points = [point for point in self.points if point.step <= step]

    def having(self, name: str) -> list[Point]:
        """Return the points with a value of this name."""
        return [point for point in self.points if name in point.values]

    @property
    def measures(self) -> list[str]:
        """The names of what evaluations measure besides the loss."""
        names = dict.fromkeys(name for p in self.points if p.event == EVAL for name in p.values)
        return [name for name in names if name != VAL]

    @property
    def rollbacks(self) -> list[Point]:
        """The rollbacks, as far as they were not undone themselves."""
        return [point for point in self.points if point.event == ROLLBACK]

    @property
    def best(self) -> Point | None:
        """The evaluation with the lowest loss."""
        return min(self.having(VAL), key=lambda point: point.values[VAL], default=None)

    @property
    def last(self) -> Point | None:
        """The last point."""
        return self.points[-1] if self.points else None

    def place(self, point: Point, axis: str) -> float | None:
        """Return where a point is on an axis; None if the records do not tell.

        A language model reads T·N symbols in a step. The batches of other tasks are of unequal
        size; there, the symbols are those of the epochs.
        """
        if axis == STEPS:
            return float(point.step)
        if axis == MINUTES:
            return None if point.seconds is None else point.seconds / 60
        epochs = self._per(point, "steps_per_epoch")
        if axis == EPOCHS:
            return epochs
        size, steps = number_of(self.start.get("batch")), number_of(self.start.get("seq_len"))
        if self.start.get("task", "lm") == "lm":
            return point.step * size * steps if size and steps else None
        symbols = number_of(self.start.get("train_chars"))
        return epochs * symbols if epochs is not None and symbols else None

    def _per(self, point: Point, name: str) -> float | None:
        each = number_of(self.start.get(name))
        return point.step / each if each else None

    def line(self, name: str, axis: str) -> list[tuple[float, float]]:
        """Return a curve: places on an axis, and the values of this name there."""
        placed = ((self.place(point, axis), point.values[name]) for point in self.having(name))
        return [(x, y) for x, y in placed if x is not None]

    def trained(self, axis: str) -> list[tuple[float, float]]:
        """Return the training curve: each smoothed loss at the mean step of what it is the mean of.

        Places grow with the steps, so that they are earlier in proportion.
        """
        found = []
        for point in self.having(SMOOTHED):
            x, n = self.place(point, axis), point.step
            if x is not None and n > 0:
                earlier = SMOOTHING / (1 - SMOOTHING) * (1 - SMOOTHING ** (n - 1))
                found.append((x * (n - earlier) / n, point.values[SMOOTHED]))
        return found

    def to_json(self) -> list[dict[str, Any]]:
        """Return the points as JSON objects, with their places on all axes."""
        named = {MINUTES: 3, EPOCHS: 4, CHARACTERS: 0}
        rows = []
        for point in self.points:
            values = dict(point.values)
            if "diverged_at" in values:
                values["diverged_at"] = int(values["diverged_at"])
            places = {axis: self.place(point, axis) for axis in named}
            rounded = {
                axis: None if place is None else round(place, named[axis] or None)
                for axis, place in places.items()
            }
            row = {"run": self.name, "event": point.event, "step": point.step}
            rows.append({**row, **rounded, **values})
        return rows


def check_axis(runs: Iterable[Curves], axis: str) -> None:
    """Raise if the records of a run do not tell where its points are on an axis.

    Raises
    ------
    UsageError
        If so.
    """
    for run in runs:
        if all(run.place(point, axis) is None for point in run.points):
            raise UsageError(
                f"the records of {run.name} do not tell its {axis}", f"use {setting('x')} {STEPS}"
            )


def top_of_losses(runs: Iterable[Curves], axis: str) -> float | None:
    """Return where an axis of losses may end, so that their initial fall does not flatten the rest.

    It is the highest loss after the first 5 % of the longest run; None if there are no losses.
    """
    lines = [line for run in runs for line in (run.trained(axis), run.line(VAL, axis))]
    end = max((x for line in lines for x, _ in line), default=0.0)
    later = [y for line in lines for x, y in line if x >= BEGINNING * end]
    return max(later, default=None)


def differing(runs: Iterable[Curves]) -> dict[str, list[Any]]:
    """Return the settings of model and training that are not the same in all runs, by name."""
    starts = [run.start for run in runs]
    names = [name for config in (ModelConfig, TrainConfig) for name in config().facts()]
    names += [name for start in starts for name in start if ModelConfig.knows(name)]
    found = {name: [start.get(name) for start in starts] for name in dict.fromkeys(names)}
    return {name: of for name, of in found.items() if any(value != of[0] for value in of)}


def comparable(runs: Iterable[Curves]) -> bool:
    """Whether the validation losses of runs are of the same text, as far as the records tell."""
    keys = ("task", "level", "sources", "sources_count", "val", "val_chars", "hold_out")
    found = [[run.start.get(key) for key in keys] for run in runs]
    return all(each == found[0] for each in found)
