"""Gradient norms over a training run, on a terminal; what its page shares with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from charrnn.diagnosis.history import BEFORE, JUMP, History, Series
from charrnn.display import printable
from charrnn.report.diagnose.figures import number, percent, sparkline
from charrnn.report.diagnose.terminal import heading, table

if TYPE_CHECKING:
    from rich.console import RenderableType

ALL, RULE = "all", 1e-3
"""What the whole model is called; the rule of thumb for update ratios."""
WATCH = "train with --watch 10 to see layers, updates and clipping"
SHOWN = 20
"""Jumps that are listed; the others are counted."""


def history_parts(history: History, width: int) -> list[RenderableType]:
    """Return the series as sparklines, and the jumps, for lines of ``width`` columns."""
    from rich.text import Text

    spark = max(16, min(100, width - 44))
    steps = history.grad_norm.steps or history.clip_rate.steps
    title = Text(f"Gradients of {printable(history.run)} over training", style="bold")
    parts: list[RenderableType] = [title, Text(f"steps {steps[0]:,} to {steps[-1]:,}")]
    norms = _table("norm", named({"global": history.grad_norm, **history.layers}), spark)
    parts += [heading("Gradient norms before clipping"), norms]
    if history.update_ratios:
        ratios = _table("‖Δw‖ / ‖w‖", named(history.update_ratios), spark)
        parts += [heading("Update ratios", "about 1e-3 is the rule of thumb"), ratios]
        rates = history.clip_rate
        line = sparkline(rates.values, spark, low=0.0, high=1.0)
        last = percent(rates.values[-1])
        parts += [heading("Share of steps that were clipped"), Text(f"{line}  last {last}")]
    else:
        parts.append(Text(WATCH, style="dim"))
    rule = f"more than {JUMP:g} times the median of the {BEFORE} records before"
    parts.append(heading("Jumps" if history.jumps else "No jumps", rule))
    for jump in history.jumps[:SHOWN]:
        where = whole(jump.layer)
        size = f"norm {number(jump.norm)}, {number(jump.times)} times"
        parts.append(Text(f"step {jump.step:>8,}  {where:<10} {size}"))
    if len(history.jumps) > SHOWN:
        parts.append(Text(f"and {len(history.jumps) - SHOWN:,} more", style="dim"))
    return [*parts, ""]


def whole(layer: str) -> str:
    """Return what a layer is called, or the whole model."""
    return ALL if layer == "global" else layer


def named(series: Mapping[str, Series]) -> dict[str, Series]:
    """Return the series that hold anything, the whole model first, by the names that are shown."""
    order = sorted(series, key=lambda layer: layer != "global")
    return {whole(layer): series[layer] for layer in order if series[layer].steps}


def _table(what: str, named: Mapping[str, Series], width: int) -> RenderableType:
    rows = [
        (name, sparkline(series.values, width, logarithmic=True), *ranges(series))
        for name, series in named.items()
    ]
    return table((what, "over time, log scale", "least", "last", "largest"), rows, left=2)


def ranges(series: Series) -> list[str]:
    """Return the least, the last and the largest value."""
    known = [value for value in series.values if value is not None]
    if not known:
        return [number(float("nan"))] * 3
    return [number(min(known)), number(series.values[-1]), number(max(known))]
