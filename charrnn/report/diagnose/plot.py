"""The report as one page of charts for a paper: lag profiles, use of context, norms, gates."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from math import floor, isfinite, log10
from pathlib import Path
from typing import Any

from charrnn.diagnosis.measures.curves import LayerLag
from charrnn.diagnosis.report import Report
from charrnn.display import one_line, printable
from charrnn.errors import CharRNNError
from charrnn.files import save
from charrnn.report.diagnose.words import HEALTHY, cell_of, where

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#5B5B5B", "#8C564B")
"""Okabe and Ito's palette without yellow: distinct to colour-blind readers, and in print."""
_LACKING = re.compile(r"Glyph (\d+) .*missing from")
"""What matplotlib warns of; the number is the code point."""
STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "lines.linewidth": 1.4,
    "svg.hashsalt": "charrnn",
    "svg.fonttype": "none",
}


def need_matplotlib() -> None:
    """Raise :class:`CharRNNError` if matplotlib is not installed."""
    if find_spec("matplotlib") is None:
        raise CharRNNError("drawing needs matplotlib", "pip install 'charrnn[plot]'")


def draw(reports: Sequence[Report], path: Path) -> str:
    """Draw one report, or several cells side by side, into a .png, .svg or .pdf file.

    Return the characters that the font lacks.

    Raises
    ------
    CharRNNError
        If matplotlib is not installed or the file cannot be written.
    """
    need_matplotlib()
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.27, 8.6), layout="constrained")
        FigureCanvasAgg(figure)
        rows = sum(len(layer.gates) for report in reports for layer in report.gates)
        axes = figure.subplots(2, 2, height_ratios=(1, max(1.0, rows / 14)))
        _titles(figure, reports)
        _lag(axes[0][0], reports)
        _context(axes[0][1], reports)
        if not any(report.context for report in reports):  # its place is free
            legend = axes[0][0].get_legend()
            if legend is not None:
                legend.remove()
                axes[0][1].legend(*axes[0][0].get_legend_handles_labels(), loc="center left")
        _norms(axes[1][0], reports)
        _gates(axes[1][1], reports)
        return save_figure(figure, path, 200)


