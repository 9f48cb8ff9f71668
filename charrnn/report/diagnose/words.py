"""Wording shared by all reports: the model, its text, and a verdict's heading."""

from __future__ import annotations

from charrnn.diagnosis.report import Report, Verdict
from charrnn.display import count, printable
from charrnn.report.tables import inputs

SEVERE = ("broken", "exploding", "vanishing")
"""Verdicts that are shown as errors; the others are warnings."""
HEALTHY = "no problems found"


def cell_of(report: Report) -> str:
    """Return the name of the model's cell."""
    return report.subject.model.config.cell


def model_line(report: Report) -> str:
    """Return cell, size, number of parameters and step of the model."""
    subject, config = report.subject, report.subject.model.config
    form = subject.model.stack.cell.form
    state = "untrained" if subject.fresh else f"step {subject.step:,}"
    return (
        f"{config.cell}{f' {form}' if form else ''} {config.layers}×{config.hidden}, "
        f"{inputs(config.embed)}, {subject.model.weights.flat.size:,} parameters, {state}"
    )


def text_line(report: Report) -> str:
    """Return length and name of the text."""
    return f"on {count(report.subject.symbols, 'symbol')} of {printable(report.subject.text)}"


def where(verdict: Verdict) -> str:
    """Return the layer that a verdict is about, with a space before it; empty for the model."""
    return "" if verdict.layer is None else f" in layer {verdict.layer}"


def basis(verdict: Verdict) -> str:
    """Return the basis of a verdict, with its source."""
    return verdict.basis + (f": {verdict.source}" if verdict.source else "")
