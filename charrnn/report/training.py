"""The output of ``charrnn train``: live figures on a terminal, lines in a log, JSON in a pipe."""

from __future__ import annotations

import json
import os
import sys
from abc import ABC, abstractmethod
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from charrnn.display import (
    count,
    duration,
    is_moving,
    loss,
    one_line,
    printable,
    safe_json,
    speed,
    unit,
)
from charrnn.errors import to_standard_output
from charrnn.plugins import named
from charrnn.report.outcome import meaning, no_better, outcome, rising
from charrnn.report.plan import enough, planned
from charrnn.report.standing import done, launcher
from charrnn.report.tables import inputs
from charrnn.train.records import End, Eval, Overfitting, Record, Rollback, Sample, Start, Step

if TYPE_CHECKING:
    from rich.console import Group

_REASONS = {
    "steps": "step limit reached",
    "epochs": "epoch limit reached",
    "minutes": "time limit reached",
    "patience": "no better validation loss for --patience evaluations",
    "interrupted": "interrupted",
}
_NEXT = {
    "lm": "to sample: charrnn sample",
    "classify": "to label texts: charrnn predict",
    "tag": "to label sequences: charrnn predict",
    "transduce": "to write targets: charrnn predict",
    "generate": "to write texts: charrnn sample --label NAME",
}
SHOWN = ("accuracy", "exact_match")
"""The measures of an evaluation that are shown beside its loss."""


class TrainingReport(ABC):
    """Shows records as they come; a context manager, so that a live display is removed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    @abstractmethod
    def show(self, record: Record) -> None:
        """Show one record."""

    def abandon(self) -> None:
        """Leave the terminal usable although the process ends at once; safe in a signal handler."""
        return


class Silent(TrainingReport):
    """Shows nothing."""

    def show(self, record: Record) -> None:
        """Show nothing."""


class JsonLines(TrainingReport):
    """Writes one JSON object per line to stdout."""

    def show(self, record: Record) -> None:
        """Write the record."""
        with to_standard_output():
            sys.stdout.write(safe_json(json.dumps(record.to_json())) + "\n")
            sys.stdout.flush()


class PlainLines(TrainingReport):
    """Writes one line per record to stderr, for logs."""

    def __init__(self, again: str = "") -> None:
        self._start: Start | None = None
        self._again = again

    def show(self, record: Record) -> None:
        """Write the record as a line, or a few."""
        if isinstance(record, Start):
            self._start = record
        line = self.line(record)
        if line:
            self.write(line)

    def write(self, line: str) -> None:
        """Write a line."""
        print(printable(line), file=sys.stderr, flush=True)

    def line(self, record: Record) -> str:
        """Return the record in words; empty if it is not shown."""
        if isinstance(record, Start):
            return describe(record)
        if isinstance(record, Step):
            left = time_left(self._start, record)
            fast = speed(record.chars_per_second, self._start.level if self._start else "char")
            return (
                f"step {record.step:>6}  epoch {record.epoch}  loss {record.loss:.4f}  "
                f"smoothed {record.smoothed:.4f}  grad {record.grad_norm:.3g}  lr {record.lr:.2e}  "
                f"{fast}" + (f"  {left} left" if left else "")
            )
        if isinstance(record, Eval):
            mark = "  (best so far)" if record.best else ""
            measures = "".join(f", {name} {value:.4f}" for name, value in shown(record))
            loss = f"validation loss {record.val_loss:.4f} nats{measures}"
            return f"step {record.step:>6}  {loss}{mark}"
        if isinstance(record, Rollback):
            return rollback(record)
        if isinstance(record, Overfitting):
            return rising(record)
        if isinstance(record, Sample):
            return f"--- sample at step {record.step}\n{printable(record.text)}\n---"
        if isinstance(record, End):
            return conclusion(record, self._start, self._again)
        return ""


class Live(PlainLines):
    """Shows the current figures on a terminal, with a bar; evaluations stay above them."""

    def __init__(self, again: str = "") -> None:
        super().__init__(again)
        from rich.console import Console
        from rich.live import Live as Display

        self._best: float | None = None
        self._val: float | None = None
        self._display = Display(
            console=Console(stderr=True), transient=True, auto_refresh=False, redirect_stdout=False
        )

    def __enter__(self) -> Self:
        self._display.start()
        return self

    def __exit__(self, *reason: Any) -> None:
        self._display.stop()

    def abandon(self) -> None:
        """Show the cursor again."""
        with suppress(OSError):
            os.write(2, b"\x1b[?25h\r\n")

    def write(self, line: str) -> None:
        """Write a line above the figures."""
        self._display.console.print(printable(line), markup=False, highlight=False, soft_wrap=True)

    def show(self, record: Record) -> None:
        """Update the figures, or write a line above them."""
        if isinstance(record, Step) and self._start:
            self._display.update(self._figures(self._start, record), refresh=True)
            return
        if isinstance(record, Eval):
            self._val = record.val_loss
            self._best = record.val_loss if record.best else self._best
        super().show(record)

    def _figures(self, start: Start, step: Step) -> Group:
        """Return two lines, narrower than a terminal of 80 columns."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        so_far, total = share_done(start, step)
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            f"step {step.step:,}",
            ProgressBar(total=total, completed=so_far, width=18),
            f"{min(1.0, so_far / total):.0%}  {time_left(start, step)} left  epoch {step.epoch}  "
            f"{speed(step.chars_per_second, start.level)}",
        )
        figures = (
            f"loss {step.loss:.3f}  smoothed {step.smoothed:.3f}  val {loss(self._val)}  "
            f"best {loss(self._best)}  grad {step.grad_norm:.2g}  lr {step.lr:.1e}"
        )
        return Group(bar, Text(figures, overflow="ellipsis", no_wrap=True))


