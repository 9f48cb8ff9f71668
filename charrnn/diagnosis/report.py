"""The record of a diagnosis: its subject, the measurements and the verdicts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from html import escape
from typing import Any

from charrnn.config import ModelConfig
from charrnn.diagnosis.measures.broken import Broken
from charrnn.diagnosis.measures.context import Context
from charrnn.diagnosis.measures.curves import LagProfile
from charrnn.diagnosis.measures.gates import LayerGates
from charrnn.diagnosis.measures.gradcheck import GradCheck
from charrnn.diagnosis.measures.jacobian import Dynamics
from charrnn.diagnosis.measures.norms import NormsReport
from charrnn.diagnosis.measures.spectra import Recurrent
from charrnn.diagnosis.measures.values import plain
from charrnn.diagnosis.settings import Settings
from charrnn.diagnosis.subjects import Examined
from charrnn.display import one_line
from charrnn.registry import CELLS


@dataclass(frozen=True)
class Verdict:
    """One finding.

    Attributes
    ----------
    code
        One of :data:`charrnn.diagnosis.verdicts.CODES`.
    layer
        The layer it is about, from 0; None for the whole model.
    basis
        ``theorem``, ``measurement`` or ``rule of thumb``.
    message, remedy
        The problem, with its figures, and what to do about it.
    source
        Where the theorem or rule comes from; empty for a measurement.
    part
        Which of several readers of the model the layer is in; empty if there is one.
    """

    code: str
    layer: int | None
    basis: str
    message: str
    remedy: str
    source: str = ""
    part: str = ""


@dataclass
class Report:
    """Everything that was measured, and the verdicts on it.

    A part that could not be measured is None or empty; ``missing`` holds what is not defined for
    the task of the model, and why. ``broken`` names the parameters and moments that hold NaN or
    infinity; if there are any, nothing else is measured.
    """

    subject: Examined
    settings: Settings
    notes: list[str]
    broken: list[Broken] = field(default_factory=list)
    norms: NormsReport | None = None
    lag: LagProfile | None = None
    recurrent: list[Recurrent] = field(default_factory=list)
    dynamics: Dynamics | None = None
    gates: list[LayerGates] = field(default_factory=list)
    context: Context | None = None
    gradcheck: GradCheck | None = None
    verdicts: list[Verdict] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def nothing_to_learn(self) -> str:
        """Why training cannot teach the model anything on this text; empty if it can."""
        if self.subject.monotonous:
            return "the text is one symbol over and over"
        if self.norms is not None and not any(self.norms.series):
            return f"the loss is {self.norms.loss:.3g} and the gradient exactly 0"
        return ""

    def to_json(self) -> dict[str, Any]:
        """Return the report as one JSON object; docs/howto/diagnose.md lists the keys."""
        subject, model = self.subject, self.subject.model
        record: dict[str, Any] = {
            "run": subject.name,
            "text": subject.text,
            "chars": subject.symbols,
            "examples": subject.units,
            "model": _settings(model.config) | {"parameters": int(model.weights.trained.flat.size)},
            "step": subject.step,
            "settings": asdict(self.settings),
            "notes": self.notes,
            "parameters": self.norms.parameters if self.norms else {},
            "layers": self.norms.layers if self.norms else {},
            "global": _global(self.norms) if self.norms else None,
            "lag_profile": self.lag.to_json() if self.lag else None,
            "recurrent": self.recurrent,
            "lyapunov": self.dynamics,
            "gates": self.gates,
            "context": _context(self.context) if self.context else None,
            "gradcheck": self.gradcheck,
            "verdicts": self.verdicts,
            "not_measured": self.missing,
        }
        exact: dict[str, Any] = plain(record)
        return exact

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the verdicts, and how far back gradients reach."""
        subject, config = self.subject, self.subject.model.config
        lines = [
            f"{config.cell} {config.layers}×{config.hidden}, "
            f"{subject.model.weights.trained.flat.size:,} parameters"
            + (", untrained" if subject.fresh else f", step {subject.step:,}" * bool(subject.step)),
            f"{subject.symbols:,} symbols of {subject.text}",
            *(f"note: {note}" for note in self.notes),
        ]
        about = "".join(f"<div>{escape(one_line(line))}</div>" for line in lines)
        return (
            f"<div><b>{escape(one_line(subject.name))}</b>{about}"
            f"{_verdicts(self.verdicts)}{_reach(self.lag)}</div>"
        )


def _verdicts(verdicts: Iterable[Verdict]) -> str:
    """Return a table of the verdicts."""
    rows = [
        (
            verdict.code,
            "all" if verdict.layer is None else f"{verdict.part} {verdict.layer}",
            verdict.message,
            verdict.remedy,
            f"{verdict.basis}: {verdict.source}" if verdict.source else verdict.basis,
        )
        for verdict in verdicts
    ]
    if not rows:
        return "<p>No problems found.</p>"
    return _table(("verdict", "layer", "finding", "remedy", "basis"), rows)


def _reach(profile: LagProfile | None) -> str:
    """Return a table of a lag profile: the reach of each state of each layer."""
    if profile is None:
        return ""
    far, window = profile.max_lag, profile.seq_len
    lags = sorted({min(window, far) or far, far})
    rows = [
        (
            f"{layer.name} {state}" + (" without attention" if layer.alone else ""),
            *(_figure(value) for value in (curve.half_life, curve.efold, *map(curve.at, lags))),
        )
        for layer in profile.shown
        for state, curve in layer.curves.items()
    ]
    head = ("layer, state", "half-life", "e-fold", *(f"G({lag})" for lag in lags))
    about = "How far back gradients reach: G(k) is the gradient at lag k, relative to that at lag 0"
    return f"<div>{about}; half-life and e-fold in steps.</div>{_table(head, rows)}"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    top = "".join(f'<th style="text-align:left">{escape(cell)}</th>' for cell in head)
    body = "".join(
        "<tr>"
        + "".join(f'<td style="text-align:left">{escape(one_line(cell))}</td>' for cell in row)
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _global(norms: NormsReport) -> dict[str, Any]:
    return {
        **{name: getattr(norms.all, name) for name in ("weight_norm", "grad", "update_ratio")},
        "clip": norms.clip,
        "loss": norms.loss,
        "loss_change": norms.loss_change,
        "windows": norms.windows,
        "batch": norms.batch,
        "seq_len": norms.seq_len,
        "optimizer": norms.optimizer,
        "lr": norms.lr,
        "moments": norms.moments,
        "series": norms.series,
    }


def _context(context: Context) -> dict[str, Any]:
    position = context.position
    steps = None if position is None else {"carried": position.carried, "reset": position.reset}
    return {
        **{f.name: getattr(context.cut, f.name) for f in fields(context.cut)},
        "position": steps,
        "reset_minus_carried": None if position is None else position.difference,
        "seq_len": context.seq_len,
        "unigram_entropy": context.unigram,
    }


def _settings(config: ModelConfig) -> dict[str, Any]:
    """Return the architecture, and the defaults of the options that other cells have."""
    own = config.to_json()
    return own | {name: value for name, value in CELLS.defaults().items() if name not in own}
