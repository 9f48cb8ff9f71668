"""``charrnn plot``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from charrnn.cli.parsing.given import refuse
from charrnn.cli.parsing.pictures import DRAWINGS, PAGES, check_picture, note_lacking
from charrnn.cli.parsing.shared import OUTPUT
from charrnn.cli.process.output import write, write_json, write_text
from charrnn.display import one_line, size
from charrnn.errors import CharRNNError

if TYPE_CHECKING:
    from charrnn.evaluate.curves import Curves

_WIDE = 1000
"""Columns of a table in a pipe, where nothing is cut off."""


def plot(
    context: typer.Context,
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="Run folders, checkpoint files, or names under checkpoints/; a sweep stands for "
            "its trials. [default: the newest run]",
            show_default=False,
        ),
    ] = None,
    x: Annotated[
        Literal["steps", "characters", "minutes", "epochs"],
        typer.Option(
            help="What to draw over; characters are those read, whatever the batch.",
            rich_help_panel="Drawing",
        ),
    ] = "steps",
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Draw into this file instead, .png, .svg or .pdf; needs charrnn[plot].",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write one page that needs no network instead, with the numbers at each point.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="One JSON object per point on standard output.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
) -> None:
    """Draw the loss curves of one or several runs, in the terminal, a file or a page.

    Shown are the training loss, the validation loss (of models of labels and targets also accuracy
    or exact match), the learning rate, where a run was rolled back, and its verdict, as charrnn
    info has it. A run may still be training. Steps that were undone, by a rollback or because a run
    was continued from an earlier checkpoint, are not drawn.

    The training loss is smoothed as training reports it, an exponential average over about 50
    steps, and drawn in the middle of these. Nothing else is smoothed. The axis of losses ends at
    the highest one after the first 5 % of the longest run.

    With --json an object for each point: "run", "event" (step, eval or rollback), "step", "epochs",
    "characters" and "minutes" (null if unknown); of a step "loss", "smoothed", "lr", "grad_norm";
    of an evaluation "val_loss" and what else was measured; of a rollback, whose "step" is the one
    that it went back to, "diverged_at" and "lr_factor".
    """
    check_picture(out, DRAWINGS)
    check_picture(html, PAGES)
    files = [path for path in (out, html) if path is not None]
    if as_json and not files:
        refuse(context, ("x",), "has no effect with --json, whose points have every axis")
    from charrnn.evaluate.curves import check_axis

    found, verdicts = _read(runs)
    check_axis(found, x)
    if as_json:
        write_json(*(row for run in found for row in run.to_json()))
    from charrnn.report.curves.chart import Chart

    chart = Chart.of(found, x, verdicts)
    if out is not None:
        from charrnn.report.curves.figure import draw

        note_lacking(out, draw(chart, out))
    if html is not None:
        from charrnn.report.curves.page import write_page

        write_page(chart, html)
    if as_json:
        return
    if files:
        told = (f"{one_line(path)}: {size(path.stat().st_size)}\n" for path in files)
        write_text("".join(told))
        return
    from charrnn.report.curves.terminal import curve_parts
    from charrnn.report.diagnose.terminal import make_console, render

    console = make_console()
    coloured = console.color_system is not None and not console.no_color
    wide = None if console.is_terminal else _WIDE
    write(render(curve_parts(chart, console.width, coloured), wide))


def _read(names: list[str] | None) -> tuple[list[Curves], list[str]]:
    """Return the curves of the runs, and how each is doing.

    Raises
    ------
    CharRNNError
        If a run does not exist, or has recorded nothing yet.
    """
    from charrnn.evaluate.curves import Curves
    from charrnn.report.standing import standing
    from charrnn.storage.lock import is_held
    from charrnn.storage.metrics import read_metrics
    from charrnn.storage.runs import recorded

    wanted: list[str | None] = [*names] if names else [None]
    folders = [folder for name in wanted for folder in recorded(name)]
    folders = list({folder.resolve(): folder for folder in folders}.values())
    called = Counter(folder.resolve().name for folder in folders)
    found, verdicts = [], []
    for folder in folders:
        name = folder.resolve().name
        unique = name if called[name] == 1 else str(folder)
        lines = list(read_metrics(folder))
        curves = Curves.of(unique, lines)
        if curves.points:
            found.append(curves)
            verdict = standing(str(folder), lines, is_held(folder))
            verdicts.append(one_line(verdict.message) if verdict else "")
    if not found:
        what = one_line(folders[0]) if len(folders) == 1 else "these runs"
        raise CharRNNError(
            f"nothing is recorded of {what} yet", "wait, or train with a smaller --log-every"
        )
    return found, verdicts
