"""The parts of the HTML page: a chart or table for each measurement, empty if there is none.

Those that take several reports draw the cells of a comparison in one chart.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from charrnn.diagnosis.measures.context import ByPosition
from charrnn.diagnosis.measures.curves import LayerLag
from charrnn.diagnosis.measures.gates import LayerGates
from charrnn.diagnosis.measures.spectra import Recurrent
from charrnn.diagnosis.report import Report
from charrnn.display import count
from charrnn.report.diagnose.elements import bar, histogram, stacked_bar, table
from charrnn.report.diagnose.figures import DASH, number, percent
from charrnn.report.diagnose.svg import Line, chart
from charrnn.report.diagnose.words import anchors_line, cell_of, shortcut_line, windows_line

COLOURS = 8
"""Colours of lines that the page's style sheet has."""


def _named(reports: Sequence[Report], report: Report, text: str) -> str:
    """Return the name of a line, with the cell if there are several."""
    return f"{cell_of(report)}, {text}" if len(reports) > 1 else text


def lag(reports: Sequence[Report]) -> str:
    """Return the lag profile of every state of every layer."""
    lines: list[Line] = []
    rows: list[list[str]] = []
    head: list[str] = []
    for report in reports:
        banded = len(reports) == 1 and not (report.lag and report.lag.alone)  # too many to see
        for layer in report.lag.shown if report.lag else ():
            alone = ", without attention" if layer.alone else ""
            for state, curve in layer.curves.items():
                name = _named(reports, report, f"{_layer(layer)}, {state}{alone}")
                band = (curve.q25.tolist(), curve.q75.tolist()) if banded else ((), ())
                lags = list(range(len(curve.mean)))
                colour = len(lines) % COLOURS
                lines.append(
                    Line(
                        name,
                        lags,
                        curve.mean.tolist(),
                        colour,
                        state != "h" or layer.alone,
                        band[0],
                        band[1],
                    )
                )
                some = [k for k in (1, 2, 4, 8, 16, 32, 64) if k < len(lags)]
                figures = [number(curve.at(k), 3) for k in some]
                rows.append([name, *figures, number(curve.half_life), number(curve.efold)])
                head = ["", *(f"G({k})" for k in some), "half-life", "e-fold"]
    if not lines:
        return ""
    first = next(report.lag for report in reports if report.lag)
    drawn = chart(
        lines,
        title="Gradient of a single-step loss by lag, relative to lag 0",
        x_label="lag k (steps)",
        y_label="G(k): mean, and quartiles",
        log_y=True,
        marks=[(first.seq_len, "window")] if 0 < first.seq_len <= first.max_lag else [],
    )
    notes = [anchors_line(first), *([shortcut_line(first)] if first.alone else [])]
    said = "".join(f"<p>{escape(note[0].upper() + note[1:])}.</p>" for note in notes)
    return drawn + said + table(head, rows)


def _layer(part: LayerLag | LayerGates | Recurrent) -> str:
    """Return the name of a layer, with its part of the model."""
    return f"{part.part} layer {part.layer}".strip()


def norms(report: Report) -> str:
    """Return gradient norms and update ratios by parameter and layer, and the norm by window."""
    measured = report.norms
    if measured is None:
        return ""
    top = max(part.grad.median for part in measured.parameters.values()) or 1.0
    parts = [*measured.parameters.items(), *measured.layers.items(), ("all", measured.all)]
    rows = [
        [
            escape(name),
            number(part.weight_norm),
            number(part.grad.mean),
            number(part.grad.median),
            number(part.grad.p95),
            number(part.update_ratio.median, 2),
            bar(part.grad.median / top) if name in measured.parameters else "",
        ]
        for name, part in parts
    ]
    clip, clipped = measured.clip, "off"
    if clip.limit:
        clipped = f"at {clip.limit:g} shortens {percent(clip.share)} of the gradients"
    line = Line("all parameters", list(range(1, len(measured.series) + 1)), measured.series, 0)
    drawn = chart(
        [line], title="Norm of the whole gradient", x_label="window", y_label="norm before clipping"
    )
    note = f"{windows_line(measured)}; clipping {clipped}; {measured.optimizer} at {measured.lr:g}."
    head = ["", "weights", "mean", "median", "95 %", "update ratio", "median norm"]
    return f"<p>{escape(note)}</p>" + table(head, rows) + drawn