def save_figure(figure: Any, path: Path, dpi: int) -> str:
    """Write a drawing into a .png, .svg or .pdf file, the same bytes each time.

    Return the characters that are drawn as boxes, because the font lacks them. An .svg has none:
    it holds the text itself.

    Raises
    ------
    CharRNNError
        If the file cannot be written.
    """
    suffix, drawn = path.suffix.lower(), io.BytesIO()
    metadata = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}[suffix]
    lacking: dict[str, None] = {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        figure.savefig(drawn, format=suffix.removeprefix("."), dpi=dpi, metadata=metadata)
    for each in caught:
        glyph = _LACKING.match(str(each.message))
        if glyph is None:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
        else:
            lacking[chr(int(glyph[1]))] = None
    try:
        save(path, [drawn.getvalue()])
    except OSError as problem:
        raise CharRNNError(
            f"cannot write {one_line(path)}: {problem.strerror}", "name another file"
        ) from None
    return "" if suffix == ".svg" else "".join(lacking)


def _titles(figure: Any, reports: Sequence[Report]) -> None:
    names = [printable(report.subject.name) for report in reports]
    codes = []
    for report in reports:
        for verdict in report.verdicts:
            layer = where(verdict)
            prefix = f"{cell_of(report)}: " if len(reports) > 1 else ""
            codes.append(f"{prefix}{verdict.code}{layer}")
    verdicts = ", ".join(codes) if codes else HEALTHY
    title = names[0] if len(names) == 1 else " · ".join(names)
    figure.suptitle(f"{title}\n{verdicts}".replace("$", r"\$"), fontsize=9, x=0.01, ha="left")


def _label(reports: Sequence[Report], report: Report, layer: LayerLag, state: str) -> str:
    prefix = f"{cell_of(report)} " if len(reports) > 1 else ""
    alone = ", without attention" if layer.alone else ""
    return f"{prefix}{f'{layer.part} layer {layer.layer}'.strip()}, {state}{alone}"


def _lag(axis: Any, reports: Sequence[Report]) -> None:
    axis.set_title("Gradient of a single-step loss by lag")
    axis.set_xlabel("lag k (steps)")
    axis.set_ylabel("G(k), mean and quartiles")
    index, floor = 0, 1e-1
    for report in reports:
        for layer in report.lag.shown if report.lag else ():
            for state, curve in layer.curves.items():
                colour = COLOURS[index % len(COLOURS)]
                lags = range(len(curve.mean))
                usable = [v if isfinite(v) and v > 0 else float("nan") for v in curve.mean]
                axis.plot(
                    lags,
                    usable,
                    color=colour,
                    linestyle="-" if state == "h" else "--",
                    label=_label(reports, report, layer, state),
                )
                if len(reports) == 1 and report.lag and not report.lag.alone:
                    axis.fill_between(lags, curve.q25, curve.q75, color=colour, alpha=0.12, lw=0)
                floor = min([floor, *(v for v in usable if v == v)])
                index += 1
        if report.lag and report.lag.seq_len and report is reports[0]:
            axis.axvline(report.lag.seq_len, color="0.5", lw=0.8, ls=":")
            axis.annotate(
                "window",
                (report.lag.seq_len, 0.02),
                xycoords=("data", "axes fraction"),
                xytext=(3, 0),
                textcoords="offset points",
                rotation=90,
                fontsize=6.5,
                color="0.4",
            )
    axis.set_yscale("log")
    axis.set_ylim(bottom=max(floor / 2, 1e-16))
    if index:
        axis.legend()


def _context(axis: Any, reports: Sequence[Report]) -> None:
    axis.set_title("Use of context")
    if not any(report.context for report in reports):
        axis.set_axis_off()
        why = next((report.missing.get("context", "") for report in reports), "")
        axis.text(0, 0.97, f"not measured: {why}" if why else "not measured", va="top", wrap=True)
        return
    axis.set_xlabel("characters of context")
    axis.set_ylabel("loss (nats)")
    for index, report in enumerate(reports):
        if report.context is None:
            continue
        cut, colour = report.context.cut, COLOURS[index % len(COLOURS)]
        name = f"{cell_of(report)}: " if len(reports) > 1 else ""
        axis.plot(cut.lengths, cut.loss, color=colour, marker="o", ms=2, label=f"{name}cut off")
        if len(reports) == 1:
            axis.plot(
                cut.lengths,
                cut.replaced,
                color=COLOURS[1],
                ls="--",
                marker="o",
                ms=2,
                label="replaced by other text",
            )
        if cut.used:
            axis.axvline(cut.used, color=colour, lw=0.8, ls=":", label=f"{name}uses {cut.used}")
    axis.set_xscale("symlog", linthresh=1)
    axis.set_xlim(left=0)
    ticks = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
    axis.set_xticks(ticks, [str(tick) for tick in ticks], fontsize=7)
    axis.minorticks_off()
    longest = max((r.context.cut.lengths[-1] for r in reports if r.context), default=1)
    axis.set_xlim(right=longest * 1.1)
    if axis.lines:
        axis.legend()


def _norms(axis: Any, reports: Sequence[Report]) -> None:
    axis.set_title("Gradient norms before clipping")
    axis.set_xlabel("norm: median, and up to the 95th percentile")
    labels, at = [], 0
    for index, report in enumerate(reports):
        if report.norms is None:
            continue
        several = len(reports) > 1
        parts = report.norms.layers if several else report.norms.parameters
        for name, part in [*parts.items(), ("all", report.norms.all)]:
            colour = COLOURS[index % len(COLOURS)] if several else _of_layer(report, part.layer)
            if isfinite(part.grad.median) and part.grad.median > 0:
                axis.barh(at, part.grad.median, height=0.62, color=colour)
                axis.plot([part.grad.median, part.grad.p95], [at, at], color="0.2", lw=0.9)
            prefix = f"{cell_of(report)} " if several else ""
            labels.append(prefix + name.removeprefix("rnn."))
            at += 1
        clip = report.norms.clip
        if clip.limit and report is reports[0]:
            axis.axvline(clip.limit, color="0.5", lw=0.8, ls=":", label="clipping limit")
            axis.legend(loc="lower right")
    axis.set_xscale("log")
    left, right = axis.get_xlim()
    axis.set_xlim(10.0 ** floor(log10(left)), right)  # whole decades, so that labels fit
    axis.xaxis.set_minor_formatter("")
    axis.set_yticks(range(len(labels)), labels)
    axis.tick_params(axis="y", labelsize=6.5, length=0)
    axis.grid(axis="y", visible=False)
    axis.invert_yaxis()


def _of_layer(report: Report, layer: str) -> str:
    names = [*report.norms.layers, "global"] if report.norms else [layer]
    return COLOURS[names.index(layer) % len(COLOURS)]


def _gates(axis: Any, reports: Sequence[Report]) -> None:
    axis.set_title("Gates: share of time and units")
    axis.set_xlabel("saturated left │ between │ saturated right")
    labels: list[str] = []
    for report in reports:
        for layer in report.gates:
            prefix = f"{cell_of(report)} " if len(reports) > 1 else ""
            rows = [(gate.gate, gate.left, gate.right) for gate in layer.gates]
            if not rows:
                rows = [("|h| > 0.9", 0.0, layer.units.saturated)]
            for gate, left, right in rows:
                at = len(labels)
                axis.barh(at, left, height=0.62, color=COLOURS[0])
                axis.barh(at, 1 - left - right, left=left, height=0.62, color="0.88")
                axis.barh(at, right, left=1 - right, height=0.62, color=COLOURS[1])
                labels.append(f"{prefix}{f'{layer.part} layer {layer.layer}'.strip()}, {gate}")
    axis.set_xlim(0, 1)
    axis.set_yticks(range(len(labels)), labels)
    axis.tick_params(axis="y", labelsize=7, length=0)
    axis.grid(axis="y", visible=False)
    axis.invert_yaxis()
