"""The report as one HTML page: no network, light and dark, usable with the keyboard alone."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path

from charrnn import __version__
from charrnn.diagnosis.report import Report, Verdict
from charrnn.display import printable
from charrnn.errors import CharRNNError
from charrnn.report.diagnose.figures import DASH, number, percent
from charrnn.report.diagnose.svg import Line, chart

Rows = Sequence[Sequence[str]]


def write_page(reports: Sequence[Report], path: Path) -> None:
    """Write one report, or several cells side by side.

    Raises
    ------
    CharRNNError
        If the file cannot be written.
    """
    try:
        path.write_bytes(page(reports).encode("utf-8", "replace"))
    except OSError as problem:
        raise CharRNNError(
            f"cannot write {str(path)!a}: {problem.strerror}", "name another file"
        ) from None


def page(reports: Sequence[Report]) -> str:
    """Return the page."""
    if len(reports) == 1:
        tabs = sections(reports[0])
        title, lead = printable(reports[0].subject.name), describe(reports[0])
    else:
        tabs = [("Side by side", side_by_side(reports))]
        for report in reports:
            inner = "".join(f"<h3>{name}</h3>{body}" for name, body in sections(report))
            tabs.append((report.subject.model.config.cell, f"<p>{describe(report)}</p>{inner}"))
        title = "Cells side by side"
        lead = ", ".join(escape(printable(report.subject.name)) for report in reports)
    buttons = "".join(
        f'<button role="tab" id="t{i}" aria-controls="p{i}" aria-selected="{_bool(i == 0)}" '
        f'tabindex="{0 if i == 0 else -1}">{escape(name)}</button>'
        for i, (name, _) in enumerate(tabs)
    )
    panels = "".join(
        f'<section role="tabpanel" id="p{i}" aria-labelledby="t{i}" tabindex="0">'
        f"<h2>{escape(name)}</h2>{body}</section>"
        for i, (name, body) in enumerate(tabs)
    )
    part = files("charrnn.report.diagnose")
    style = part.joinpath("page.css").read_text(encoding="utf-8")
    script = part.joinpath("page.js").read_text(encoding="utf-8")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>charrnn diagnose: {escape(title)}</title><style>{style}</style></head><body>"
        f'<header><p class="kind">charrnn diagnose</p><h1>{escape(title)}</h1><p>{lead}</p>'
        f'</header><nav role="tablist" aria-label="Parts of the report">{buttons}</nav>'
        f"<main>{panels}</main><footer>charrnn {__version__}. Definitions and sources: "
        f"<code>charrnn diagnose --help</code> and the README.</footer>"
        f"<script>{script}</script></body></html>\n"
    )


def _bool(value: bool) -> str:
    return "true" if value else "false"


def describe(report: Report) -> str:
    """Return what was examined on what, as HTML."""
    subject, config = report.subject, report.subject.model.config
    state = "untrained" if subject.fresh else f"step {subject.step:,}"
    first = f"embedding {config.embed}" if config.embed else "one-hot"
    return escape(
        f"{config.cell} {config.layers}×{config.hidden}, {first}, "
        f"{subject.model.weights.flat.size:,} parameters, {state}; on {len(subject.ids):,} symbols "
        f"of {printable(subject.text)}"
    )


def sections(report: Report) -> list[tuple[str, str]]:
    """Return the names and bodies of a report's parts."""
    found = [("Verdicts", verdicts(report.verdicts) + _tiles(report) + _notes(report))]
    if report.broken:
        return found
    return [
        *found,
        ("Lag profile", _lag([report])),
        ("Norms", _norms(report)),
        ("Context", _context([report])),
        ("Gates", _gates(report)),
        ("Dynamics", _dynamics(report)),
    ]


def verdicts(found: Sequence[Verdict], names: Sequence[str] = ()) -> str:
    """Return the verdicts as a list of cards."""
    if not found:
        return '<p class="card good"><b>✓ Nothing found that stands against this model.</b></p>'
    cards = []
    for index, verdict in enumerate(found):
        severe = verdict.code in ("broken", "exploding", "vanishing")
        name = f"{escape(names[index])}: " if names else ""
        layer = "" if verdict.layer is None else f" in layer {verdict.layer}"
        source = f": {escape(verdict.source)}" if verdict.source else ""
        cards.append(
            f'<div class="card {"bad" if severe else "warn"}"><p><b>{"✗" if severe else "!"} '
            f"{name}{verdict.code}</b>{layer} <small>{verdict.basis}{source}</small></p>"
            f"<p>{escape(verdict.message)}</p><p>→ {escape(verdict.remedy)}</p></div>"
        )
    return "".join(cards)


def _notes(report: Report) -> str:
    return "".join(f'<p class="none">note: {escape(note)}</p>' for note in report.notes)


