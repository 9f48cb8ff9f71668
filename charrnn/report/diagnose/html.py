"""The report as one HTML page: no network, light and dark, usable with the keyboard alone."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from charrnn.diagnosis.compare import horizons
from charrnn.diagnosis.report import Report, Verdict
from charrnn.display import printable
from charrnn.report.diagnose import panels
from charrnn.report.diagnose.document import Tabs, document, tiles, write_document
from charrnn.report.diagnose.elements import table
from charrnn.report.diagnose.figures import number
from charrnn.report.diagnose.words import (
    HEALTHY,
    NAMES,
    SEVERE,
    basis,
    cell_of,
    model_line,
    text_line,
    where,
)

FOOTER = "Definitions and sources: charrnn's documentation, on diagnosing."


def write_page(reports: Sequence[Report], path: Path) -> None:
    """Write one report, or several cells side by side.

    Raises
    ------
    CharRNNError
        If the file cannot be written.
    """
    write_document(path, page(reports))


def page(reports: Sequence[Report]) -> str:
    """Return the page: of one report, a tab for each of its parts; of several, a tab for each."""
    if len(reports) == 1:
        tabs = sections(reports[0])
        title, lead = printable(reports[0].subject.name), describe(reports[0])
    else:
        tabs = [("Side by side", side_by_side(reports))]
        for report in reports:
            inner = "".join(f"<h3>{name}</h3>{body}" for name, body in sections(report))
            tabs.append((cell_of(report), f"<p>{describe(report)}</p>{inner}"))
        title = "Cells side by side"
        lead = ", ".join(escape(printable(report.subject.name)) for report in reports)
    return document("charrnn diagnose", title, lead, tabs, FOOTER)


def describe(report: Report) -> str:
    """Return the model and the text that were examined, as HTML."""
    return escape(f"{model_line(report)}; {text_line(report)}")


def sections(report: Report) -> Tabs:
    """Return the names and bodies of a report's parts."""
    first = ("Verdicts", verdicts(report.verdicts) + _tiles(report) + _notes(report))
    if report.broken:
        return [first]
    tabs = [
        first,
        ("Lag profile", panels.lag([report])),
        ("Norms", panels.norms(report)),
        ("Context", panels.context([report])),
        ("Gates", panels.gates(report)),
        ("Dynamics", panels.dynamics(report) + panels.recurrent(report) + panels.gradcheck(report)),
    ]
    missing = "".join(
        f'<p class="none">not measured: {escape(f"{NAMES[what]}: {why}")}.</p>'
        for what, why in report.missing.items()
    )
    tabs[0] = (tabs[0][0], tabs[0][1] + missing)
    return [(name, body) for name, body in tabs if body]


def verdicts(verdicts: Sequence[Verdict], names: Sequence[str] = ()) -> str:
    """Return the verdicts as a list of cards, each preceded by its name if ``names`` are given."""
    if not verdicts:
        return f'<p class="card good"><b>✓ {HEALTHY.capitalize()}.</b></p>'
    cards = []
    for index, verdict in enumerate(verdicts):
        severe = verdict.code in SEVERE
        name = f"{escape(names[index])}: " if names else ""
        cards.append(
            f'<div class="card {"bad" if severe else "warn"}"><p><b>{"✗" if severe else "!"} '
            f"{name}{verdict.code}</b>{where(verdict)} <small>{escape(basis(verdict))}</small></p>"
            f"<p>{escape(verdict.message)}</p><p>→ {escape(verdict.remedy)}</p></div>"
        )
    return "".join(cards)


def _notes(report: Report) -> str:
    return "".join(f'<p class="none">note: {escape(note)}</p>' for note in report.notes)


def _tiles(report: Report) -> str:
    """Return the figures that matter most, large."""
    found = []
    if report.context:
        cut = report.context.cut
        found.append(("uses", f"{cut.used}–{cut.used_99}", "characters of context (90–99 %)"))
    if report.dynamics:
        memory = max(layer.memory_time for layer in report.dynamics.layers)
        found.append(("memory", number(memory, 3), "steps: the longest of 1/|λ₁|"))
    if report.lag:
        best = max((layer.slowest[1].efold or 0.0 for layer in report.lag.layers), default=0.0)
        found.append(("e-fold", number(best or None, 3), "steps for gradients to fall by 1/e"))
    if report.norms:
        found.append(("gradient", number(report.norms.all.grad.median), "median norm"))
        found.append(("update", number(report.norms.all.update_ratio.median, 2), "of the weights"))
    return tiles(found)


def side_by_side(reports: Sequence[Report]) -> str:
    """Return the comparison of several cells."""
    rows = [
        [
            f"{horizon.cell}, {f'{horizon.part} layer {horizon.layer}'.strip()}, {horizon.state}",
            number(horizon.half_life),
            number(horizon.efold),
            number(horizon.at_window, 2),
            number(horizon.memory_time),
            horizon.uses,
            f"{horizon.loss:.3f}",
        ]
        for report in reports
        for horizon in horizons(report)
    ]
    head = ["", "half-life", "e-fold", "G at window", "1/|λ₁|", "uses", "loss"]
    reach = table(head, rows, caption="Horizons, in steps")
    named = [(cell_of(report), verdict) for report in reports for verdict in report.verdicts]
    cards = verdicts([verdict for _, verdict in named], [cell for cell, _ in named])
    return reach + panels.lag(reports) + panels.context(reports) + cards
