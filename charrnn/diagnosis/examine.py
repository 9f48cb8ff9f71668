"""The whole examination of a model, as one report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.config import TrainConfig
from charrnn.diagnosis import context, gates, gradcheck, jacobian, lag, norms, spectra, verdicts
from charrnn.diagnosis.values import in_float64, plain
from charrnn.errors import CorpusError
from charrnn.model.language import LanguageModel
from charrnn.text.windows import fit_window

LARGEST_WINDOW = 256
"""The largest lag that is chosen where the training window is longer than the default lag."""
LEAST_LAG = 64


@dataclass(frozen=True)
class Settings:
    """How much is measured; every default of ``charrnn diagnose``.

    Attributes
    ----------
    windows
        Windows of training over which norms, gates and the loss by position are measured.
    max_lag
        The largest lag; by default 64, or the training window if that is longer (at most 256).
    context
        Symbols read before an anchor; by default twice the largest lag.
    anchors
        Single-step losses of the lag profile.
    targets
        Symbols whose loss is taken with context cut.
    lyapunov_steps, exponents
        Length of the trajectory, and how many exponents.
    seed
        Of anchors, targets and starting vectors.
    gradcheck
        Whether gradients are held against differences.
    """

    windows: int = 20
    max_lag: int | None = None
    context: int | None = None
    anchors: int = 256
    targets: int = 256
    lyapunov_steps: int = 3000
    exponents: int = 8
    seed: int = 0
    gradcheck: bool = False


@dataclass
class Subject:
    """What is examined, and on what.

    Attributes
    ----------
    model
        In the type and on the backend in which it is used.
    ids
        The text, 1-D, in the model's vocabulary.
    plan
        How it is, or would be, trained.
    name, text
        What to call the model and the text in the report.
    moments, step
        The optimizer's, from a checkpoint.
    fresh
        Whether the model is known to be untrained.
    planned
        Whether ``plan`` is the model's own; if not, nothing is said about clipping and rate.
    """

    model: LanguageModel
    ids: NDArray[Any]
    plan: TrainConfig
    name: str = ""
    text: str = ""
    moments: dict[str, NDArray[Any]] = field(default_factory=dict)
    step: int = 0
    fresh: bool = False
    planned: bool = True


@dataclass
class Report:
    """Everything that was found; parts that could not be measured are None or empty.

    ``broken`` names the parameters with values that are not finite; then nothing else is measured.
    """

    subject: Subject
    settings: Settings
    notes: list[str]
    broken: list[verdicts.Broken] = field(default_factory=list)
    norms: norms.NormsReport | None = None
    lag: lag.LagProfile | None = None
    recurrent: list[spectra.Recurrent] = field(default_factory=list)
    dynamics: jacobian.Dynamics | None = None
    gates: list[gates.LayerGates] = field(default_factory=list)
    context: context.Context | None = None
    gradcheck: gradcheck.GradCheck | None = None
    verdicts: list[verdicts.Verdict] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the report as one JSON object; see ``charrnn diagnose --help`` for the keys."""
        subject, model = self.subject, self.subject.model
        found: dict[str, Any] = {
            "run": subject.name,
            "text": subject.text,
            "chars": len(subject.ids),
            "model": asdict(model.config) | {"parameters": int(model.weights.flat.size)},
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
        }
        exact: dict[str, Any] = plain(found)
        return exact


def _global(found: norms.NormsReport) -> dict[str, Any]:
    return {
        **{name: getattr(found.all, name) for name in ("weight_norm", "grad", "update_ratio")},
        "clip": found.clip,
        "loss": found.loss,
        "loss_change": found.loss_change,
        "windows": found.windows,
        "batch": found.batch,
        "seq_len": found.seq_len,
        "optimizer": found.optimizer,
        "lr": found.lr,
        "moments": found.moments,
        "series": found.series,
    }


def _context(found: context.Context) -> dict[str, Any]:
    position = {"carried": found.position.carried, "reset": found.position.reset}
    return {
        **{f.name: getattr(found.cut, f.name) for f in fields(found.cut)},
        "position": position,
        "reset_minus_carried": found.position.difference,
        "seq_len": found.seq_len,
        "unigram_entropy": found.unigram,
    }


