"""Losses of the run that a model is from: ``unstable``, ``overfitting``, ``cut-short``."""

from __future__ import annotations

from collections.abc import Iterator

from charrnn.diagnosis.report import Report, Verdict
from charrnn.diagnosis.verdicts.sources import MEASUREMENT
from charrnn.errors import setting
from charrnn.evaluate.course import CUT_SHORT, OVERFITTING, UNSTABLE, Outcome


def unstable(report: Report) -> Iterator[Verdict]:
    """Yield a verdict if the run's losses, of training too, ended far above its best ones."""
    found = _of_the_run(report, UNSTABLE)
    if found is None:
        return
    clip = setting("clip_norm")
    clip = f"a lower {clip}" if report.subject.train.clip_norm else clip
    yield Verdict(
        UNSTABLE,
        None,
        MEASUREMENT,
        f"training went wrong after step {found.best.step:,}: {_rose(report, found)}",
        f"a lower {setting('lr')} or {clip}",
    )


def overfitting(report: Report) -> Iterator[Verdict]:
    """Yield a verdict if the run has learned its training text by heart."""
    found = _of_the_run(report, OVERFITTING)
    if found is None:
        return
    yield Verdict(
        OVERFITTING,
        None,
        MEASUREMENT,
        f"the run has learned the training text by heart: {_rose(report, found)}",
        f"more text, a higher {setting('dropout')}, or a smaller {setting('hidden')}",
    )


def cut_short(report: Report) -> Iterator[Verdict]:
    """Yield a verdict if the run ended while its model was still improving."""
    found = _of_the_run(report, CUT_SHORT)
    if found is None:
        return
    yield Verdict(
        CUT_SHORT,
        None,
        MEASUREMENT,
        f"the run ended after {found.epochs:.2g} epochs while it was still improving: the "
        f"validation loss is {found.last.loss:.3g} nats{_trained(found)}",
        f"a run with more {setting('steps')} or {setting('minutes')}",
    )


def _of_the_run(report: Report, code: str) -> Outcome | None:
    """Return what the run's losses say, if it is this."""
    found = report.subject.outcome
    return None if found is None or found.code != code or report.nothing_to_learn else found


def _rose(report: Report, found: Outcome) -> str:
    """Return the losses at the end, the best one before it, and which one is examined."""
    best, last = found.best, found.last
    rose = f"the validation loss is {last.loss:.3g} nats at step {last.step:,}"
    if best.step != last.step:
        rose += f", after {best.loss:.3g} at step {best.step:,}"
    this = report.subject.step
    saved = f"; this checkpoint, of step {this:,}, is the best one" if this == best.step else ""
    return f"{rose}{_trained(found)}{saved}"


def _trained(found: Outcome) -> str:
    if found.train_loss is None:
        return ""
    return f", the training loss {found.train_loss:.3g}" + " of the network alone" * found.counted
