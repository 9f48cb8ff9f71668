"""What the losses of a run say: it went wrong, learned by heart, was cut short, or did well.

Let v be the last validation loss, b the best one, t the loss on a sample of the training text by
the same weights and code (:mod:`charrnn.evaluate.sampled`), n the symbols or examples that v is the
mean over, all in nats.

``unstable``
    v, t and the smoothed training loss s, less what the first step has in it, ended clearly above
    what they were at b: by more than 0.1, and than 0.25 of that (0.1 for v with counted n-grams)
    and 1/√n. t is compared with s there, which is if anything higher: of the steps before, and with
    dropout. All three are asked, so that neither one bad evaluation, nor a hard passage of the
    text, nor a text learned by heart is taken for it; and a rate that has just been raised, as at a
    warm restart, costs less. It does not matter what ended the run: it is often patience.
``overfitting``
    Steps, epochs or time ended the run, and v > 1.02 b + 1/√n while s fell since b; of a language
    model also v - t > 0.06 v, unless it has counted n-grams, which t is without. Or, of a language
    model, t < v/2 and t < v - 0.1. The first is how overfitting is defined; 1/√n is about two
    standard errors of the difference between two equally good models.
    A run that ended because its validation loss no longer fell, or because its plan says that
    more would hardly pay, is not accused.
``cut-short``
    Steps, epochs or time ended the run, v > 0.01 is the best so far up to 1 %, and from a quarter
    of the steps to half of them the validation loss fell by 4 % or more and by more than (v - t)/2:
    a doubling still gave more than the text that was learned by heart took. If too few evaluations
    tell that: v - t ≤ 0.06 v after fewer than 5 epochs. The fall at the very end says nothing: a
    learning rate that goes to zero always makes the loss fall. The middle of a run is at high
    rates, and a longer run spends longer there.
``well``
    Otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import isfinite, log, sqrt
from typing import Any, NamedTuple

UNSTABLE, OVERFITTING, CUT_SHORT, WELL = "unstable", "overfitting", "cut-short", "well"
SMOOTHING = 0.98
"""How much of the smoothed training loss stays in an update: an average over about 50 of them."""
RISE, CLEAR_RISE = 0.02, 0.04
"""A rise of the validation loss above its best that counts, at the end and before it."""
WORSE = 0.25
"""A rise of both losses above those at the best evaluation by which training went wrong."""
WORSE_COUNTED = 0.1
"""That of the validation loss if counted n-grams, which cannot go wrong, have a share in it."""
NOISE = 1.0
"""Nats by which losses of n symbols differ by chance, times √n."""
BY_HEART = 0.5
"""The share of the validation loss below which a training loss is that of a text known by heart."""
LITTLE = 0.1
"""Nats by which losses differ even then if little is left to learn."""
FALL, SAME = 0.04, 0.01
"""A fall of the loss from a quarter to half of a run that counts, and a difference that does not.

In shares of the loss.
"""
PER_GAP = 0.5
"""The share of the distance between the two losses that the fall must exceed, too."""
GAP, FEW_EPOCHS = 0.06, 5.0
"""The distance of the losses of a text that is not known by heart, in shares of the loss.

