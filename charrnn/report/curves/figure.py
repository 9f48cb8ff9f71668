"""The curves of runs drawn by matplotlib: losses, measures and learning rate, one above another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from charrnn.display import printable
from charrnn.evaluate.curves import TRAIN, VAL, Curves
from charrnn.report.curves.chart import Chart
from charrnn.report.diagnose.figures import number
from charrnn.report.diagnose.plot import COLOURS, STYLE, need_matplotlib, save_figure

GREY = "0.75"
_MARGIN = 0.05
"""The share of the range of losses that is left free above and below it."""


def draw(chart: Chart, path: Path) -> str:
    """Draw the curves into a .png, .svg or .pdf file; return the characters that the font lacks.

    Raises
    ------
    CharRNNError
        If matplotlib is not installed or the file cannot be written.
    """
    need_matplotlib()
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = ["losses", *chart.measures, *(["rates"] if chart.rates else [])]
    heights = [3.2, *(1.4 for _ in chart.measures), *([1.0] if chart.rates else [])]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.8, sum(heights) + 0.9), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=heights)
        for name, axis in zip(panels, axes[:, 0], strict=True):
            if name == "losses":
                _losses(axis, chart)
            elif name == "rates":
                _rates(axis, chart)
            else:
                _measure(axis, chart, name)
        axes[-1, 0].set_xlabel(chart.x_label)
        axes[-1, 0].set_xlim(left=0)
        axes[-1, 0].xaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(_tick))
        return save_figure(figure, path, 150)


def _tick(value: float, _: int) -> str:
    return f"{value:,.10g}"


def _colour(chart: Chart, run: Curves) -> str:
    for index, one in enumerate(chart.chosen):
        if one is run:
            return COLOURS[index % len(COLOURS)]
    return GREY


def _name(text: str) -> str:
    return printable(text).replace("$", r"\$")


def _losses(axis: Any, chart: Chart) -> None:
    """Draw training losses dashed, validation losses with a dot at each evaluation."""
    several = len(chart.runs) > 1
    axis.set_title("Loss" if several else f"Loss of {_name(chart.runs[0].name)}")
    axis.set_ylabel(chart.y_label)
    low, high = float("inf"), -float("inf")
    for run in (*chart.others, *chart.chosen):
        colour = _colour(chart, run)
        for name in (TRAIN, VAL):
            line = chart.line(run, name)
            if not line or (name == TRAIN and colour == GREY):
                continue
            x, y = zip(*line, strict=True)
            low, high = min(low, *y), max(high, *y)
            style = {"ls": "--", "lw": 1.0} if name == TRAIN else {"marker": "o", "ms": 2.5}
            at = colour if several or name == VAL else COLOURS[1]
            axis.plot(x, y, color=at, label=_label(chart, run, name), **style)
        for place in chart.marks(run) if colour != GREY else ():
            axis.axvline(place, color=colour if several else "0.4", lw=0.8, ls=":")
            axis.annotate("rolled back", (place, 1), xycoords=("data", "axes fraction"),
                          xytext=(3, -2), textcoords="offset points", va="top", rotation=90,
                          fontsize=6.5, color="0.4")  # fmt: skip
    if low < high:
        margin = _MARGIN * (high - low)
        axis.set_ylim(low - margin, high + margin)
    if several:
        axis.plot([], [], color="0.4", marker="o", ms=2.5, label="validation")
        axis.plot([], [], color="0.4", ls="--", lw=1.0, label="training")
    if chart.others:
        axis.plot([], [], color=GREY, label=f"{len(chart.others):,} others")
    if chart.cut is not None:
        said = f"the first, {number(chart.cut)}, is above"
        axis.text(0.995, 1.02, said, transform=axis.transAxes, ha="right", fontsize=7, color="0.4")
    axis.legend(loc="upper right")


def _label(chart: Chart, run: Curves, name: str) -> str | None:
    """Return what the legend says of a line: of several runs the names, else what it is."""
    if len(chart.runs) == 1:
        return "training" if name == TRAIN else "validation"
    named = any(one is run for one in chart.chosen)
    last = VAL if run.having(VAL) else TRAIN
    return _name(run.name) if named and name == last else None


def _measure(axis: Any, chart: Chart, name: str) -> None:
    axis.set_title(name.replace("_", " ").capitalize())
    for run in (*chart.others, *chart.chosen):
        line = chart.line(run, name)
        if line:
            axis.plot(*zip(*line, strict=True), color=_colour(chart, run), marker="o", ms=2.5)


def _rates(axis: Any, chart: Chart) -> None:
    axis.set_title(chart.rate_title)
    for run, line in chart.rates:
        axis.plot(*zip(*line, strict=True), color=_colour(chart, run), lw=1.0)
    axis.set_ylim(bottom=0)