def _tiles(report: Report) -> str:
    """Return the figures that matter most, large."""
    tiles = []
    if report.context:
        cut = report.context.cut
        tiles.append(("uses", f"{cut.used}–{cut.used_99}", "characters of context (90–99 %)"))
    if report.dynamics:
        memory = max(layer.memory_time for layer in report.dynamics.layers)
        tiles.append(("memory", number(memory, 3), "steps: the longest of 1/|λ₁|"))
    if report.lag:
        best = max((layer.slowest[1].efold or 0.0 for layer in report.lag.layers), default=0.0)
        tiles.append(("e-fold", number(best or None, 3), "steps for gradients to fall by 1/e"))
    if report.norms:
        tiles.append(("gradient", number(report.norms.all.grad.median), "median norm"))
        tiles.append(("update", number(report.norms.all.update_ratio.median, 2), "of the weights"))
    inner = "".join(
        f'<div class="tile"><span>{a}</span><b>{escape(b)}</b><span>{c}</span></div>'
        for a, b, c in tiles
    )
    return f'<div class="tiles">{inner}</div>' if tiles else ""


def table(head: Sequence[str], rows: Rows, left: int = 1, caption: str = "") -> str:
    """Return a table; the first ``left`` columns are names, the others figures."""
    top = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    body = ""
    for row in rows:
        cells = [
            f'<th scope="row">{cell}</th>' if index < left else f"<td>{cell}</td>"
            for index, cell in enumerate(row)
        ]
        body += f"<tr>{''.join(cells)}</tr>"
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption or head[0])}">'
        f"<table>{title}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _bar(share: float, colour: int = 0) -> str:
    width = min(100.0, max(0.0, 100 * share)) if share == share else 0.0
    return f'<span class="bar"><i class="f{colour}" style="width:{width:.1f}%"></i></span>'


def _named(reports: Sequence[Report], report: Report, text: str) -> str:
    return f"{report.subject.model.config.cell}, {text}" if len(reports) > 1 else text


def _lag(reports: Sequence[Report]) -> str:
    lines: list[Line] = []
    rows: list[list[str]] = []
    head: list[str] = []
    for report in reports:
        for layer in report.lag.layers if report.lag else ():
            for state, curve in layer.curves.items():
                name = _named(reports, report, f"layer {layer.layer}, {state}")
                band = (curve.q25.tolist(), curve.q75.tolist()) if len(reports) == 1 else ((), ())
                lags = list(range(len(curve.mean)))
                colour = len(lines) % 8
                lines.append(
                    Line(name, lags, curve.mean.tolist(), colour, state != "h", band[0], band[1])
                )
                some = [k for k in (1, 2, 4, 8, 16, 32, 64) if k < len(lags)]
                figures = [number(float(curve.mean[k]), 3) for k in some]
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
        mark=(first.seq_len, "window") if 0 < first.seq_len <= first.max_lag else None,
    )
    note = f"{len(first.anchors)} anchors with {first.context} characters of context each."
    return drawn + f"<p>{note}</p>" + table(head, rows)


def _norms(report: Report) -> str:
    norms = report.norms
    if norms is None:
        return ""
    top = max(part.grad.median for part in norms.parameters.values()) or 1.0
    rows = []
    parts = [*norms.parameters.items(), *norms.layers.items(), ("all", norms.all)]
    for name, part in parts:
        rows.append(
            [
                escape(name),
                number(part.weight_norm),
                number(part.grad.mean),
                number(part.grad.median),
                number(part.grad.p95),
                number(part.update_ratio.median, 2),
                _bar(part.grad.median / top) if name in norms.parameters else "",
            ]
        )
    clip = norms.clip
    clipped = "off"
    if clip.limit:
        clipped = f"at {clip.limit:g} shortens {percent(clip.share)} of the gradients"
    line = Line("all parameters", list(range(1, len(norms.series) + 1)), norms.series, 0)
    drawn = chart(
        [line], title="Norm of the whole gradient", x_label="window", y_label="norm before clipping"
    )
    note = (
        f"{norms.windows} windows of {norms.batch} × {norms.seq_len}; clipping {clipped}; "
        f"{norms.optimizer} at {norms.lr:g}."
    )
    head = ["", "weights", "mean", "median", "95 %", "update ratio", "median norm"]
    return f"<p>{escape(note)}</p>" + table(head, rows) + drawn


def _context(reports: Sequence[Report]) -> str:
    lines, positions, mark = [], [], None
    for index, report in enumerate(reports):
        context = report.context
        if context is None:
            continue
        cut, colour = context.cut, index % 8
        name = _named(reports, report, "cut off")
        lines.append(Line(name, cut.lengths, cut.loss, colour))
        if len(reports) == 1:
            lines.append(Line("replaced by other text", cut.lengths, cut.replaced, 1, True))
            mark = (cut.used, f"uses {cut.used}") if cut.used else None
            steps = list(range(1, len(context.position.carried) + 1))
            positions = [
                Line("state carried", steps, context.position.carried, 0),
                Line("state reset", steps, context.position.reset, 1, True),
            ]
    found = chart(
        lines,
        title="Loss by length of context",
        x_label="characters of context",
        y_label="loss (nats)",
        log_x=True,
        mark=mark,
    )
    if positions:
        found += chart(
            positions,
            title="Loss by position in the training window",
            x_label="position",
            y_label="loss (nats)",
        )
    return found