And, if the fall is unknown, the epochs of a short run."""
NOTHING = 0.01
"""A loss at which nothing is left to learn, in nats."""
LIMITS = ("steps", "epochs", "minutes")
"""The reasons for the end of a run that cut it short, maybe."""


class Point(NamedTuple):
    """An evaluation, and the smoothed training loss when it was made, if that was recorded.

    ``trained`` is the latter without the share in it of what the run began with.
    """

    step: int
    loss: float
    smoothed: float | None
    trained: float | None = None


@dataclass(frozen=True)
class Outcome:
    """What the losses of a run say.

    Attributes
    ----------
    code
        ``unstable``, ``overfitting``, ``cut-short`` or ``well``.
    last, best
        The last and the best evaluation.
    train_loss
        The loss on a sample of the training text at the end; None if it was not measured.
    epochs
        How often the training text was read.
    counted
        Whether the validation loss is of network and counts together, the training loss of the
        network alone.
    """

    code: str
    last: Point
    best: Point
    train_loss: float | None
    epochs: float
    counted: bool = False


class Course:
    """The losses of a run as its records tell them, event by event.

    Attributes
    ----------
    points
        The evaluations.
    told
        Whether a record says that the run has begun to overfit, and no rollback undid it.
    """

    def __init__(self) -> None:
        self.points: list[Point] = []
        self.told = False
        self._told_at = 0.0
        self._smoothed: float | None = None
        self._trained: float | None = None
        self._first: tuple[int, float] | None = None  # the first step that was recorded, and s
        self._per_epoch, self._scored, self._language = 0.0, 0.0, True
        self._counted = False  # whether n-grams have a share in the validation loss alone
        self._enough = False  # whether the steps are those that a plan takes to be enough
        self._ended: tuple[str, float | None] | None = None

    @classmethod
    def of(cls, lines: Iterable[Mapping[str, Any]]) -> Course:
        """Return the course that the lines of a run's metrics tell."""
        course = cls()
        for line in lines:
            course.take(line)
        return course

    def take(self, line: Mapping[str, Any]) -> None:
        """Take in a record as a JSON object; what is not valid is passed over."""
        event = line.get("event")
        if event == "start":
            self._begin(line)
        elif event == "step":
            self._step(number_of(line.get("step")), number_of(line.get("smoothed")))
        elif event == "eval":
            step, loss = number_of(line.get("step")), number_of(line.get("val_loss"))
            if step is not None and loss is not None:
                self.points.append(Point(int(step), loss, self._smoothed, self._trained))
        elif event == OVERFITTING:
            self.told, self._told_at = True, number_of(line.get("step")) or 0.0
        elif event == "end":
            self._ended = str(line.get("reason")), number_of(line.get("train_loss"))
        elif event == "rollback":
            step = number_of(line.get("to_step")) or 0.0
            self.points = [point for point in self.points if point.step <= step]
            back = self.points[-1] if self.points else Point(0, 0.0, None)
            self._smoothed, self._trained = back.smoothed, back.trained
            self.told = self.told and self._told_at <= step

    def _step(self, step: float | None, smoothed: float | None) -> None:
        self._smoothed = self._trained = smoothed
        if step is None or smoothed is None:
            return
        if self._first is None or int(step) <= self._first[0]:
            self._first = int(step), smoothed
            return
        share = SMOOTHING ** (int(step) - self._first[0])
        self._trained = (smoothed - share * self._first[1]) / (1 - share)

    def _begin(self, line: Mapping[str, Any]) -> None:
        self._ended = None
        self._per_epoch = number_of(line.get("steps_per_epoch")) or 0.0
        scored = number_of(line.get("val_chars")) or 0.0
        train, examples = number_of(line.get("train_chars")), number_of(line.get("examples"))
        self._scored = min(scored, number_of(line.get("eval_chars")) or scored)
        if train and examples:  # their number in the validation data is about
            self._scored *= examples / train
        self._language = line.get("task", "lm") == "lm"
        self._counted = bool(line.get("counts") or line.get("grams"))
        plan = line.get("plan")
        self._enough = isinstance(plan, Mapping) and plan.get("by_passes") is True

    @property
    def best(self) -> Point | None:
        """The evaluation with the lowest loss."""
        return min(self.points, key=lambda point: point.loss, default=None)

    def _allowed(self, best: float, share: float) -> float:
        """Return a loss that is not above the best one, up to chance and a share of it."""
        return (1 + share) * best + NOISE / sqrt(max(1.0, self._scored))

    def overfits(self) -> bool:
        """Whether the run clearly overfits, before its end, and no record has said so.

        The last two evaluations must be above the best one, and the training loss below that there.
        """
        best = self.best
        if self.told or best is None or best is self.points[-1]:
            return False
        since = [point for point in self.points if point.step > best.step][-2:]
        limit = self._allowed(best.loss, CLEAR_RISE)
        return len(since) == 2 and all(
            point.loss > limit and _learned(best, point) for point in since
        )

    def recorded(self) -> Outcome | None:
        """Return what the losses say of a run whose end, or overfitting, is among the records."""
        if self._ended is not None:
            return self.outcome(*self._ended)
        if not self.told or not self.points:
            return None
        found = self.outcome("", None)
        return found and replace(found, code=OVERFITTING)

    def outcome(self, reason: str, train_loss: float | None) -> Outcome | None:
        """Return what the losses say of a run that ended for a reason; None without evaluations.

        Parameters
        ----------
        reason
            As in the record of the end.
        train_loss
            That on a sample of the training text; None if it was not measured.
        """
        best = self.best
        if best is None:
            return None
        last = self.points[-1]
        epochs = last.step / self._per_epoch if self._per_epoch else 0.0
        if train_loss is not None and not isfinite(train_loss):
            train_loss = None
        code, limited = WELL, reason in LIMITS and not (self._enough and reason == "steps")
        if self._is_unstable(last, best, train_loss):
            code = UNSTABLE
        elif limited and self._is_overfit(last, best, train_loss):
            code = OVERFITTING
        elif limited and self._is_short(last, best, train_loss, epochs):
            code = CUT_SHORT
        return Outcome(code, last, best, train_loss, epochs, self._counted)

    def _is_unstable(self, last: Point, best: Point, trained: float | None) -> bool:
        if best.trained is None or last.trained is None:
            return False
        training = last.trained if trained is None else min(trained, last.trained)
        share = WORSE_COUNTED if self._counted else WORSE
        rises = (best.loss, last.loss, share), (best.trained, training, WORSE)
        return all(
            now > max(self._allowed(before, share), before + LITTLE) for before, now, share in rises
        )

    def _is_overfit(self, last: Point, best: Point, trained: float | None) -> bool:
        if self._language and trained is not None and trained < BY_HEART * last.loss:
            return last.loss - trained > LITTLE
        alike = self._language and not self._counted
        if alike and trained is not None and last.loss - trained <= GAP * last.loss:
            return False
        return last.loss > self._allowed(best.loss, RISE) and _learned(best, last)

    def _is_short(self, last: Point, best: Point, trained: float | None, epochs: float) -> bool:
        if trained is None or last.loss > (1 + SAME) * best.loss or last.loss <= NOTHING:
            return False
        gap = last.loss - trained
        quarter, half = self._at(last.step / 4), self._at(last.step / 2)
        if quarter is None or half is None:
            return epochs < FEW_EPOCHS and gap <= GAP * last.loss
        return quarter - half > max(FALL * half, PER_GAP * gap)

    def _at(self, step: float) -> float | None:
        """Return the validation loss at a step, from the evaluations around it; None if unknown.

        Between two evaluations it is a straight line over the logarithm of the step.
        """
        before = [point for point in self.points if 0 < point.step <= step]
        after = [point for point in self.points if point.step >= step]
        if not before or not after:
            return None
        a, b = before[-1], after[0]
        share = log(step / a.step) / log(b.step / a.step) if b.step > a.step else 0.0
        return a.loss + share * (b.loss - a.loss)


def _learned(before: Point, after: Point) -> bool:
    """Whether the training loss fell between two evaluations."""
    if before.trained is None or after.trained is None:
        return False
    return after.trained < before.trained


def number_of(value: object) -> float | None:
    """Return a finite number of a record; None if it is something else."""
    if type(value) not in (int, float):
        return None
    try:
        number = float(value)  # type: ignore[arg-type]
    except OverflowError:
        return None
    return number if isfinite(number) else None
