"""Gradient norms over a training run as one page: no network, light and dark."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path

from charrnn.diagnosis.history import BEFORE, JUMP, History, Jump, Series
from charrnn.display import count, printable
from charrnn.report.diagnose.document import Tabs, document, tiles, write_document
from charrnn.report.diagnose.elements import table
from charrnn.report.diagnose.figures import DASH, number, percent, spans
from charrnn.report.diagnose.history import RULE, WATCH, named, ranges, whole
from charrnn.report.diagnose.svg import Line, chart

FOOTER = (
    "Norms are those before clipping. Of several records that fall on one point of a line, the "
    "largest is drawn; of losses and shares, the mean."
)
POINTS = 240
"""The most points of a line."""
MARKED, LISTED = 12, 200
"""Jumps that are marked in the chart, the largest, and those that are listed, the first."""
UP = "↑"
"""What stands above the mark of a jump."""
_COLOURS = 8
Summary = Callable[[Sequence[int], Sequence[float]], tuple[int, float]]
"""Makes one point of the records of a stretch: their steps, their values."""


def write_page(history: History, path: Path) -> None:
    """Write the page.

    Raises
    ------
    CharRNNError
        If the file cannot be written.
    """
    write_document(path, page(history))


def page(history: History) -> str:
    """Return the page: the curves, and their numbers."""
    steps = history.grad_norm.steps or history.clip_rate.steps
    lead = f"Gradients over training, steps {steps[0]:,} to {steps[-1]:,}"
    tabs: Tabs = [
        ("Curves", _tiles(history) + _curves(history)),
        ("Numbers", _numbers(history) + _jumps(history)),
    ]
    return document(
        "charrnn diagnose --history", printable(history.run), escape(lead), tabs, FOOTER
    )


def _tiles(history: History) -> str:
    """Return the figures that matter most, large."""
    found = []
    for series, what, of in (
        (history.grad_norm, "gradient", "norm at the end, largest {}"),
        (history.update_ratios.get("global"), "update", "of the weights, at the end; largest {}"),
    ):
        if series and series.steps:
            _, last, largest = ranges(series)
            found.append((what, last, of.format(largest)))
    if history.clip_rate.steps:
        found.append(("clipped", percent(history.clip_rate.values[-1]), "of the last steps"))
    found.append(("jumps", f"{len(history.jumps):,}", f"norms above {JUMP:g} times those before"))
    return tiles(found)


def _curves(history: History) -> str:
    """Return the charts, over the steps of training."""
    steps = [
        step
        for series in (history.grad_norm, *history.layers.values(), history.clip_rate)
        for step in series.steps
    ]
    span = (min(steps), max(steps))
    worst = sorted(history.jumps, key=lambda jump: -jump.times)[:MARKED]
    marks = sorted({(float(jump.step), UP) for jump in worst})
    told = f"; {UP}: a jump" if marks else ""
    norms = chart(
        _lines(named({"global": history.grad_norm, **history.layers}), _largest),
        title=f"Gradient norms before clipping{told}",
        x_label="steps",
        y_label="norm",
        log_y=True,
        marks=marks,
        span=span,
    )
    shown = [norms]
    if history.update_ratios:
        rule = Line(f"rule of thumb, {RULE:g}", span, [RULE, RULE], 6, dashed=True)
        ratios = [*_lines(named(history.update_ratios), _largest), rule]
        title = "Update ratios"
        shown.append(
            chart(ratios, title=title, x_label="steps", y_label="‖Δw‖ / ‖w‖", log_y=True, span=span)
        )
    for series, title, y_label in (
        (history.clip_rate, "Steps that were clipped", "share"),
        (history.loss, "Training loss", "nats"),
    ):
        if any(series.values):  # not if nothing was clipped
            lines = _lines({title: series}, _mean)
            shown.append(chart(lines, title=title, x_label="steps", y_label=y_label, span=span))
    return "".join(shown) + ("" if history.update_ratios else f'<p class="none">{WATCH}</p>')


def _lines(series: Mapping[str, Series], of: Summary) -> list[Line]:
    """Return a line for each series; colours come again, dashed, where there are many."""
    return [
        Line(name, *_points(each, of), at % _COLOURS, dashed=at >= _COLOURS)
        for at, (name, each) in enumerate(series.items())
    ]


def _points(series: Series, of: Summary) -> tuple[list[float], list[float | None]]:
    """Return at most :data:`POINTS` points; one that holds a non-finite value is missing."""
    x: list[float] = []
    y: list[float | None] = []
    for start, stop in spans(len(series.steps), POINTS):
        steps, values = series.steps[start:stop], series.values[start:stop]
        known = [value for value in values if value is not None]
        at, value = of(steps, known) if len(known) == len(steps) else (steps[0], None)
        x.append(at)
        y.append(value)
    return x, y


def _largest(steps: Sequence[int], values: Sequence[float]) -> tuple[int, float]:
    value = max(values)
    return steps[values.index(value)], value


def _mean(steps: Sequence[int], values: Sequence[float]) -> tuple[int, float]:
    return steps[len(steps) // 2], sum(values) / len(values)


def _numbers(history: History) -> str:
    """Return the range of each series."""
    shown = ""
    for caption, series in (
        ("Gradient norms before clipping", {"global": history.grad_norm, **history.layers}),
        ("Update ratios", history.update_ratios),
    ):
        rows = [[escape(name), *map(escape, ranges(each))] for name, each in named(series).items()]
        if rows:
            shown += table(("", "least", "last", "largest"), rows, caption=caption)
    return shown


def _jumps(history: History) -> str:
    """Return a list of the jumps."""
    rule = f"Jumps: more than {JUMP:g} times the median of the {BEFORE} records before"
    if not history.jumps:
        return f'<p class="card good"><b>✓ No jumps.</b> {escape(rule)}.</p>'
    rows = [_jump(jump) for jump in history.jumps[:LISTED]]
    more = len(history.jumps) - LISTED
    rest = f'<p class="none">and {count(more, "more jump")}</p>' if more > 0 else ""
    return table(("step", "norm of", "norm", "times"), rows, left=2, caption=rule) + rest


def _jump(jump: Jump) -> list[str]:
    norm = DASH if jump.norm != jump.norm else number(jump.norm)
    return [f"{jump.step:,}", escape(whole(jump.layer)), norm, number(jump.times)]
