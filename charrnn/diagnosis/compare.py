"""Several cells side by side: trained on the same text with the same settings, then examined."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np

from charrnn.backend import Backend
from charrnn.config import ModelConfig, TrainConfig
from charrnn.diagnosis import tasks
from charrnn.diagnosis.examine import examine
from charrnn.diagnosis.measures.values import plain
from charrnn.diagnosis.report import Report
from charrnn.diagnosis.settings import HIDDEN, Settings
from charrnn.diagnosis.subjects import Subject
from charrnn.diagnosis.tasks.base import ExamplesSubject
from charrnn.display import count
from charrnn.errors import CharRNNError, UsageError, setting
from charrnn.options import declared
from charrnn.registry import CELLS
from charrnn.train import recipes
from charrnn.train.divergence import DivergedError
from charrnn.train.opening.request import Request


@dataclass(frozen=True)
class Horizon:
    """How far back one layer of one cell reaches, by every measure.

    ``half_life`` and ``efold`` are those of the state that reaches farthest, in steps (None if G
    does not fall); ``at_window`` is G at the training window; ``lyapunov`` is λ₁ of the state
    Jacobian in nats per step and ``memory_time`` 1 / |λ₁| in steps; ``used`` and ``used_99`` are
    those of the whole model, in symbols. None stands for what is not measured for its task;
    ``part`` is which of several readers of the model the layer is in.
    """

    cell: str
    layer: int
    state: str
    half_life: float | None
    efold: float | None
    at_window: float | None
    lyapunov: float | None
    memory_time: float | None
    used: int | None
    used_99: int | None
    loss: float
    part: str = ""

    @property
    def uses(self) -> str:
        """The symbols that the model uses, for people."""
        return "–" if self.used is None else f"{self.used}–{self.used_99}"


@dataclass(frozen=True)
class Contestant:
    """A trained cell and its report; ``seconds`` is how long it was trained."""

    cell: str
    report: Report
    steps: int
    seconds: float


def horizons(report: Report) -> list[Horizon]:
    """Return the horizon of every layer; empty for a model that could not be measured."""
    if report.lag is None:
        return []
    cut, rows = report.context.cut if report.context else None, []
    measured = report.dynamics.layers if report.dynamics else [None] * len(report.lag.layers)
    for lags, dynamics in zip(report.lag.layers, measured, strict=True):
        state, curve = lags.slowest
        rows.append(
            Horizon(
                cell=report.subject.model.config.cell,
                layer=lags.layer,
                state=state,
                half_life=curve.half_life,
                efold=curve.efold,
                at_window=curve.at(report.lag.seq_len or lags.max_lag),
                lyapunov=dynamics.exponents[0] if dynamics else None,
                memory_time=dynamics.memory_time if dynamics else None,
                used=cut.used if cut else None,
                used_99=cut.used_99 if cut else None,
                loss=cut.loss[-1] if cut else report.lag.loss,
                part=lags.part,
            )
        )
    return rows


def architectures(names: Sequence[str], options: Mapping[str, Any]) -> dict[str, ModelConfig]:
    """Return the architecture of each cell, by the cell's own name.

    ``options`` are fields of :class:`~charrnn.config.ModelConfig`; each cell takes those that it
    has. A layer has :data:`HIDDEN` units if they do not say otherwise.

    Raises
    ------
    UsageError
        If a cell is unknown or named twice, or an option is invalid.
    """
    options = {"hidden": HIDDEN, **options}
    common = declared(ModelConfig)
    configs: dict[str, ModelConfig] = {}
    for name in names:
        cell = CELLS.canonical(name.strip())
        if cell in configs:
            raise UsageError(f"cell {cell} is named twice", "name each cell once")
        own = {k: v for k, v in options.items() if cell in CELLS.owners(k) or k in common}
        configs[cell] = Request(model={**own, "cell": cell}).fresh_model()
    for name in options.keys() - common.keys():
        owners = CELLS.owners(name)
        if not configs.keys() & set(owners):
            raise UsageError(
                f"{setting(name)} only applies to cell {' or '.join(owners)}, "
                "which is not compared",
                "leave it out",
            )
    return configs


def train_and_examine(
    cell: str,
    config: ModelConfig,
    corpus: Any,
    train: TrainConfig,
    backend: Backend,
    settings: Settings,
    progress: Callable[[str], object] = lambda stage: None,
    word: Callable[[str], str] = str,
) -> Contestant:
    """Train one cell for ``train.steps`` on the training text; examine it on the validation text.

    Parameters are those of :func:`charrnn.diagnosis.examine.examine`.

    Raises
    ------
    CharRNNError
        If training diverges.
    """
    recipe, of_text = recipes.of(config.task), config.task == "lm"
    model: Any = recipe.fresh(replace(config, cell=cell), corpus, train.seed, backend)
    train = replace(train, eval_every=0, save_every=0)
    unread = np.empty(0, corpus.train.dtype) if of_text else corpus.val.of(np.arange(0))
    loop, _ = recipe.loop(model, replace(corpus, val=unread), train)
    begun = perf_counter()
    progress(f"{cell}: training")
    try:  # without rollbacks: after one, a cell would not be trained like the others
        for _ in loop.records():
            progress(f"{cell}: training, step {loop.progress.step:,} of {train.steps:,}")
    except DivergedError as problem:
        remedy = f"lower {setting('lr')} or {setting('clip_norm')}"
        raise CharRNNError(f"{cell}: {problem.message}", remedy) from None
    seconds = perf_counter() - begun
    moments = {name: backend.get(array) for name, array in loop.update.optimizer.moments.items()}
    named: dict[str, Any] = {
        "name": f"{cell} after {count(loop.progress.step, 'step')}",
        "moments": moments,
        "step": loop.progress.step,
    }
    subject: Subject | ExamplesSubject
    if of_text:
        text = "the validation text"
        subject = Subject(model, np.asarray(corpus.val), loop.config, text=text, **named)
    else:
        text, examples = "the validation examples", tasks.of(model, corpus.val, corpus.vocabulary)
        subject = ExamplesSubject(examples, loop.config, text=text, **named)
    report = examine(subject, settings, lambda stage: progress(f"{cell}: {stage}"), word)
    return Contestant(cell, report, loop.progress.step, seconds)


def to_json(contestants: Sequence[Contestant], text: str) -> dict[str, Any]:
    """Return all reports as one JSON object, with the verdicts of each cell at the top too."""
    rows: list[Any] = plain([row for one in contestants for row in horizons(one.report)])
    return {
        "compare": [c.cell for c in contestants],
        "text": text,
        "steps": max(c.steps for c in contestants),
        "horizons": rows,
        "cells": {
            c.cell: c.report.to_json() | {"train_seconds": round(c.seconds, 3)} for c in contestants
        },
        "verdicts": [
            {"cell": c.cell, **plain(verdict)} for c in contestants for verdict in c.report.verdicts
        ],
    }