def choose(quiet: bool, as_json: bool, again: str = "") -> TrainingReport:
    """Return the report for the options and for what stderr is connected to.

    ``again`` holds the options without which a resumed run would not continue exactly.
    """
    if as_json:
        return JsonLines()
    if quiet:
        return Silent()
    return (Live if is_moving(sys.stderr) else PlainLines)(again)


def describe(start: Start) -> str:
    """Return lines on the run, its model, its text, and its plan if it has one."""
    heldout = f", {start.val_chars:,} for validation" if start.val_chars else ""
    heldout += f", {start.test_chars:,} for testing" if start.test_chars else ""
    what = "target symbol" if start.settings.get("task") == "transduce" else "label"
    labels = f"{count(start.labels, what)}; " if start.labels else ""
    of = f" in {count(start.examples, 'example')}" if start.examples else ""
    limits = [count(start.total_steps, "step")] if start.total_steps else []
    limits += [count(start.minutes, "minute")] if start.minutes else []
    detail = start.core if start.backend == "numpy" else start.matmul
    where = start.backend + (f" ({detail})" if detail else "")
    return (
        f"{'resuming' if start.resumed else 'run'} {one_line(start.run)}"
        f"{f' at step {start.step:,}' if start.resumed else ''}\n"
        f"{network(start)}, {inputs(start.embed)}, "
        f"{count(start.parameters, 'parameter')}, {start.dtype} on {where}"
        f"{f', {start.ranks} ranks' if start.ranks > 1 else ''}\n"
        f"{count(start.train_chars, unit(start.level))}{of} to train on{heldout}; "
        f"{labels}{count(start.vocabulary, 'symbol')}; "
        f"{count(start.steps_per_epoch, 'step')} per epoch, until {' or '.join(limits)}"
        + (f"\n{plan}" if (plan := planned(start)) else "")
    )


def network(start: Start) -> str:
    """Return the cell and the sizes of a network, and its directions if it reads in both."""
    directions = ", both directions" if start.settings.get("bidirectional") else ""
    return f"{start.cell} {start.layers}×{start.hidden}{directions}"


def shown(record: Eval) -> list[tuple[str, float]]:
    """Return the further measures of an evaluation that are shown."""
    return [(name, value) for name, value in record.measures.items() if name in SHOWN]


def rollback(record: Rollback) -> str:
    """Return what diverged, and from which step and at which rate training continues."""
    value = "not finite" if record.value is None else f"{record.value:,.4g}"
    return (
        f"step {record.step:>6}  diverged: {record.tensor} is {value}; back to step "
        f"{record.to_step}, learning rate × {record.lr_factor:g} (rollback {record.count})"
    )


def conclusion(end: End, start: Start | None = None, again: str = "") -> str:
    """Return how training ended and which command comes next, with ``again`` if it continues."""
    task = "lm" if start is None else start.settings.get("task", "lm")
    reason = (start and enough(start, end.reason)) or _REASONS[end.reason]
    lines = [f"{reason} at step {end.step:,} after {duration(end.seconds)}"]
    if end.best_val_loss is not None:
        lines[0] += f"; best validation loss {end.best_val_loss:.4f} nats"
    lines.append(meaning(end, start))
    if end.no_better_than is None:
        lines.append(outcome(end, start.settings if start else {}))
    else:
        lines.append(no_better(end, task))
    run = named(end.run)
    if end.reason == "interrupted":
        ranks = launcher(start.settings, start.ranks) if start else ""
        lines.append(f"saved; to continue: {ranks}charrnn train --resume {run}{again}")
    else:
        lines.append(f"{_NEXT[task]} {run}")
    return "\n".join(filter(None, lines))


def share_done(start: Start, step: Step) -> tuple[float, float]:
    """Return how much of the run is done, and its total, both in steps or in seconds."""
    found = done(start.total_steps, start.minutes, step.step, step.seconds)
    assert found is not None  # a run has a limit
    return found


def time_left(start: Start | None, step: Step) -> str:
    """Return the time to the end, at the average speed of the run so far."""
    if start is None or not step.seconds:
        return ""
    so_far, total = share_done(start, step)
    return duration(step.seconds * (total - so_far) / so_far) if so_far else ""
