"""The diagnosis on a terminal: verdicts first, then what they rest on."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from charrnn.diagnosis.report import Report, Verdict
from charrnn.display import printable
from charrnn.report.diagnose.figures import DASH, bar, number, percent, sparkline

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

LEAST_G = 1e-7
"""Bottom of the lag profile's scale: what float32 loses beside 1."""


def render(parts: Sequence[RenderableType], width: int | None = None) -> bytes:
    """Return rich renderables as UTF-8, coloured if standard output is a terminal.

    ``width`` is by default that of the terminal, 80 columns in a pipe.
    """
    console = make_console(width)
    for part in parts:
        console.print(part)
    file: Any = console.file
    text: str = file.getvalue()
    return "".join(line.rstrip(" ") + "\n" for line in text.splitlines()).encode()


def make_console(width: int | None = None) -> Console:
    """Return a console that writes to memory as standard output would be written to."""
    from rich.console import Console

    real = Console(file=sys.stdout)
    return Console(
        file=io.StringIO(),
        width=width or real.width,
        force_terminal=real.is_terminal,
        color_system=real.color_system,  # type: ignore[arg-type]
        no_color=real.no_color,
        legacy_windows=False,
        highlight=False,
        markup=False,
        emoji=False,
    )


def report_parts(report: Report, width: int = 80) -> list[RenderableType]:
    """Return the whole report, section by section, for lines of ``width`` columns."""
    parts: list[RenderableType] = [*header(report), *verdict_parts(report.verdicts)]
    if report.broken:
        return parts
    parts += [*_lag(report, width), *_dynamics(report), *_context(report), *_norms(report)]
    return [*parts, *_gates(report), *_recurrent(report), *_gradcheck(report), ""]


def heading(text: str, remark: str = "") -> RenderableType:
    """Return a section's heading with a remark in a quieter tone."""
    from rich.text import Text

    line = Text("\n" + text, style="bold")
    return line.append(f"  {remark}", style="dim not bold") if remark else line


def table(*columns: str, left: int = 1) -> Any:
    """Return an empty table without lines; the first ``left`` columns are flush left."""
    from rich.table import Table

    found = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for index, column in enumerate(columns):
        flush_left = index < left or column in ("", "values", "theorem")
        found.add_column(column, justify="left" if flush_left else "right", no_wrap=True)
    return found


def header(report: Report) -> list[RenderableType]:
    """Return what was examined, on what."""
    from rich.text import Text

    subject, config = report.subject, report.subject.model.config
    first = f"embedding {config.embed}" if config.embed else "one-hot"
    form = {"rnn": f" {config.activation}", "gru": f" reset {config.gru_reset}"}
    state = "untrained" if subject.fresh else f"step {subject.step:,}"
    lines = [Text(printable(subject.name), style="bold")]
    lines.append(
        Text(
            f"{config.cell}{form.get(config.cell, '')} {config.layers}×{config.hidden}, {first}, "
            f"{subject.model.weights.flat.size:,} parameters, {state}"
        )
    )
    lines.append(Text(f"on {len(subject.ids):,} symbols of {printable(subject.text)}"))
    return [*lines, *(Text(f"note: {printable(note)}", style="dim") for note in report.notes)]


def verdict_parts(verdicts: Sequence[Verdict], names: Sequence[str] = ()) -> list[RenderableType]:
    """Return the verdicts, or that there are none; ``names`` stand before them."""
    from rich.table import Table
    from rich.text import Text

    if not verdicts:
        return [heading("Verdict"), Text("✓ nothing found that stands against this model")]
    found = Table.grid(padding=(0, 1))
    found.add_column(no_wrap=True)
    found.add_column()
    for index, verdict in enumerate(verdicts):
        severe = verdict.code in ("broken", "exploding", "vanishing")
        where = "" if verdict.layer is None else f" in layer {verdict.layer}"
        title = Text(f"{names[index]}: " if names else "")
        title.append(verdict.code, style="bold red" if severe else "bold yellow")
        basis = verdict.basis + (f": {verdict.source}" if verdict.source else "")
        title.append(where).append(f"  ({basis})", style="dim")
        found.add_row("✗" if severe else "!", title)
        found.add_row("", Text(verdict.message))
        found.add_row("", Text("→ " + verdict.remedy))
    return [heading("Verdicts" if len(verdicts) > 1 else "Verdict"), found]


