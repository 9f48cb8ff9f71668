"""The diagnosis of one model on a terminal: verdicts first, then the measurements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from charrnn.diagnosis.measures.norms import Norms
from charrnn.diagnosis.report import Report
from charrnn.display import count, printable
from charrnn.report.diagnose.figures import DASH, bar, number, percent, sparkline
from charrnn.report.diagnose.terminal import MIN_G, heading, table, verdict_parts
from charrnn.report.diagnose.words import (
    NAMES,
    anchors_line,
    model_line,
    shortcut_line,
    text_line,
    windows_line,
)

if TYPE_CHECKING:
    from rich.console import RenderableType


def report_parts(report: Report, width: int = 80) -> list[RenderableType]:
    """Return the whole report, section by section, for lines of ``width`` columns."""
    parts: list[RenderableType] = [*_header(report), *verdict_parts(report.verdicts)]
    if report.broken:
        return parts
    parts += [*_lag(report, width), *_dynamics(report), *_context(report), *_norms(report)]
    parts += [*_gates(report), *_recurrent(report), *_gradcheck(report), *_missing(report)]
    return [*parts, ""]


def _header(report: Report) -> list[RenderableType]:
    """Return the model and the text that were examined."""
    from rich.text import Text

    return [
        Text(printable(report.subject.name), style="bold"),
        Text(model_line(report)),
        Text(text_line(report)),
        *(Text(f"note: {printable(note)}", style="dim") for note in report.notes),
    ]


def _lag(report: Report, width: int) -> list[RenderableType]:
    from rich.text import Text

    profile = report.lag
    if profile is None:
        return []
    edge = profile.max_lag
    window = min(profile.seq_len, edge) or edge
    lags = sorted({k for k in (1, 4, 16) if k < edge} | {window, edge})
    layers = profile.shown
    wide = max(len(layer.name) for layer in layers)
    spark_width = max(12, min(48, width - 64 - wide))
    shown = [f"lag {lags[0]}", *(f"{k}" for k in lags[1:])]
    head = ("layer", f"G, lags 0–{edge}", *shown, "½-life", "e-fold")
    rows = []
    for layer in layers:
        alone = " *" if layer.alone else ""
        for name, curve in layer.curves.items():
            values = [float(value) for value in curve.mean]
            spark = sparkline(values, spark_width, low=MIN_G, high=1.0, logarithmic=True)
            figures = [number(curve.at(k), 2) for k in lags]
            lives = [number(curve.half_life, 2), number(curve.efold, 3)]
            rows.append((f"{layer.name} {name}{alone}", spark, *figures, *lives))
    note = f"{anchors_line(profile)}; bars: log scale, 1 to {MIN_G:.0e}"
    if profile.alone:
        note += f"\n* {shortcut_line(profile)}"
    columns = table(head, rows, left=2)
    return [heading("How far back gradients reach"), columns, Text(note, style="dim")]


def _dynamics(report: Report) -> list[RenderableType]:
    from rich.text import Text

    dynamics = report.dynamics
    if dynamics is None:
        return []
    lags = dynamics.layers[0].products.lags
    shown = [k for k in lags if k in (1, 4, 16, lags[-1])]
    head = ("layer", "λ₁/step", "±", "memory", *(f"{k}" for k in shown), "λ₂ …")
    rows = []
    for layer in dynamics.layers:
        products = dict(zip(layer.products.lags, layer.products.norm, strict=True))
        rows.append(
            (
                f"{layer.layer}",
                f"{layer.exponents[0]:+.4f}",
                number(layer.drift, 1),
                number(layer.memory_time, 3),
                *(number(products.get(k), 2) for k in shown),
                " ".join(f"{value:+.2f}" for value in layer.exponents[1:3]),
            )
        )
    end = f"the state overflowed at step {dynamics.overflow:,}; " if dynamics.overflow else ""
    note = f"{end}{count(dynamics.steps, 'step')}; the numbered columns are ‖J_t … J_t-k+1‖"
    columns = table(head, rows)
    return [heading("State Jacobian along the text"), columns, Text(note, style="dim")]


def _context(report: Report) -> list[RenderableType]:
    from rich.text import Text

    context = report.context
    if context is None:
        return []
    cut = context.cut
    shown: list[int] = [k for k in (0, 1, 2, 4, 8, 16, 32, 64, 128, 256) if k in cut.lengths]
    if cut.lengths[-1] not in shown:
        shown.append(cut.lengths[-1])
    rows = []
    for label, losses in (("cut", cut.loss), ("replaced", cut.replaced)):
        at = dict(zip(cut.lengths, losses, strict=True))
        rows.append((label, *(f"{at[k]:.2f}" for k in shown)))
    columns = table(("context", *(f"{k}" for k in shown)), rows)
    head = f"about {count(cut.used, 'character')}" if cut.used else "none"
    remark = f"(90 % of its gain; 99 %: {cut.used_99})" if cut.used else ""
    parts = [heading(f"Use of context: {head}", remark), columns]
    position = context.position
    if position is None:
        return parts
    width = min(32, len(position.carried))
    both = [*position.carried, *position.reset]
    if all(value == value for value in both):
        low, high = min(both), max(both)
        for label, values in (("carried", position.carried), ("reset", position.reset)):
            line = sparkline(values, width, low=low, high=high)
            parts.append(
                Text(f"{label:<8} {line}  {values[0]:.2f} … {values[-1]:.2f} nats by position")
            )
    return parts


def _norms(report: Report) -> list[RenderableType]:
    from rich.text import Text

    norms = report.norms
    if norms is None:
        return []
    top = max((part.grad.median for part in norms.layers.values()), default=0.0) or 1.0
    rows: list[tuple[str, ...]] = []
    for layer, part in norms.layers.items():
        rows.append((layer, *_figures(part), bar(part.grad.median / top, 10)))
        for name, inner in norms.parameters.items():
            if inner.layer == layer:
                rows.append((f"  {name}", *_figures(inner), bar(inner.grad.median / top, 10)))
    rows.append(("all", *_figures(norms.all), ""))
    head = ("", "weights", "mean", "median", "p95", "update ratio", "")
    columns = table(head, rows, last=1, bold={*norms.layers, "all"})
    clip = norms.clip
    clipped = "clipping by norm is off"
    if clip.limit:
        clipped = f"clipping at {clip.limit:g} shortens {percent(clip.share)} of them"
        clipped += f", to {number(clip.factor, 2)} of their length" if clip.share else ""
    if clip.value_limit:
        changed = percent(clip.value_share)
        clipped += f"; clipping by value at {clip.value_limit:g} changes {changed} of the elements"
    moments = "the run's moments" if norms.moments else "moments warmed up here"
    notes = (
        f"{windows_line(norms)}; largest {number(clip.largest)}; {clipped}\n"
        f"{norms.optimizer}, lr {norms.lr:g}, {moments}"
    )
    return [heading("Gradient norms before clipping"), columns, Text(notes, style="dim")]


def _figures(part: Norms) -> list[str]:
    grad = part.grad
    figures = [number(v) for v in (part.weight_norm, grad.mean, grad.median, grad.p95)]
    ratio = part.update_ratio.median
    return [*figures, number(ratio, 2) if ratio == ratio else DASH]


def _gates(report: Report) -> list[RenderableType]:
    from rich.text import Text

    rows, lines = [], []
    for layer in report.gates:
        for gate in layer.gates:
            shares = f"{_leftwards(gate.left, 6)}│{bar(gate.right, 6)}"
            rows.append(
                (
                    f"{layer.name} {gate.gate}",
                    f"{gate.mean:+.2f}" if gate.kind == "tanh" else f"{gate.mean:.2f}",
                    percent(gate.left),
                    shares,
                    percent(gate.right),
                    sparkline(gate.histogram, 20, low=0.0),
                )
            )
        units = layer.units
        parts = [f"{percent(units.saturated)} saturated"]
        if units.dead is not None:
            parts = [f"{percent(units.dead)} never fire"]
        parts.append(f"{percent(units.still)} do not vary")
        if layer.time_constants:
            tau = layer.time_constants
            parts.append(
                f"forget in {number(tau.median, 2)} steps "
                f"(quartiles {number(tau.q25, 2)}, {number(tau.q75, 2)}; "
                f"longest {number(tau.longest, 3)})"
            )
        lines.append(Text(f"units of {layer.name}: {', '.join(parts)}"))
    head = ("layer gate", "mean", "left", "saturated", "right", "values")
    shown = [table(head, rows, last=1)] if rows else []
    return [heading("Gates and units"), *shown, *lines]


def _leftwards(share: float, width: int) -> str:
    """Return a bar that grows to the left, in whole columns."""
    full = round(min(1.0, share) * width)
    return ("█" * max(full, 1 if share > 0.02 else 0)).rjust(width)


def _recurrent(report: Report) -> list[RenderableType]:
    from rich.text import Text

    if not report.recurrent:
        return []
    conclusion = {None: "", True: "σ₁ < 1/γ: it shrinks gradients", False: "σ₁ ≥ 1/γ: inconclusive"}
    rows = [
        (
            f"{block.name} {block.gate}",
            number(block.spectral_radius, 4),
            number(block.sigma_max, 4),
            conclusion[block.vanishing_sufficient],
        )
        for block in report.recurrent
    ]
    columns = table(("layer gate", "radius ρ", "largest σ₁", "theorem"), rows, last=1)
    note = "σ₁ > 1/γ is necessary for exploding gradients, not sufficient; ρ > 1 is neither"
    return [heading("Recurrent matrices"), columns, Text(note, style="dim")]


def _gradcheck(report: Report) -> list[RenderableType]:
    from rich.text import Text

    check = report.gradcheck
    if check is None:
        return []
    rows = [
        (
            part.name,
            number(part.exact, 6),
            number(part.difference, 6),
            number(part.relative, 2),
            "ok" if part.passed else "WRONG",
        )
        for part in check.parameters
    ]
    for part in check.jacobians:
        row = (number(part.exact), number(part.difference, 2), number(part.relative, 2))
        rows.append((f"Jacobian of {part.name}", *row, "ok" if part.passed else "WRONG"))
    columns = table(("along", "backward", "difference", "relative", ""), rows, last=1)
    other = f"NumPy against CuPy: {number(check.backends, 2)}"
    line = other if check.backends is not None else f"not compared with CuPy: {check.note}"
    head = "Gradient check: passed" if check.passed else "Gradient check: FAILED"
    return [heading(head, "float64, against central differences"), columns, Text(line, style="dim")]


def _missing(report: Report) -> list[RenderableType]:
    from rich.text import Text

    if not report.missing:
        return []
    lines = (f"{NAMES[what]}: {why}" for what, why in report.missing.items())
    return [heading("Not measured"), *map(Text, lines)]
