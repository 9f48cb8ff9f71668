"""The whole examination: every measurement in turn, then the verdicts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from charrnn.config import TrainConfig
from charrnn.diagnosis import examples, verdicts
from charrnn.diagnosis.measures import context, gates, gradcheck, jacobian, lag, norms, spectra
from charrnn.diagnosis.measures.broken import find_broken
from charrnn.diagnosis.measures.values import in_float64
from charrnn.diagnosis.report import Report
from charrnn.diagnosis.settings import DEFAULT_LAG, Settings
from charrnn.diagnosis.subjects import Subject
from charrnn.diagnosis.tasks.base import ExamplesSubject
from charrnn.diagnosis.tasks.measure import measure
from charrnn.display import count
from charrnn.errors import CorpusError
from charrnn.tasks.language import fit

MAX_DEFAULT_LAG = 256
"""The largest default lag, however long the training window is."""
MIN_TEXT = 4
"""Symbols of the shortest text that can be examined."""


def examine(
    subject: Subject | ExamplesSubject,
    settings: Settings | None = None,
    progress: Callable[[str], object] = lambda stage: None,
    word: Callable[[str], str] = str,
) -> Report:
    """Run every measurement and derive the verdicts.

    Parameters
    ----------
    subject
        The model, and its text or examples.
    settings
        How much to measure.
    progress
        Called with the name of each measurement as it begins.
    word
        Turns a setting into its name in messages, as in :func:`charrnn.diagnosis.verdicts.judge`.

    Raises
    ------
    CorpusError
        If the text has fewer than 4 symbols, or the examples are too short.
    """
    settings = settings or Settings()
    notes: list[str] = []
    if isinstance(subject, Subject):
        subject = examples.prepared(subject)
        subject = replace(subject, train=_fitted(subject, notes))
    report = Report(subject, settings, notes)
    report.broken = find_broken(subject.model, subject.moments)
    if not report.broken:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            if isinstance(subject, Subject):
                _measure(report, subject, progress)
            else:
                measure(report, subject, progress)
        if reason := report.nothing_to_learn:
            notes.append(f"nothing to learn: {reason}")
    report.verdicts = verdicts.judge(report, word)
    return report


def _fitted(subject: Subject, notes: list[str]) -> TrainConfig:
    """Return the training settings with batch and window fitted to the text."""
    length, train = len(subject.ids), subject.train
    if length < MIN_TEXT:
        raise CorpusError(
            f"the text has {count(length, 'symbol')}, diagnosis needs at least {MIN_TEXT}",
            "use a longer text",
        )
    text = subject.ids if subject.examples is None else subject.examples
    batch, seq_len, note = fit(text, train.batch, train.seq_len)
    # At least two windows, so that there is a state to carry into the second.
    streams = max(1, (length - 1) // (2 * seq_len))
    if streams < batch:
        averaged = f"averaged over {count(streams, 'stream')}, not {train.batch}"
        note = f"the text is short: gradients are {averaged}"
        batch = streams
    if note:
        notes.append(note)
    return replace(train, batch=batch, seq_len=seq_len)


def _measure(report: Report, subject: Subject, progress: Callable[[str], object]) -> None:
    """Fill the report; lag profile, matrices and Jacobians are computed in float64."""
    settings = report.settings
    model, ids, train = subject.model, np.asarray(subject.ids), subject.train
    text = ids if subject.examples is None else subject.examples
    max_lag, length = _lags(report, subject)
    progress("norms")
    per_epoch = (len(ids) - 1) // train.batch // train.seq_len
    windows = max(1, min(settings.windows, per_epoch - 1))
    report.norms = norms.measure(model, text, train, windows, subject.moments, subject.step)
    progress("gates")
    report.gates = gates.measure(model, text, train, windows)
    progress("lag profile")
    exact = in_float64(model)
    anchors = _anchors(subject, settings.anchors, length, settings.seed)
    report.lag = lag.profile(exact, ids, anchors, length, max_lag, train.seq_len)
    progress("recurrent matrices")
    report.recurrent = spectra.recurrent(exact)
    progress("state Jacobian")
    size = model.config.hidden * len(model.stack.cell.states)
    report.dynamics = jacobian.dynamics(
        exact,
        ids,
        settings.lyapunov_steps,
        exponents=settings.exponents,
        max_lag=max_lag,
        places=_places(size),
        seed=settings.seed,
    )
    progress("use of context")
    targets = _anchors(subject, settings.targets, length, settings.seed + 1)
    report.context = context.measure(model, ids, train, targets, length, windows, subject.examples)
    if settings.gradcheck:
        progress("gradient check")
        report.gradcheck = gradcheck.check(model, ids, settings.seed)


def _places(size: int) -> int:
    """Return the number of places at which to multiply Jacobians; a step takes O(size³)."""
    return 1 if size > 512 else 2 if size > 256 else jacobian.PLACES


def _anchors(subject: Subject, count: int, context: int, seed: int) -> NDArray[np.int64]:
    """Return positions in the text whose context is, of an example, a part of it."""
    if subject.examples is None:
        return lag.choose_anchors(len(subject.ids), count, context, seed)
    return examples.choose_anchors(subject.examples, count, context, seed)


def _lags(report: Report, subject: Subject) -> tuple[int, int]:
    """Return the largest lag and the context in steps, as far as the text allows."""
    settings, seq_len = report.settings, subject.train.seq_len
    max_lag = settings.max_lag
    if max_lag is None:
        max_lag = max(DEFAULT_LAG, min(seq_len, MAX_DEFAULT_LAG))
    length = settings.context if settings.context is not None else 2 * max_lag
    units, what = subject.examples, "the text is"
    longest = len(subject.ids) // 2
    if units is not None:
        longest, what = examples.longest_context(units, settings.anchors), "examples are"
    if length > longest:
        length = max(2, longest)
        max_lag = min(max_lag, length - 1)
        report.notes.append(
            f"{what} short: lags up to {max_lag}, with a context of {length} symbols"
        )
    return max_lag, length