def context(reports: Sequence[Report]) -> str:
    """Return the loss by length of context; of one report also by position in the window."""
    lines: list[Line] = []
    marks: list[tuple[float, str]] = []
    for index, report in enumerate(reports):
        if report.context is None:
            continue
        cut = report.context.cut
        name = _named(reports, report, "cut off")
        lines.append(Line(name, cut.lengths, cut.loss, index % COLOURS))
        if len(reports) == 1:
            lines.append(Line("replaced by other text", cut.lengths, cut.replaced, 1, True))
            marks = [(cut.used, f"uses {cut.used}")] if cut.used else []
    if not lines:
        return ""
    drawn = chart(
        lines,
        title="Loss by length of context",
        x_label="characters of context",
        y_label="loss (nats)",
        log_x=True,
        marks=marks,
    )
    if len(reports) == 1 and reports[0].context and reports[0].context.position:
        drawn += _by_position(reports[0].context.position)
    return drawn


def _by_position(position: ByPosition) -> str:
    steps = list(range(1, len(position.carried) + 1))
    return chart(
        [
            Line("state carried", steps, position.carried, 0),
            Line("state reset", steps, position.reset, 1, True),
        ],
        title="Loss by position in the training window",
        x_label="position",
        y_label="loss (nats)",
    )


def gates(report: Report) -> str:
    """Return saturation and values of every gate, and what the units do."""
    rows = []
    for layer in report.gates:
        for gate in layer.gates:
            middle = 1 - gate.left - gate.right
            rows.append(
                [
                    f"{_layer(layer)}, {gate.gate}",
                    f"{gate.mean:.3f}",
                    percent(gate.left),
                    stacked_bar((("f0", gate.left), ("rest", middle), ("f1", gate.right))),
                    percent(gate.right),
                    histogram(gate.histogram),
                ]
            )
    head = ["gate", "mean", "left", "saturated", "right", "values"]
    shown = table(head, rows, caption="Gates") if rows else ""
    units = [_units(layer) for layer in report.gates]
    head = ["units", "saturated", "dead", "still", "forget 25 %", "median", "75 %", "longest"]
    return shown + table(head, units, caption="Units, and the steps in which they forget")


def _units(layer: LayerGates) -> list[str]:
    units, tau = layer.units, layer.time_constants
    forget = [tau.q25, tau.median, tau.q75, tau.longest] if tau else [None] * 4
    return [
        _layer(layer),
        percent(units.saturated),
        percent(units.dead),
        percent(units.still),
        *(number(steps) for steps in forget),
    ]


def dynamics(report: Report) -> str:
    """Return Lyapunov exponents and products of the state Jacobian, by layer."""
    measured = report.dynamics
    if measured is None:
        return ""
    lines, rows = [], []
    for layer in measured.layers:
        ranks = list(range(1, len(layer.exponents) + 1))
        lines.append(Line(f"layer {layer.layer}", ranks, layer.exponents, layer.layer % COLOURS))
        rows.append(
            [
                f"layer {layer.layer}",
                f"{layer.exponents[0]:+.4f}",
                number(layer.drift, 2),
                number(layer.memory_time),
                *(number(norm) for norm in layer.products.norm),
            ]
        )
    lags = measured.layers[0].products.lags
    head = ["", "λ₁ a step", "drift", "1/|λ₁|", *(f"‖{count(k, 'step')}‖" for k in lags)]
    shown = table(head, rows, caption=f"State Jacobian along {count(measured.steps, 'step')}")
    drawn = chart(
        lines, title="Leading Lyapunov exponents", x_label="rank", y_label="nats per step"
    )
    return shown + drawn


def recurrent(report: Report) -> str:
    """Return spectral radius and largest singular value of every recurrent matrix."""
    theorem = {None: DASH, True: "holds: it shrinks gradients", False: "does not hold"}
    rows = [
        [
            f"{_layer(block)}, {block.gate}",
            number(block.spectral_radius, 4),
            number(block.sigma_max, 4),
            theorem[block.vanishing_sufficient],
        ]
        for block in report.recurrent
    ]
    head = ["matrix", "spectral radius", "largest singular value", "σ₁ < 1/γ"]
    return table(head, rows, caption="Recurrent matrices")


def gradcheck(report: Report) -> str:
    """Return the comparisons of gradients with central differences."""
    if report.gradcheck is None:
        return ""
    rows = [
        [escape(c.name), number(c.exact, 6), number(c.difference, 6), number(c.relative, 2)]
        for c in (*report.gradcheck.parameters, *report.gradcheck.jacobians)
    ]
    head = ["", "backward", "difference", "relative"]
    return table(head, rows, caption="Gradient check")
