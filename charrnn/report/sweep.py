"""The output of ``charrnn sweep``: a line for each trial, and the table of all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from charrnn.display import count, duration, loss, one_line, shell
from charrnn.report.tables import aligned
from charrnn.sweep.records import (
    COMPLETE,
    FAILED,
    PRUNED,
    RUNNING,
    Record,
    SweepEnd,
    SweepStart,
    Trial,
    TrialEnd,
    TrialEval,
    by_loss,
)
from charrnn.sweep.space import shown

_STATES = {PRUNED: "stopped early", RUNNING: "unfinished"}


def line(record: Record) -> str:
    """Return a record in words, for a log; empty if it is not shown."""
    if isinstance(record, SweepStart):
        total = "" if record.total is None else f" of {count(record.total, 'trial')}"
        done = f", {record.trials:,} begun" if record.trials else ""
        what = one_line(f"{record.search} search{total}{done}: {' '.join(record.tries)}")
        return f"sweep {one_line(record.folder)}\n{what}"
    if isinstance(record, TrialEnd):
        return _ended(record.trial)
    return ""


def status(record: TrialEval, total: int | None, best: float | None) -> str:
    """Return how far a trial has come, in one line."""
    of = f" of {total:,}" if total is not None else ""
    done = f", {record.share:.0%}" if record.share is not None else ""
    so_far = f", best {loss(best)}" if best is not None else ""
    figures = f"trial {record.trial.number}{of}{done}, val {loss(record.val_loss)}{so_far}"
    return f"{figures}: {values(record.trial.options)}"


def values(options: Mapping[str, Any]) -> str:
    """Return what a trial tries, as it is typed."""
    return one_line(" ".join(f"{name}={shown(value)}" for name, value in options.items()))


def _ended(trial: Trial) -> str:
    how = f"step {trial.step:,}, {duration(trial.seconds)}"
    if trial.loss is not None:
        how = f"validation loss {loss(trial.loss)} nats, {how}"
    if trial.state == FAILED:
        how = f"failed: {one_line(trial.reason)}"
    elif trial.state != COMPLETE:
        how = f"{_STATES[trial.state]}, {how}"
    return f"trial {trial.number}, {values(trial.options)}: {how}"


def table(trials: Sequence[Trial]) -> str:
    """Return the trials as a table, the lowest validation loss first."""
    names = list(dict.fromkeys(name for trial in trials for name in trial.options))
    head = ("trial", *map(one_line, names), "loss", "steps", "time", "state")
    rows = []
    for trial in by_loss(trials):
        state = _STATES.get(trial.state, trial.state)
        rows.append(
            (
                str(trial.number),
                *(one_line(shown(trial.options.get(name, ""))) for name in names),
                loss(trial.loss),
                f"{trial.step:,}",
                duration(trial.seconds),
                f"{state}: {one_line(trial.reason)}" if trial.reason else state,
            )
        )
    return aligned(head, rows, left=0, last=1)


def conclusion(end: SweepEnd, folder: str) -> str:
    """Return what came of the sweep, and which command comes next."""
    states = [trial.state for trial in end.trials]
    parts = [
        f"{states.count(state):,} {_STATES.get(state, state)}"
        for state in (COMPLETE, PRUNED, FAILED, RUNNING)
        if state in states
    ]
    why = {"total-minutes": "time limit reached", "interrupted": "interrupted"}.get(end.reason)
    lines = [", ".join([*([why] if why else []), *parts]) or "no trials"]
    if end.best is not None:
        lines.append(
            f"best: trial {end.best.number}, {values(end.best.options)}, validation loss "
            f"{loss(end.best.loss)} nats; the sweep's name stands for it: charrnn info "
            f"{shell(folder)}"
        )
    if why:
        lines.append("the same command goes on")
    return "\n".join(lines)
