"""The curves of runs as one page: no network, light and dark, with the numbers at each point."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from charrnn.display import count, one_line, printable
from charrnn.evaluate.curves import CHARACTERS, STEPS, TRAIN, VAL, Curves
from charrnn.report.curves.canvas import BACK, means
from charrnn.report.curves.chart import Chart, Line, differences, numbers
from charrnn.report.diagnose.document import Tabs, document, tiles, write_document
from charrnn.report.diagnose.elements import table
from charrnn.report.diagnose.figures import number
from charrnn.report.diagnose.svg import Line as Drawn
from charrnn.report.diagnose.svg import chart as drawn

FOOTER = (
    "The training loss is an exponential average over about 50 steps, drawn in the middle of these."
)
GREY = 6
"""The number of the colour of runs without one of their own."""
_POINTS = 400
"""The most points of a line; more are means."""


def write_page(chart: Chart, path: Path) -> None:
    """Write the page.

    Raises
    ------
    CharRNNError
        If the file cannot be written.
    """
    write_document(path, page(chart))


def page(chart: Chart) -> str:
    """Return the page."""
    curves = f"{_tiles(chart)}{_losses(chart)}"
    for name in chart.measures:
        found = [(run, line) for run in chart.chosen if (line := chart.line(run, name))]
        curves += _panel(chart, found, name.replace("_", " ").capitalize())
    if chart.rates:
        curves += _panel(chart, chart.rates, chart.rate_title)
    tabs: Tabs = [("Curves", curves), ("Numbers", _numbers(chart))]
    several = len(chart.runs) > 1
    title = "Loss curves" if several else printable(chart.runs[0].name)
    note = f"{chart.note}; " if chart.note else ""
    lead = f"{note}{count(len(chart.runs), 'run')}" if several else "".join(chart.verdicts)
    return document("charrnn plot", title, escape(lead), tabs, FOOTER)


def _tiles(chart: Chart) -> str:
    """Return the figures of a single run, large."""
    if len(chart.runs) != 1:
        return ""
    (run,) = chart.runs
    head, (row,) = numbers(chart.runs)
    of = dict(zip(head, row, strict=True))
    found = [("steps", of["steps"], f"{of['epochs']} epochs, {of['time']}")]
    if run.best:
        found.insert(0, ("best validation loss", of["best val"], f"at step {of['at step']}"))
        found.insert(1, ("validation loss", of["val"], "at the last evaluation"))
    found.insert(0, ("training loss", of["train"], "smoothed, at the end"))
    return tiles(found)


def _colour(chart: Chart, run: Curves) -> int:
    return next((at for at, one in enumerate(chart.chosen) if one is run), GREY)


def _losses(chart: Chart) -> str:
    """Return the chart of losses; of a single run training has a colour of its own."""
    several, lines = len(chart.runs) > 1, []
    marks = []
    for run in (*chart.others, *chart.chosen):
        colour, name = _colour(chart, run), one_line(run.name)
        trained, tested = chart.line(run, TRAIN), chart.line(run, VAL)
        ours = any(one is run for one in chart.chosen)
        if trained and ours:
            label = f"{name}, training" if several else "training"
            lines.append(_line(chart, label, trained, colour if several else 1, dashed=True))
        if tested:
            label = f"{name}, validation" if several else "validation"
            lines.append(_line(chart, label, tested, colour))
        marks += [(x, BACK if several else "rolled back") for x in chart.marks(run)]
    where = f"; {BACK}: rolled back to here" if marks and several else ""
    first = f" (the first, {number(chart.cut)}, is above the axis)" if chart.cut else ""
    return drawn(
        lines,
        title=f"Loss{first}{where}",
        x_label=chart.x_label,
        y_label=chart.y_label,
        marks=list(dict(marks).items()),
        span=(0.0, chart.longest),
    )


def _panel(chart: Chart, found: Sequence[tuple[Curves, Line]], title: str) -> str:
    """Return a chart of one value of each run."""
    names = [one_line(run.name) if len(chart.runs) > 1 else title for run, _ in found]
    lines = [
        _line(chart, name, line, _colour(chart, run))
        for name, (run, line) in zip(names, found, strict=True)
    ]
    span = (0.0, chart.longest)
    return drawn(lines, title=title, x_label=chart.x_label, y_label="", span=span)


def _line(chart: Chart, label: str, line: Line, colour: int, dashed: bool = False) -> Drawn:
    """Return a line of at most about :data:`_POINTS` points, at places that are round numbers."""
    kept: Sequence[tuple[float, float]] = line
    end, places = line[-1][0], 0 if chart.axis in (STEPS, CHARACTERS) else 3
    if len(line) > _POINTS and end > 0:
        shares = means([(x / end, y) for x, y in line], _POINTS)
        kept = [(at * end / _POINTS, y) for at, y in shares]
    return Drawn(label, [round(x, places) for x, _ in kept], [y for _, y in kept], colour, dashed)


def _numbers(chart: Chart) -> str:
    """Return where each run stands, and the settings in which they differ."""
    head, rows = numbers(chart.runs)
    shown = table(head, [[escape(cell) for cell in row] for row in rows], caption="Runs")
    if any(chart.verdicts):
        told = zip(chart.runs, chart.verdicts, strict=True)
        items = "".join(
            f"<p><b>{escape(one_line(run.name))}</b>: {escape(said)}</p>" for run, said in told
        )
        shown += f"<h3>Verdicts</h3>{items}"
    head, rows = differences(chart.runs)
    if rows:
        cells = [[escape(cell) for cell in row] for row in rows]
        shown += table(head, cells, caption="Settings that differ")
    return shown
