"""What a model tells of its training: its records, and in a notebook a table and loss curves."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from charrnn.display import loss, one_line
from charrnn.evaluate.curves import SMOOTHED, VAL, Curves, top_of_losses
from charrnn.storage.metrics import read_metrics
from charrnn.text import Vocabulary

WIDTH, HEIGHT, LEFT, BOTTOM = 520, 170, 58, 18
"""Pixels of the chart, and of its margins."""
COLOURS = {"training": "#d9772b", "validation": "#2f8fc9"}
"""Seen on white and on black; each names its line under the chart."""


class Shown:
    """A model that keeps the records of its training; a base class of the models of all tasks."""

    network: Any
    vocabulary: Vocabulary
    recorded: Sequence[dict[str, Any]] | Path = ()
    """The records of the training in memory, or the folder of the run that has them."""

    @property
    def history(self) -> list[dict[str, Any]]:
        """The records of the training, each as a plain dictionary, as ``metrics.jsonl`` has them.

        ``pandas.DataFrame(model.history)`` makes a table. Empty if they are not known.

        Raises
        ------
        CharRNNError
            If the metrics of the run cannot be read.
        """
        if isinstance(self.recorded, Path):
            return list(read_metrics(self.recorded))
        return list(self.recorded)

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the size of the model, its losses and their curves."""
        config, curves = self.network.config, Curves.of("", self.history)
        facts = {
            "network": f"{config.cell} {config.layers}×{config.hidden}",
            "parameters": f"{int(self.network.weights.trained.flat.size):,}",
            "symbols": f"{len(self.vocabulary):,}",
        }
        trained, best = curves.having(SMOOTHED), curves.best
        if curves.last is not None:
            facts["steps"] = f"{curves.last.step:,}"
        if trained:
            facts["training loss"] = loss(trained[-1].values[SMOOTHED])
        if best is not None:
            facts["best validation loss"] = f"{loss(best.values[VAL])} at step {best.step:,}"
        rows = "".join(
            f'<tr><th style="text-align:left">{name}</th>'
            f'<td style="text-align:left">{escape(one_line(value))}</td></tr>'
            for name, value in facts.items()
        )
        return f"<div><b>{type(self).__name__}</b><table>{rows}</table>{loss_chart(curves)}</div>"


def loss_chart(curves: Curves) -> str:
    """Return the loss curves over the steps as SVG; empty if none has two points."""
    top = top_of_losses([curves], "steps") or 0.0
    lines = {"training": curves.trained("steps"), "validation": curves.line(VAL, "steps")}
    lines = {name: [(x, y) for x, y in line if y <= top] for name, line in lines.items()}
    lines = {name: line for name, line in lines.items() if len(line) > 1}
    points = [point for line in lines.values() for point in line]
    if not points:
        return ""
    low, end = min(y for _, y in points), max(x for x, _ in points)
    base, wide = HEIGHT - BOTTOM, WIDTH - LEFT - 8
    drawn = "".join(
        f'<polyline fill="none" stroke="{COLOURS[name]}" stroke-width="2" points="'
        + " ".join(
            f"{LEFT + wide * x / end:.1f},{base - (base - 8) * _share(y, low, top):.1f}"
            for x, y in line
        )
        + '"/>'
        for name, line in lines.items()
    )
    labels = [(LEFT - 6, 14, "end", f"{top:.3g}"), (LEFT - 6, base, "end", f"{low:.3g}")]
    labels.append((WIDTH - 8, HEIGHT - 3, "end", f"step {end:,.0f}"))
    text = "".join(
        f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="currentColor" font-size="11">'
        f"{label}</text>"
        for x, y, anchor, label in labels
    )
    keys = ", ".join(f'<span style="color:{COLOURS[name]}">{name}</span>' for name in lines)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img" aria-label="Loss curves">'
        f'<path d="M{LEFT} 4V{base}H{WIDTH - 8}" fill="none" stroke="currentColor" '
        f'stroke-opacity="0.4"/>{drawn}{text}</svg><div>loss in nats: {keys}</div>'
    )


def _share(value: float, low: float, top: float) -> float:
    return (value - low) / (top - low) if top > low else 0.5
