"""Several cells side by side on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from charrnn.diagnosis.compare import Contestant, horizons
from charrnn.display import count, duration, printable
from charrnn.report.diagnose.figures import number, sparkline
from charrnn.report.diagnose.terminal import MIN_G, heading, table, verdict_parts

if TYPE_CHECKING:
    from rich.console import RenderableType

HORIZONS = ("cell", "layer", "½-life", "e-fold", "G at window", "memory", "uses", "loss")


def compare_parts(contestants: Sequence[Contestant], text: str) -> list[RenderableType]:
    """Return horizons, gradients, training and verdicts of all cells, in the order given."""
    from rich.text import Text

    first = contestants[0].report.subject.model.config
    size = f"{first.layers}×{first.hidden}, {count(contestants[0].steps, 'step')} each"
    reach = [row for one in contestants for row in _horizons(one)]
    profiles = [row for one in contestants for row in _profiles(one)]
    training = [row for one in contestants for row in _training(one)]
    verdicts = [(c.cell, v) for c in contestants for v in c.report.verdicts]
    notes = dict.fromkeys(note for one in contestants for note in one.report.notes)
    legend = (
        "in steps, of the state that reaches farthest; memory: 1/|λ₁|; uses: characters\n"
        "for 90 % and 99 % of the gain from context; loss: nats, of the same characters"
    )
    return [
        Text("Cells side by side", style="bold"),
        Text(f"{size}, on {printable(text)}"),
        heading("Horizons"),
        table(HORIZONS, reach, left=2),
        Text(legend, style="dim"),
        heading("How far back gradients reach", f"log scale from 1 down to {MIN_G:g}"),
        table(("cell", "layer", "G from lag 0 to the largest", "at it"), profiles, left=3),
        heading("Training"),
        table(("cell", "parameters", "training", "median norm", "update ratio"), training),
        *_gradchecks(contestants),
        *verdict_parts([v for _, v in verdicts], [cell for cell, _ in verdicts]),
        *(Text(f"note: {printable(note)}", style="dim") for note in notes),
        "",
    ]


def _horizons(one: Contestant) -> Iterator[Sequence[str]]:
    for horizon in horizons(one.report):
        yield (
            one.cell,
            f"{horizon.part} {horizon.layer} {horizon.state}".strip(),
            number(horizon.half_life, 2),
            number(horizon.efold, 3),
            number(horizon.at_window, 2),
            number(horizon.memory_time, 3),
            horizon.uses,
            f"{horizon.loss:.3f}",
        )


def _profiles(one: Contestant) -> Iterator[Sequence[str]]:
    for layer in one.report.lag.layers if one.report.lag else ():
        for state, curve in layer.curves.items():
            values = [float(value) for value in curve.mean]
            spark = sparkline(values, 36, low=MIN_G, high=1.0, logarithmic=True)
            yield one.cell, f"{layer.name} {state}", spark, number(curve.at(len(values) - 1), 2)


def _training(one: Contestant) -> Iterator[Sequence[str]]:
    norms = one.report.norms
    if norms is not None:
        yield (
            one.cell,
            f"{norms.all.size:,}",
            duration(one.seconds),
            number(norms.all.grad.median),
            number(norms.all.update_ratio.median, 2),
        )


def _gradchecks(contestants: Sequence[Contestant]) -> list[RenderableType]:
    """Return the outcome of each cell's gradient check, if there was one."""
    rows = [
        (
            one.cell,
            "passed" if check.passed else "FAILED",
            number(max(part.relative for part in (*check.parameters, *check.jacobians)), 2),
        )
        for one in contestants
        if (check := one.report.gradcheck) is not None
    ]
    columns = table(("cell", "", "largest difference"), rows, left=2)
    return [heading("Gradient check", "float64, relative"), columns] if rows else []
