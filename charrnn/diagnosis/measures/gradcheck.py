"""A model's own gradients against central differences, and one backend against the other.

For each parameter, g is the gradient from backpropagation and d a direction half along g and half
random. The derivative of the loss along d is g · d; it is compared with the central differences at
steps 2ε and ε, extrapolated to zero (Richardson), which have an error of order ε⁴. Several ε are
tried and the best agreement counts: the rectifier is not differentiable at its threshold, so a step
across it shows a difference even if the gradient is right. Smaller steps cross fewer thresholds,
while a wrong gradient agrees at no step. Along g alone, a gradient of the right length in the wrong
direction would pass; along a random direction alone, a small gradient would be lost in rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.backend import numpy_backend, select
from charrnn.diagnosis.measures import jacobian
from charrnn.diagnosis.measures.values import AnyNetwork, copied_to, in_float64
from charrnn.errors import BackendError
from charrnn.model.language import LanguageModel
from charrnn.model.parameters import Parameters
from charrnn.randomness import Purpose, generator

STEPS, STREAMS = 12, 3
EPSILONS = (1e-4, 1e-5, 1e-6)
TOLERANCE = 1e-6
"""Relative difference above which a gradient counts as wrong."""
JACOBIAN_TOLERANCE = 1e-7
MAX_JACOBIAN = 1024
"""Elements of a state above which Jacobians are not checked."""


@dataclass(frozen=True)
class Check:
    """One comparison: ``exact`` against ``difference``, relative to the larger of them."""

    name: str
    exact: float
    difference: float
    relative: float
    passed: bool


@dataclass(frozen=True)
class GradCheck:
    """All comparisons.

    ``parameters`` holds directional derivatives of the mean loss (nats), ``jacobians`` by layer
    the largest element of the exact Jacobian and its largest absolute difference, ``backends`` the
    relative difference of the whole gradient between NumPy and CuPy; None if they cannot be
    compared, for the reason in ``note``.
    """

    parameters: list[Check]
    jacobians: list[Check]
    backends: float | None
    note: str
    passed: bool


def check(model: LanguageModel, ids: NDArray[Any], seed: int) -> GradCheck:
    """Check a model on the start of a text, in float64 on the host.

    ``ids`` is the text, 1-D, of at least 2 symbols. It is repeated if it has fewer than
    ``STEPS`` · ``STREAMS`` + 1.
    """
    host = copied_to(in_float64(model), numpy_backend())  # its weights are varied
    text = np.resize(ids, STEPS * STREAMS + 1)
    inputs = np.ascontiguousarray(text[:-1].reshape(STREAMS, STEPS).T)
    targets = np.ascontiguousarray(text[1:].reshape(STREAMS, STEPS).T)

    def gradient(of: LanguageModel) -> Parameters:
        return _gradient(of, inputs, targets)

    def loss() -> float:
        return _loss(host, inputs, targets)

    parameters = directional(host.weights, gradient(host), loss, seed)
    return concluded(host, parameters, _jacobians(host, inputs), gradient)


def concluded(
    host: AnyNetwork,
    parameters: list[Check],
    jacobians: list[Check],
    gradient: Callable[[AnyNetwork], Parameters],
) -> GradCheck:
    """Return all comparisons of a model on the host, and that of NumPy with CuPy.

    ``gradient`` returns that of the loss for the same model on a backend.
    """
    backends, note = _backends(host, gradient)
    passed = all(c.passed for c in (*parameters, *jacobians))
    if backends is not None:
        passed = passed and backends < TOLERANCE
    return GradCheck(parameters, jacobians, backends, note, passed)


def _gradient(model: LanguageModel, inputs: NDArray[Any], targets: NDArray[Any]) -> Parameters:
    put = model.backend.put
    grads = model.weights.like(model.backend.xp.empty_like(model.weights.flat))
    window = model.window(inputs.shape[0], inputs.shape[1])
    model.loss_and_gradient(window, put(inputs), put(targets), grads)
    return grads


def _loss(model: LanguageModel, inputs: NDArray[Any], targets: NDArray[Any]) -> float:
    window = model.window(inputs.shape[0], inputs.shape[1], backward=False)
    return float(model.surprisal(window, inputs, targets).mean())


def directional(
    weights: Parameters, grads: Parameters, loss: Callable[[], float], seed: int
) -> list[Check]:
    """Compare the derivative of the loss along a direction of each parameter.

    ``loss`` returns the loss in nats at the ``weights``, which are varied and restored.
    """
    checks = []
    for index, (name, weight) in enumerate(weights.trained.items()):
        rng = generator(seed, Purpose.DIAGNOSE, layer=2, step=index)
        random = rng.standard_normal(weight.shape)
        gradient = grads[name]
        length = float(np.linalg.norm(gradient))
        direction = random / np.linalg.norm(random)
        if length > 0:
            direction = (direction + gradient / length) / np.sqrt(2.0)
        original = weight.copy()

        def slope(step: float, weight: Any = weight, along: Any = direction) -> float:
            start = weight.copy()
            weight[...] = start + step * along
            ahead = loss()
            weight[...] = start - step * along
            behind = loss()
            weight[...] = start
            return (ahead - behind) / (2.0 * step)

        exact = float((gradient * direction).sum())
        differences = [(4.0 * slope(step) - slope(2.0 * step)) / 3.0 for step in EPSILONS]
        weight[...] = original
        checks.append(
            min((_compared(name, exact, d) for d in differences), key=lambda c: c.relative)
        )
    return checks


def _compared(name: str, exact: float, difference: float) -> Check:
    # Below 1e-5 nats the difference is nothing but rounding.
    relative = abs(exact - difference) / max(abs(exact), abs(difference), 1e-5)
    return Check(name, exact, difference, relative, relative < TOLERANCE)


def _jacobians(model: LanguageModel, inputs: NDArray[Any]) -> list[Check]:
    size = model.config.hidden * len(model.stack.cell.states)
    if size > MAX_JACOBIAN:
        return []
    window = model.window(len(inputs), 1)
    model.forward(window, np.ascontiguousarray(inputs[:, :1]), backward=True)
    checks = []
    for layer in range(model.config.layers):
        exact = jacobian.exact(model, window, layer, len(inputs) - 1)
        near = jacobian.differences(model, window, layer, len(inputs) - 1)
        worst = float(np.abs(exact - near).max())
        largest = float(np.abs(exact).max())
        relative = worst / max(1.0, largest)
        passed = relative < JACOBIAN_TOLERANCE
        checks.append(Check(f"l{layer}", largest, worst, relative, passed))
    return checks


def _backends(
    model: AnyNetwork, gradient: Callable[[AnyNetwork], Parameters]
) -> tuple[float | None, str]:
    try:
        other = select("cupy")
    except BackendError as problem:
        return None, problem.message
    on_host = gradient(model).flat
    on_gpu = other.get(gradient(copied_to(model, other)).flat)
    return float(np.linalg.norm(on_host - on_gpu) / np.linalg.norm(on_host)), ""
