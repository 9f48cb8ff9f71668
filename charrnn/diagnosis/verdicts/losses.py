"""Losses of the run that a model is from: ``overfitting``, ``cut-short``."""

from __future__ import annotations

from collections.abc import Iterator

from charrnn.diagnosis.report import Report, Verdict
from charrnn.diagnosis.verdicts.sources import MEASUREMENT
from charrnn.errors import setting
from charrnn.evaluate.course import CUT_SHORT, OVERFITTING, Outcome


def overfitting(report: Report) -> Iterator[Verdict]:
    """Yield a verdict if the run has learned its training text by heart."""
    found = _of_the_run(report, OVERFITTING)
    if found is None:
        return
    best, last = found.best, found.last
    rose = f"the validation loss is {last.loss:.3g} nats at step {last.step:,}"
    if best.step != last.step:
        rose += f", after {best.loss:.3g} at step {best.step:,}"
    this = report.subject.step
    saved = f"; this checkpoint, of step {this:,}, is the best one" if this == best.step else ""
    yield Verdict(
        OVERFITTING,
        None,
        MEASUREMENT,
        f"the run has learned the training text by heart: {rose}{_trained(found)}{saved}",
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


def _trained(found: Outcome) -> str:
    return "" if found.train_loss is None else f", the training loss {found.train_loss:.3g}"
