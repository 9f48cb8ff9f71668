"""Wording shared by all reports: the model, its text, and a verdict's heading."""

from __future__ import annotations

from charrnn.diagnosis.measures.curves import LagProfile
from charrnn.diagnosis.measures.norms import NormsReport
from charrnn.diagnosis.report import Report, Verdict
from charrnn.display import count, printable
from charrnn.report.diagnose.figures import number
from charrnn.report.tables import inputs

SEVERE = ("broken", "exploding", "vanishing")
"""Verdicts that are shown as errors; the others are warnings."""
HEALTHY = "no problems found"
NAMES = {
    "lyapunov": "state Jacobian",
    "context": "use of context",
    "position": "loss by position",
}
"""What measurements are called that are not defined for every task."""


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
        f"{inputs(config.embed)}, {subject.model.weights.trained.flat.size:,} parameters, {state}"
    )


def text_line(report: Report) -> str:
    """Return length and name of the text."""
    subject = report.subject
    size = count(subject.symbols, "symbol")
    if subject.units is not None:
        size = f"{count(subject.units, 'example')} ({size})"
    return f"on {size} of {printable(subject.text)}"


def windows_line(norms: NormsReport) -> str:
    """Return what norms are taken over."""
    if norms.seq_len is None:
        batches = "1 batch" if norms.windows == 1 else f"{norms.windows:,} batches"
        return f"{batches} of up to {norms.batch} examples"
    return f"{count(norms.windows, 'window')} of {norms.batch}×{norms.seq_len}"


def anchors_line(profile: LagProfile) -> str:
    """Return what losses a lag profile is of."""
    if profile.context is None:
        return f"{count(len(profile.anchors), 'example')}, a single loss each"
    context = count(profile.context, "character")
    return f"{len(profile.anchors)} single-step losses, {context} each"


def shortcut_line(profile: LagProfile) -> str:
    """Return which share of the encoder's gradient attention does not hand over."""
    curves = [curve for layer in profile.alone for curve in layer.curves.values()]
    start = max(float(curve.mean[-1]) for curve in curves)
    end = max(float(curve.mean[0]) for curve in curves)
    far = profile.alone[0].max_lag
    return (
        "without attention's own way, through the decoder's initial state alone: "
        f"{number(end, 2)} of the whole gradient at the end of the source, and at lag {far} "
        f"{number(start, 2)}"
    )


def where(verdict: Verdict) -> str:
    """Return the layer that a verdict is about, with a space before it; empty for the model."""
    if verdict.layer is None:
        return ""
    return f" in layer {verdict.layer}{f' ({verdict.part})' if verdict.part else ''}"


def basis(verdict: Verdict) -> str:
    """Return the basis of a verdict, with its source."""
    return verdict.basis + (f": {verdict.source}" if verdict.source else "")
