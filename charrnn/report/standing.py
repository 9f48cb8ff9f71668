"""How a run is doing, in a line and in a few words: from its metrics, and whether it is running."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from charrnn.display import duration, quoted
from charrnn.evaluate.course import CUT_SHORT, OVERFITTING, UNSTABLE, WELL, Course, number_of
from charrnn.plugins import named
from charrnn.report.outcome import knows_its_text, no_better, outcome
from charrnn.train.records import End

RUNNING, STOPPED, ENDED, NO_BETTER = "running", "stopped", "ended", "no-better"
_WORDS = {
    UNSTABLE: "went wrong",
    OVERFITTING: "learned by heart",
    CUT_SHORT: "cut short",
    WELL: "doing well",
    NO_BETTER: "no better than a guess",
    ENDED: "ended",
}
_SHORT = "short of text"
_VERDICTS = (UNSTABLE, OVERFITTING, CUT_SHORT, WELL)
_COMPUTING = ("--backend", "--core", "--threads", "--matmul")
"""Options of a recorded command that are shown again: nothing that a damaged file may ask for."""


class Standing(NamedTuple):
    """How a run is doing.

    ``code`` is the verdict at its end (``unstable``, ``overfitting``, ``cut-short``,
    ``well``), ``no-better`` (than a guess), ``ended`` (without a validation text to judge
    it by), ``running`` or ``stopped`` (before its end). ``words`` say it in brief, ``message`` with
    what it rests on.
    """

    code: str
    words: str
    message: str

    def to_json(self) -> dict[str, str]:
        """Return code and message as a JSON object."""
        return {"code": self.code, "message": self.message}


def standing(run: str, lines: Iterable[Mapping[str, Any]], running: bool) -> Standing | None:
    """Return how a run is doing; None if it has recorded nothing.

    Parameters
    ----------
    run
        What ``--resume`` takes for it.
    lines
        Its metrics.
    running
        Whether a process trains it.
    """
    start: Mapping[str, Any] = {}
    step: Mapping[str, Any] = {}
    end: Mapping[str, Any] | None = None
    course = Course()
    for line in lines:
        course.take(line)
        event = line.get("event")
        if event == "start":
            start, end = line, None
        elif event == "end":
            end = line
        elif event == "step":
            step = line
    if not start:
        return None
    if running or end is None or end.get("reason") == "interrupted":
        return _unended(run, start, step, end, course, running)
    return _ended(run, start, end, course)


def done(
    total_steps: float | None, minutes: float | None, step: float, seconds: float
) -> tuple[float, float] | None:
    """Return how much of a run is done, and its total, both in steps or in seconds.

    None if it has no total.
    """
    options = []
    if total_steps:
        options.append((step, total_steps))
    if minutes:
        options.append((seconds, minutes * 60))
    return max(options, key=lambda pair: pair[0] / pair[1], default=None)


def launcher(settings: Mapping[str, Any], ranks: object) -> str:
    """Return how several ranks are started, if a single process cannot continue a run."""
    needs = settings.get("shard_files") or (number_of(settings.get("sync_every")) or 1) > 1
    several = isinstance(ranks, int) and ranks > 1
    return f"mpirun -n {ranks} " if several and needs else ""


def _again(recorded: object) -> str:
    """Return the options with which a run was computed, to be added to a command."""
    words = recorded if isinstance(recorded, list) else []
    pairs = zip(words[::2], words[1::2], strict=False)
    return "".join(f" {name} {quoted(str(value))}" for name, value in pairs if name in _COMPUTING)


def _unended(
    run: str,
    start: Mapping[str, Any],
    step: Mapping[str, Any],
    end: Mapping[str, Any] | None,
    course: Course,
    running: bool,
) -> Standing:
    """Return how far a run has come that has not ended."""
    latest = end or step
    last = course.points[-1] if course.points else None
    at = max(number_of(latest.get("step")) or 0.0, last.step if last else 0)
    seconds = number_of(latest.get("seconds")) or 0.0
    of = done(number_of(start.get("total_steps")), number_of(start.get("minutes")), at, seconds)
    share = f"{min(1.0, of[0] / of[1]):.0%}" if of else ""
    total = number_of(start.get("total_steps"))
    place = f"step {at:,.0f}" + (f" of {total:,.0f}" if total else "")
    place += f" ({share})" if share else ""
    losses = ""
    if last is not None and course.best is not None:
        losses = f"; validation loss {last.loss:.4g}, the best {course.best.loss:.4g}"
        losses += f" at step {course.best.step:,}"
        losses += "; it overfits" if course.told else ""
    if running:
        left = f", {duration(seconds * (of[1] - of[0]) / of[0])} left" if of and of[0] else ""
        return Standing(
            RUNNING, f"running, {share}".rstrip(", "), f"running, at {place}{left}{losses}"
        )
    how = "interrupted" if end else "ended by a kill or a failure"
    command = f"{launcher(start, start.get('ranks'))}charrnn train --resume {named(run)}"
    resume = f"; to continue: {command}{_again(start.get('again'))}"
    brief = f"stopped at {share}" if share else "stopped"
    return Standing(STOPPED, brief, f"{how} at {place}{losses}{resume}")


def _ended(run: str, start: Mapping[str, Any], line: Mapping[str, Any], course: Course) -> Standing:
    """Return the verdict on a run that has ended, as the end of training said it."""
    found = course.recorded()
    numbers = {name: number_of(line.get(name)) for name in _NUMBERS}
    code: object = line.get("verdict") or (found and found.code)
    guess = line.get("no_better_than")
    verdict = code if isinstance(code, str) and code in _VERDICTS else None
    if verdict and found is not None:  # records of the first versions hold less
        numbers["val_loss"] = found.last.loss
        numbers["best_val_loss"] = found.best.loss
        numbers["best_step"] = found.best.step
        numbers["epochs"] = numbers["epochs"] or found.epochs or None
    end = End(
        step=int(number_of(line.get("step")) or 0),
        reason=str(line.get("reason")),
        epoch=0,
        seconds=0.0,
        run=run,
        no_better_than=str(guess) if guess in ("uniform", "unigram") else None,
        verdict=verdict,
        **numbers,  # type: ignore[arg-type]
    )
    if end.no_better_than and end.guess_loss is not None:
        task = str(start.get("task", "lm"))
        return Standing(NO_BETTER, _WORDS[NO_BETTER], no_better(end, task))
    message = outcome(end, start)
    if not message:
        return Standing(ENDED, _WORDS[ENDED], "ended; no validation text to judge it by")
    short = end.verdict == WELL and knows_its_text(end)
    return Standing(str(end.verdict), _SHORT if short else _WORDS[str(end.verdict)], message)


_NUMBERS = (
    *("val_loss", "best_val_loss", "best_step", "guess_loss", "smoothed", "train_loss", "epochs"),
)
