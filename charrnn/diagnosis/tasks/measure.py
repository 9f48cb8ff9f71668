"""Every measurement of a model that reads whole examples, in turn.

Norms are those of training: batches of the task, in the order of its first epoch, without dropout.
Gates are taken over all symbols of as many batches. The lag profile, the recurrent matrices and
the gradient check are in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from charrnn.backend import numpy_backend
from charrnn.config import TrainConfig
from charrnn.diagnosis.measures import gates, gradcheck, spectra
from charrnn.diagnosis.measures.norms import NormsReport, Trial
from charrnn.diagnosis.measures.values import copied_to, in_float64, without_dropout
from charrnn.diagnosis.report import Report
from charrnn.diagnosis.tasks.base import Examples, ExamplesSubject
from charrnn.model.parameters import Parameters

CHECKED = 4
"""Examples of a gradient check."""


def measure(report: Report, subject: ExamplesSubject, progress: Callable[[str], object]) -> None:
    """Fill the report."""
    settings, examples = report.settings, subject.examples
    report.missing = dict(examples.missing)
    progress("norms")
    report.norms = norms(subject, settings.windows)
    progress("gates")
    sums = gates.Sums(subject.model.backend, None)
    for part, stack, window, real in examples.passes(settings.windows):
        sums.add(stack, window, real, part)
    report.gates = sums.layers()
    progress("lag profile")
    exact = in_float64(subject.model)
    report.lag = examples.profile(exact, settings, report.notes)
    progress("recurrent matrices")
    report.recurrent = spectra.recurrent(exact)
    progress("use of context")
    report.context = examples.context(settings, report.lag)
    if settings.gradcheck:
        progress("gradient check")
        report.gradcheck = checked(examples, exact, subject.train, settings.seed)


def norms(subject: ExamplesSubject, batches: int) -> NormsReport:
    """Measure over as many batches, or one epoch if it has fewer."""
    train, examples = subject.train, subject.examples
    model = without_dropout(subject.model)
    task = examples.task(model, train)
    batches = min(batches, task.windows_per_epoch)
    trial = Trial(model, train, subject.moments, subject.step)
    for step in range(batches):
        batch = task.batch(step)
        loss = trial.update.gradient(partial(task.loss_and_gradient, batch, step))

        def loss_at(weights: Parameters, batch: Any = batch, step: int = step) -> float:
            moved, unused = examples.task(model.at(weights), train), weights.like(0 * weights.flat)
            return float(model.backend.get(moved.loss_and_gradient(batch, step, unused)))

        trial.take(float(model.backend.get(loss)), loss_at)
    return trial.report(batches)


def checked(examples: Examples, exact: Any, train: TrainConfig, seed: int) -> gradcheck.GradCheck:
    """Check the gradients of a model in float64 on the first examples."""
    host, few = copied_to(exact, numpy_backend()), examples.some(CHECKED)

    def gradient(of: Any) -> Parameters:
        task = few.task(of, train)
        grads = task.weights.like(of.backend.xp.zeros_like(task.weights.flat))
        task.loss_and_gradient(task.batch(0), 0, grads)
        return grads

    task = few.task(host, train)
    unused = host.weights.like(host.backend.xp.zeros_like(host.weights.flat))

    def loss() -> float:
        return float(task.loss_and_gradient(task.batch(0), 0, unused))

    checks = gradcheck.directional(host.weights, gradient(host), loss, seed)
    return gradcheck.concluded(host, checks, [], gradient)
