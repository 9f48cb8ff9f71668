"""The curves of runs as text: on a terminal in colour, in a pipe without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from charrnn.evaluate.curves import RATE, TRAIN, VAL, Curves
from charrnn.report.curves.canvas import BACK, MARGIN, Canvas, Scale, axis, joined, means
from charrnn.report.curves.chart import LOSSES, Chart, differences, numbers
from charrnn.report.diagnose.figures import SPARKS, number
from charrnn.report.diagnose.terminal import heading, table

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

ROWS, FEW_ROWS = 16, 7
"""Rows of the chart of losses, and of one of a measure."""
COLOURS = ("cyan", "yellow", "green", "magenta", "blue", "red", "bright_cyan", "bright_yellow")
"""Colours of the terminal's own, one for each run of :data:`charrnn.report.curves.chart.MOST`."""
_ALONE, _OTHER = "●", "∙"
_GREY = "bright_black"


def curve_parts(chart: Chart, width: int, coloured: bool) -> list[RenderableType]:
    """Return charts and tables for lines of ``width`` columns.

    Training losses are lines of dots, evaluations are marked: with ● or, of several runs, with the
    letter of each. Without colour the training losses of several runs are small letters.
    """
    from rich.text import Text

    text = _Charts(chart, max(24, width - MARGIN - 1), coloured)
    parts: list[RenderableType] = [heading("Loss", text.legend()), *text.losses()]
    parts += text.back()
    for name in chart.measures:
        parts += [heading(name.replace("_", " ")), *text.measure(name)]
    if chart.rates:
        parts += [heading("Learning rate", "from 0 to the highest"), *text.rates()]
    head, rows = numbers(chart.runs)
    several = len(chart.runs) > 1
    signs = [text.sign(run) for run in chart.runs]
    parts += ["", _named(head, rows, signs) if several else table(head, rows)]
    head, rows = differences(chart.runs)
    if rows:
        parts += [heading("What differs"), _named(head, rows, signs)]
    if any(chart.verdicts):
        told = zip(signs, chart.verdicts, strict=True)
        lines = [f"{sign}  {said}" if several else said for sign, said in told if said]
        parts += [heading("Verdicts" if several else "Verdict"), *map(Text, lines)]
    if chart.note:
        parts.append(Text(f"\nnote: {chart.note}", style="dim"))
    return [*parts, ""]


def _named(
    head: Sequence[str], rows: Sequence[Sequence[str]], signs: Sequence[str]
) -> RenderableType:
    """Return a table with the sign of each run."""
    every = [[sign, *row] for sign, row in zip(signs, rows, strict=True)]
    return table(["", *head], every, left=2)


class _Charts:
    """Draws the charts of some runs, ``columns`` wide."""

    def __init__(self, chart: Chart, columns: int, coloured: bool) -> None:
        self._chart, self._columns, self._coloured = chart, columns, coloured
        self._several = len(chart.runs) > 1
        self._across = Scale(0.0, chart.longest)
        named = {id(run): chr(ord("A") + at) for at, run in enumerate(chart.chosen)}
        self._signs = named if self._several else {id(chart.runs[0]): _ALONE}

    def sign(self, run: Curves) -> str:
        """Return what marks a run."""
        return self._signs.get(id(run), _OTHER)

    def _style(self, run: Curves) -> str:
        return COLOURS[list(self._signs).index(id(run))] if id(run) in self._signs else _GREY

    def legend(self) -> str:
        """Return what the chart shows."""
        chart = self._chart
        mark = "letters" if self._several else _ALONE
        line = "small letters" if self._several and not self._coloured else "lines"
        cut = f"; from {number(chart.cut)}" if chart.cut else ""
        return f"{chart.y_label}; {mark}: validation, {line}: training{cut}"

    def losses(self) -> list[Text]:
        """Return the chart of losses, with its axis and a line of rollbacks if there were any."""
        from rich.text import Text

        chart = self._chart
        found = [y for run in chart.runs for n in LOSSES for _, y in chart.line(run, n)]
        if not found:
            return [Text("no losses are recorded", style="dim")]
        canvas = self._canvas(min(found), max(found), ROWS)
        runs = [*chart.others, *chart.chosen]  # the chosen ones on top
        for run in runs:
            trained = chart.line(run, TRAIN)
            if self._several and not self._coloured and run in chart.chosen:
                canvas.mark(trained, self.sign(run).lower(), "")
            elif run in chart.chosen:
                canvas.draw(trained, self._style(run))
        for run in runs:
            bold = f"bold {self._style(run)}" if run in chart.chosen else _GREY
            canvas.mark(chart.line(run, VAL), self.sign(run), bold)
        return [*canvas.lines(), *self._under()]

    def measure(self, name: str) -> list[Text]:
        """Return the chart of a measure."""
        lines = {id(run): self._chart.line(run, name) for run in self._chart.runs}
        values = [y for line in lines.values() for _, y in line]
        canvas = self._canvas(min(values), max(values), FEW_ROWS)
        for run in (*self._chart.others, *self._chart.chosen):
            canvas.mark(lines[id(run)], self.sign(run), f"bold {self._style(run)}")
        return [*canvas.lines(), *self._under()]

    def _canvas(self, low: float, high: float, rows: int) -> Canvas:
        return Canvas(self._columns, rows, self._across, Scale(low, high))

    def _under(self) -> list[Text]:
        from rich.text import Text

        lines = axis(self._across, self._columns, self._chart.x_label)
        return [Text(line, style="dim", no_wrap=True) for line in lines]

    def back(self) -> list[Text]:
        """Return a row for each run that was rolled back, which says to where."""
        from rich.text import Text

        rows = []
        for run in self._chart.chosen:
            places = self._chart.marks(run)
            row = [" "] * self._columns
            for place in places:
                row[round(self._across(place) * (self._columns - 1))] = BACK
            if places:
                sign = self.sign(run) if self._several else ""
                text = f"{sign:>{MARGIN - 1}} {''.join(row).rstrip()}"
                rows.append(Text(text, style=self._style(run), no_wrap=True))
        where = Text(f"{'':{MARGIN}}{BACK}: rolled back to here, at a lower rate", style="dim")
        return [*rows, where] if rows else []

    def rates(self) -> list[Text]:
        """Return a row of bars for each run: the learning rate, from 0 to its highest."""
        from rich.text import Text

        rows = []
        for run in self._chart.chosen:
            line = self._chart.line(run, RATE)
            highest = max((y for _, y in line), default=0.0)
            scale, row = Scale(0.0, highest or 1.0), [" "] * self._columns
            placed = means([(self._across(x), scale(y)) for x, y in line], self._columns - 1)
            for at, share in joined(placed):
                row[at] = SPARKS[min(7, int(share * 8))]
            sign = f"{self.sign(run)} " if self._several else ""
            left = f"{sign}{number(highest, 2):>{MARGIN - 3 - len(sign)}}"
            text = Text(f"{left:>{MARGIN - 2}}  ", style="dim", no_wrap=True)
            rows.append(text.append("".join(row).rstrip(), f"not dim {self._style(run)}"))
        return rows
