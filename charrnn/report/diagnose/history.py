"""Gradient norms over a training run, on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from charrnn.diagnosis.history import BEFORE, JUMP, History, Series
from charrnn.display import printable
from charrnn.report.diagnose.figures import number, percent, sparkline
from charrnn.report.diagnose.terminal import heading, table

if TYPE_CHECKING:
    from rich.console import RenderableType

SHOWN = 20
"""Jumps that are listed; the others are counted."""


def history_parts(history: History, width: int) -> list[RenderableType]:
    """Return the series as sparklines, and the jumps, for lines of ``width`` columns."""
    from rich.text import Text

    spark = max(16, min(100, width - 44))
    steps = history.grad_norm.steps or history.clip_rate.steps
    title = Text(f"Gradients of {printable(history.run)} over training", style="bold")
    parts: list[RenderableType] = [title, Text(f"steps {steps[0]:,} to {steps[-1]:,}")]
    named = {"all": history.grad_norm, **history.layers}
    norms = _table("norm", named, spark)
    parts += [heading("Gradient norms before clipping"), norms]
    if history.update_ratios:
        named = {"all" if k == "global" else k: v for k, v in history.update_ratios.items()}
        ratios = _table("‖Δw‖ / ‖w‖", named, spark)
        parts += [heading("Update ratios", "about 1e-3 is the rule of thumb"), ratios]
        rates = history.clip_rate
        line = sparkline(rates.values, spark, low=0.0, high=1.0)
        last = percent(rates.values[-1])
        parts += [heading("Share of steps that were clipped"), Text(f"{line}  last {last}")]
    else:
        parts.append(Text("train with --watch 10 to see layers, updates and clipping", style="dim"))
    rule = f"more than {JUMP:g} times the median of the {BEFORE} records before"
    parts.append(heading("Jumps" if history.jumps else "No jumps", rule))
    for jump in history.jumps[:SHOWN]:
        where = "all" if jump.layer == "global" else jump.layer
        size = f"norm {number(jump.norm)}, {number(jump.times)} times"
        parts.append(Text(f"step {jump.step:>8,}  {where:<10} {size}"))
    if len(history.jumps) > SHOWN:
        parts.append(Text(f"and {len(history.jumps) - SHOWN:,} more", style="dim"))
    return [*parts, ""]


def _table(what: str, named: Mapping[str, Series], width: int) -> RenderableType:
    rows = [
        (name, sparkline(series.values, width, logarithmic=True), *_range(series))
        for name, series in named.items()
        if series.steps
    ]
    return table((what, "over time, log scale", "least", "last", "largest"), rows, left=2)


def _range(series: Series) -> list[str]:
    known = [value for value in series.values if value is not None]
    if not known:
        return [number(float("nan"))] * 3
    return [number(min(known)), number(series.values[-1]), number(max(known))]