def examine(
    subject: Subject,
    settings: Settings | None = None,
    progress: Callable[[str], object] = lambda stage: None,
) -> Report:
    """Measure everything and judge it.

    Parameters
    ----------
    subject
        The model and its text.
    settings
        How much to measure.
    progress
        Called with the name of each part as it begins.

    Raises
    ------
    CorpusError
        If the text has fewer than 4 symbols.
    """
    settings = settings or Settings()
    notes: list[str] = []
    subject = replace(subject, ids=np.asarray(subject.ids), plan=_plan(subject, notes))
    report = Report(subject, settings, notes)
    report.broken = verdicts.find_broken(subject.model, subject.moments)
    if not report.broken:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            _measure(report, progress)
    report.verdicts = verdicts.judge(report)
    return report


def _plan(subject: Subject, notes: list[str]) -> TrainConfig:
    """Return the training plan, fitted to the text."""
    if len(subject.ids) < 4:
        count = len(subject.ids)
        raise CorpusError(
            f"the text has {count} symbol{'' if count == 1 else 's'}, diagnosis takes at least 4",
            "use a longer text with --corpus",
        )
    plan = subject.plan
    batch, seq_len, note = fit_window(len(subject.ids), plan.batch, plan.seq_len)
    # Two windows at least, so that there is a state to carry into the second.
    roomy = max(1, (len(subject.ids) - 1) // (2 * seq_len))
    if roomy < batch:
        note = f"the text is short: gradients are averaged over {roomy} streams, not {plan.batch}"
        batch = roomy
    if note:
        notes.append(note)
    return replace(plan, batch=batch, seq_len=seq_len)


def _measure(report: Report, progress: Callable[[str], object]) -> None:
    subject, settings = report.subject, report.settings
    model, ids, plan = subject.model, subject.ids, subject.plan
    max_lag, length = _lags(report)
    progress("norms")
    per_epoch = (len(ids) - 1) // plan.batch // plan.seq_len
    windows = max(1, min(settings.windows, per_epoch - 1))
    report.norms = norms.measure(model, ids, plan, windows, subject.moments, subject.step)
    progress("gates")
    report.gates = gates.measure(model, ids, plan, windows)
    progress("lag profile")
    exact = in_float64(model)
    anchors = lag.choose_anchors(len(ids), settings.anchors, length, settings.seed)
    report.lag = lag.profile(exact, ids, anchors, length, max_lag, plan.seq_len)
    progress("recurrent matrices")
    report.recurrent = spectra.recurrent(exact)
    progress("state Jacobian")
    size = model.config.hidden * len(model.stack.cell.states)
    report.dynamics = jacobian.dynamics(
        exact,
        ids,
        settings.lyapunov_steps,
        exponents=settings.exponents,
        max_lag=max_lag,
        places=1 if size > 512 else 2 if size > 256 else 8,
        seed=settings.seed,
    )
    progress("use of context")
    targets = lag.choose_anchors(len(ids), settings.targets, length, settings.seed + 1)
    report.context = context.measure(model, ids, plan, targets, length, windows)
    if settings.gradcheck:
        progress("gradient check")
        report.gradcheck = gradcheck.check(model, ids, settings.seed)


def _lags(report: Report) -> tuple[int, int]:
    """Return the largest lag and the context, as asked for or as far as the text allows."""
    settings, seq_len = report.settings, report.subject.plan.seq_len
    max_lag = settings.max_lag
    if max_lag is None:
        max_lag = max(LEAST_LAG, min(seq_len, LARGEST_WINDOW))
    length = settings.context if settings.context is not None else 2 * max_lag
    length = max(length, max_lag + 1)
    room = len(report.subject.ids) // 2
    if length > room:
        length = max(2, room)
        max_lag = min(max_lag, length - 1)
        report.notes.append(
            f"the text is short: lags up to {max_lag}, with a context of {length} symbols"
        )
    return max_lag, length