def _gates(report: Report) -> str:
    rows, units = [], []
    for layer in report.gates:
        for gate in layer.gates:
            middle = 1 - gate.left - gate.right
            stack = "".join(
                f'<i class="{kind}" style="width:{100 * share:.1f}%"></i>'
                for kind, share in (("f0", gate.left), ("rest", middle), ("f1", gate.right))
            )
            rows.append(
                [
                    f"layer {layer.layer}, {gate.gate}",
                    f"{gate.mean:.3f}",
                    percent(gate.left),
                    f'<span class="bar wide">{stack}</span>',
                    percent(gate.right),
                    _histogram(gate.histogram),
                ]
            )
        tau = layer.time_constants
        figures = [number(v) for v in (tau.q25, tau.median, tau.q75, tau.longest)] if tau else []
        part = layer.units
        dead = DASH if part.dead is None else percent(part.dead)
        units.append(
            [
                f"layer {layer.layer}",
                percent(part.saturated),
                dead,
                percent(part.still),
                *(figures or [DASH] * 4),
            ]
        )
    head = ["gate", "mean", "left", "saturated", "right", "values"]
    shown = table(head, rows, caption="Gates") if rows else ""
    columns = ["units", "saturated", "dead", "still", "forget 25 %", "median", "75 %", "longest"]
    return shown + table(columns, units, caption="Units, and the steps in which they forget")


def _histogram(shares: Sequence[float]) -> str:
    top = max(shares) or 1.0
    bars = "".join(
        f'<rect class="f0" x="{5 * i}" y="{24 * (1 - s / top):.1f}" width="4" '
        f'height="{24 * s / top:.1f}"/>'
        for i, s in enumerate(shares)
    )
    return f'<svg class="small" viewBox="0 0 {5 * len(shares)} 24" aria-hidden="true">{bars}</svg>'


def _dynamics(report: Report) -> str:
    found = ""
    dynamics = report.dynamics
    if dynamics is not None:
        lines, rows = [], []
        for layer in dynamics.layers:
            ranks = list(range(1, len(layer.exponents) + 1))
            lines.append(Line(f"layer {layer.layer}", ranks, layer.exponents, layer.layer % 8))
            norms = zip(layer.products.lags, layer.products.norm, strict=True)
            rows.append(
                [
                    f"layer {layer.layer}",
                    f"{layer.exponents[0]:+.4f}",
                    number(layer.drift, 2),
                    number(layer.memory_time),
                    *(number(norm) for _, norm in norms),
                ]
            )
        lags = dynamics.layers[0].products.lags
        head = ["", "λ₁ a step", "drift", "1/|λ₁|", *(f"‖{k} steps‖" for k in lags)]
        found += table(head, rows, caption=f"State Jacobian along {dynamics.steps:,} steps")
        found += chart(
            lines, title="Leading Lyapunov exponents", x_label="rank", y_label="nats a step"
        )
    rows = [
        [
            f"layer {block.layer}, {block.gate}",
            number(block.spectral_radius, 4),
            number(block.sigma_max, 4),
            {None: DASH, True: "holds: gradients vanish", False: "does not hold"}[
                block.vanishing_sufficient
            ],
        ]
        for block in report.recurrent
    ]
    head = ["matrix", "spectral radius", "largest singular value", "σ₁ < 1/γ (rnn)"]
    found += table(head, rows, caption="Recurrent matrices")
    if report.gradcheck:
        checks = [
            [escape(c.name), number(c.exact, 6), number(c.difference, 6), number(c.relative, 2)]
            for c in (*report.gradcheck.parameters, *report.gradcheck.jacobians)
        ]
        head = ["", "backward", "difference", "relative"]
        found += table(head, checks, caption="Gradient check")
    return found


def side_by_side(reports: Sequence[Report]) -> str:
    """Return the comparison of several cells."""
    told = [(r.subject.model.config.cell, v) for r in reports for v in r.verdicts]
    rows = []
    for report in reports:
        if report.lag is None or report.dynamics is None or report.context is None:
            continue
        cut = report.context.cut
        for lags, layer in zip(report.lag.layers, report.dynamics.layers, strict=True):
            state, curve = lags.slowest
            rows.append(
                [
                    f"{report.subject.model.config.cell}, layer {lags.layer}, {state}",
                    number(curve.half_life),
                    number(curve.efold),
                    number(curve.at(report.lag.seq_len), 2),
                    number(layer.memory_time),
                    f"{cut.used}–{cut.used_99}",
                    f"{cut.loss[-1]:.3f}",
                ]
            )
    head = ["", "half-life", "e-fold", "G at window", "1/|λ₁|", "uses", "loss"]
    horizons = table(head, rows, caption="Horizons, in steps")
    cards = verdicts([v for _, v in told], [cell for cell, _ in told])
    return horizons + _lag(reports) + _context(reports) + cards