def _lag(report: Report, width: int) -> list[RenderableType]:
    from rich.text import Text

    profile = report.lag
    if profile is None:
        return []
    edge = profile.max_lag
    lags = sorted({k for k in (1, 4, 16) if k < edge} | {min(profile.seq_len, edge), edge})
    room = max(12, min(48, width - 65))
    shown = [f"lag {lags[0]}", *(f"{k}" for k in lags[1:])]
    columns = table("layer", f"G, lags 0–{edge}", *shown, "½-life", "e-fold", left=2)
    for layer in profile.layers:
        for name, curve in layer.curves.items():
            values = [float(value) for value in curve.mean]
            spark = sparkline(values, room, low=LEAST_G, high=1.0, logarithmic=True)
            figures = [number(float(curve.mean[k]), 2) for k in lags]
            lives = [number(curve.half_life, 2), number(curve.efold, 3)]
            columns.add_row(f"{layer.layer} {name}", spark, *figures, *lives)
    note = (
        f"{len(profile.anchors)} single-step losses, {profile.context} characters each; "
        f"bars: log scale, 1 to {LEAST_G:.0e}"
    )
    return [heading("How far back gradients reach"), columns, Text(note, style="dim")]


def _dynamics(report: Report) -> list[RenderableType]:
    from rich.text import Text

    dynamics = report.dynamics
    if dynamics is None:
        return []
    lags = dynamics.layers[0].products.lags
    kept = [k for k in lags if k in (1, 4, 16, lags[-1])]
    columns = table("layer", "λ₁ a step", "±", "memory", *(f"{k}" for k in kept), "λ₂ …")
    for layer in dynamics.layers:
        products = dict(zip(layer.products.lags, layer.products.norm, strict=True))
        columns.add_row(
            f"{layer.layer}",
            f"{layer.exponents[0]:+.4f}",
            number(layer.drift, 1),
            number(layer.memory_time, 3),
            *(number(products.get(k), 2) for k in kept),
            " ".join(f"{value:+.2f}" for value in layer.exponents[1:3]),
        )
    end = f"the state overflowed at step {dynamics.overflow:,}; " if dynamics.overflow else ""
    note = f"{end}{dynamics.steps:,} steps; the numbered columns are ‖J_t … J_t-k+1‖"
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
    columns = table("context", *(f"{k}" for k in shown))
    for label, losses in (("cut", cut.loss), ("replaced", cut.replaced)):
        at = dict(zip(cut.lengths, losses, strict=True))
        columns.add_row(label, *(f"{at[k]:.2f}" for k in shown))
    head = f"about {cut.used} characters" if cut.used else "none"
    remark = f"(90 % of what it brings; 99 %: {cut.used_99})" if cut.used else ""
    found = [heading(f"Use of context: {head}", remark), columns]
    position = context.position
    width = min(32, len(position.carried))
    both = [*position.carried, *position.reset]
    if all(value == value for value in both):
        low, high = min(both), max(both)
        for label, values in (("carried", position.carried), ("reset", position.reset)):
            line = sparkline(values, width, low=low, high=high)
            found.append(
                Text(f"{label:<8} {line}  {values[0]:.2f} … {values[-1]:.2f} nats by position")
            )
    return found


