"""Several cells side by side: same text, seed, size and steps; trained, then examined alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np

from charrnn.backend import Backend
from charrnn.config import ModelConfig, TrainConfig
from charrnn.diagnosis.examine import Report, Settings, Subject, examine
from charrnn.model.language import LanguageModel
from charrnn.text import Corpus, fit_window
from charrnn.train.loop import Loop

STEPS = 1000
"""Updates that every cell is trained for, by default."""
HIDDEN = 128
"""Units of a layer, by default."""


@dataclass(frozen=True)
class Horizon:
    """How far back one layer of one cell reaches, by every measure.

    ``half_life`` and ``efold`` are of the state that reaches farthest, in steps (None where G does
    not fall); ``at_window`` is G at the training window; ``memory_time`` is 1 / |λ₁| of the state
    Jacobian in steps; ``used`` and ``used_99`` are of the whole model, in symbols.
    """

    cell: str
    layer: int
    state: str
    half_life: float | None
    efold: float | None
    at_window: float | None
    lyapunov: float
    memory_time: float
    used: int
    used_99: int
    loss: float


@dataclass(frozen=True)
class Contestant:
    """A trained cell and its report; ``seconds`` is the time of training."""

    cell: str
    report: Report
    steps: int
    seconds: float

    def horizons(self) -> list[Horizon]:
        """Return the horizon of every layer; empty for a model that could not be measured."""
        report = self.report
        if report.lag is None or report.dynamics is None or report.context is None:
            return []
        found = []
        for lags, dynamics in zip(report.lag.layers, report.dynamics.layers, strict=True):
            state, curve = lags.slowest
            found.append(
                Horizon(
                    self.cell,
                    lags.layer,
                    state,
                    curve.half_life,
                    curve.efold,
                    curve.at(report.lag.seq_len),
                    dynamics.exponents[0],
                    dynamics.memory_time,
                    report.context.cut.used,
                    report.context.cut.used_99,
                    report.context.cut.loss[-1],
                )
            )
        return found


def train_and_examine(
    cell: str,
    config: ModelConfig,
    corpus: Corpus,
    plan: TrainConfig,
    backend: Backend,
    settings: Settings,
    progress: Callable[[str], object] = lambda stage: None,
) -> Contestant:
    """Train one cell for ``plan.steps`` on the training text; examine it on the validation text."""
    batch, seq_len, _ = fit_window(len(corpus.train), plan.batch, plan.seq_len)
    plan = replace(plan, batch=batch, seq_len=seq_len, eval_every=0, save_every=0)
    model = LanguageModel.fresh(
        replace(config, cell=cell), len(corpus.vocabulary), plan.seed, backend
    )
    loop = Loop(model, corpus.train, np.empty(0, corpus.train.dtype), plan)
    begun = perf_counter()
    progress(f"{cell}: training")
    for _ in loop.records():
        progress(f"{cell}: training, step {loop.progress.step:,} of {plan.steps:,}")
    seconds = perf_counter() - begun
    moments = {name: backend.get(array) for name, array in loop.optimizer.moments.items()}
    subject = Subject(
        model,
        np.asarray(corpus.val),
        plan,
        name=f"{cell} after {loop.progress.step:,} steps",
        text="the last tenth of the text",
        moments=moments,
        step=loop.progress.step,
    )
    report = examine(subject, settings, lambda stage: progress(f"{cell}: {stage}"))
    return Contestant(cell, report, loop.progress.step, seconds)


def to_json(contestants: Sequence[Contestant], text: str) -> dict[str, Any]:
    """Return all reports as one JSON object, with the verdicts of each cell at the top too."""
    from charrnn.diagnosis.values import plain

    horizons: list[Any] = plain([h for c in contestants for h in c.horizons()])
    return {
        "compare": [c.cell for c in contestants],
        "text": text,
        "steps": max(c.steps for c in contestants),
        "horizons": horizons,
        "cells": {
            c.cell: c.report.to_json() | {"train_seconds": round(c.seconds, 3)} for c in contestants
        },
        "verdicts": [
            {"cell": c.cell, **plain(verdict)} for c in contestants for verdict in c.report.verdicts
        ],
    }