def _norms(report: Report) -> list[RenderableType]:
    from rich.text import Text

    norms = report.norms
    if norms is None:
        return []
    columns = table("", "weights", "mean", "median", "p95", "update ratio", "")
    top = max((part.grad.median for part in norms.layers.values()), default=0.0) or 1.0
    for layer, part in [*norms.layers.items(), ("all", norms.all)]:
        columns.add_row(
            Text(layer, style="bold"),
            *_figures(part),
            bar(part.grad.median / top, 10) if layer != "all" else "",
        )
        for name, inner in norms.parameters.items() if layer != "all" else ():
            if inner.layer == layer:
                columns.add_row(f"  {name}", *_figures(inner), bar(inner.grad.median / top, 10))
    clip = norms.clip
    clipped = "clipping by norm is off"
    if clip.limit:
        clipped = f"clip-norm {clip.limit:g} shortens {percent(clip.share)} of them"
        clipped += f", to {number(clip.factor, 2)} of their length" if clip.share else ""
    if clip.value_limit:
        clipped += f"; clip-value {clip.value_limit:g} touches {percent(clip.value_share)}"
    moments = "the run's moments" if norms.moments else "moments warmed up here"
    notes = (
        f"{norms.windows} windows of {norms.batch}×{norms.seq_len}; largest "
        f"{number(clip.largest)}; {clipped}\n"
        f"{norms.optimizer}, lr {norms.lr:g}, {moments}"
    )
    return [heading("Gradient norms before clipping"), columns, Text(notes, style="dim")]


def _figures(part: Any) -> list[str]:
    grad = part.grad
    figures = [number(v) for v in (part.weight_norm, grad.mean, grad.median, grad.p95)]
    ratio = part.update_ratio.median
    return [*figures, number(ratio, 2) if ratio == ratio else DASH]


def _gates(report: Report) -> list[RenderableType]:
    from rich.text import Text

    columns = table("layer gate", "mean", "left", "saturated", "right", "values", left=1)
    lines = []
    for layer in report.gates:
        for gate in layer.gates:
            shares = f"{_leftwards(gate.left, 6)}│{bar(gate.right, 6)}"
            columns.add_row(
                f"{layer.layer} {gate.gate}",
                f"{gate.mean:+.2f}" if gate.kind == "tanh" else f"{gate.mean:.2f}",
                percent(gate.left),
                shares,
                percent(gate.right),
                sparkline(gate.histogram, 20, low=0.0),
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
        lines.append(Text(f"units of {layer.layer}: {', '.join(parts)}"))
    shown = [columns] if columns.row_count else []
    return [heading("Gates and units"), *shown, *lines]


def _leftwards(share: float, width: int) -> str:
    """Return a bar that grows to the left, in whole columns."""
    full = round(min(1.0, share) * width)
    return ("█" * max(full, 1 if share > 0.02 else 0)).rjust(width)


def _recurrent(report: Report) -> list[RenderableType]:
    from rich.text import Text

    if not report.recurrent:
        return []
    columns = table("layer gate", "radius ρ", "largest σ₁", "theorem")
    said_of = {None: "", True: "σ₁ < 1/γ: gradients vanish", False: "σ₁ ≥ 1/γ: says nothing"}
    for block in report.recurrent:
        said = said_of[block.vanishing_sufficient]
        columns.add_row(
            f"{block.layer} {block.gate}",
            number(block.spectral_radius, 4),
            number(block.sigma_max, 4),
            said,
        )
    note = "ρ > 1 is necessary for exploding gradients, not sufficient"
    return [heading("Recurrent matrices"), columns, Text(note, style="dim")]


def _gradcheck(report: Report) -> list[RenderableType]:
    from rich.text import Text

    check = report.gradcheck
    if check is None:
        return []
    columns = table("along", "backward", "difference", "relative", "")
    for part in check.parameters:
        columns.add_row(
            part.name,
            number(part.exact, 6),
            number(part.difference, 6),
            number(part.relative, 2),
            "ok" if part.passed else "WRONG",
        )
    for part in check.jacobians:
        row = [number(part.exact), number(part.difference, 2), number(part.relative, 2)]
        columns.add_row(f"Jacobian of {part.name}", *row, "ok" if part.passed else "WRONG")
    other = f"NumPy against CuPy: {number(check.backends, 2)}"
    line = other if check.backends is not None else f"not compared with CuPy: {check.note}"
    head = "Gradient check: passed" if check.passed else "Gradient check: FAILED"
    return [heading(head, "float64, against central differences"), columns, Text(line, style="dim")]
