"""The state Jacobian of each layer along a text: exact, its products, its Lyapunov exponents.

J_t = ∂s_t / ∂s_{t-1}, where s is the state of one layer (h, or h and c stacked for an LSTM) and the
layer's input is held fixed: the recurrence of that layer alone, as the text drives it. In a stack
each layer acts only on those above it, so the Jacobian of the whole state is block triangular, and
its exponents are those of the layers together.

Jacobians are not derived a second time. The cell's own backward pass computes J_tᵀ v for many v at
once: the values that forward kept of step t are repeated over as many columns as there are vectors,
and the vectors are passed in as gradients. The product of the transposed Jacobians has the same
singular values, and therefore the same exponents. They are read off from a QR decomposition at
every step, going back along the trajectory (Benettin, Galgani, Giorgilli and Strelcyn 1980).

Averages over the trajectory have the weight exp(-1 / (u (1 - u))) at u = t / T (Das, Saiki, Sander
and Yorke 2017, Nonlinearity 30). It is zero at both ends, so that transients do not count. For a
recurrence that rotates, this average converges faster than any power of 1/T; a plain mean has an
error of order 1/T.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.backend import Array, numpy_backend
from charrnn.cells.base import Workspace
from charrnn.diagnosis.measures.values import Floats, copied_to
from charrnn.diagnosis.settings import DEFAULT_LAG, Settings
from charrnn.model.language import LanguageModel
from charrnn.model.layer import Layer, Staged
from charrnn.model.window import Window
from charrnn.randomness import Purpose, generator

CHUNK = 256
"""Steps whose forward values are kept at a time."""
PLACES = 8
"""Places in the text at which products are measured."""
SEED_STEP = 7919
"""Between the seeds of two layers' starting vectors."""
FLOOR = 1e-300
"""The smallest growth distinguished from zero: below it the vector has vanished."""


class Pullback:
    """The product J_tᵀ v of one layer, for K vectors v at once."""

    def __init__(self, layer: Layer, staged: Staged, dtype: Any, K: int) -> None:
        self.layer, self.staged = layer, staged
        self._ws = layer.workspace(dtype, 1, K)
        self._d_out = layer.xp.empty((1, layer.H, K), dtype)

    @property
    def size(self) -> int:
        """Elements of the state: hidden units times states."""
        return self.layer.H * len(self.layer.cell.states)

    def __call__(self, ws: Workspace, t: int, vectors: Array) -> Array:
        """Return J_{t+1}ᵀ ``vectors``, (size, K), for step t of a one-stream forward pass."""
        states, H, own = self.layer.cell.states, self.layer.H, self._ws
        own.work[0] = ws.work[t]
        for name, array in ws.saved.items():
            own.saved[name][0] = array[t]
        for name, array in ws.states.items():
            own.states[name][:2] = array[t : t + 2]
        for index, name in enumerate(states):
            own.gradients[name][...] = vectors[index * H : (index + 1) * H]
        self._d_out[...] = 0.0  # nothing comes from above
        self.layer.backward(self.staged, own, self._d_out, None, slice(0, 1))
        return self.layer.xp.concatenate([own.gradients[name] for name in states])


def exact(model: LanguageModel, window: Window, layer: int, t: int) -> Array:
    """Return the Jacobian (size, size) of step t of the window's last forward pass, of one stream.

    Steps count from 0. The pass must have been made with ``backward=True``; no backward pass may
    have followed it.
    """
    pull = Pullback(
        model.stack.layers[layer],
        window.staged[layer],
        np.dtype(model.config.dtype),
        model.config.hidden * len(model.stack.cell.states),
    )
    identity = model.backend.xp.asarray(np.eye(pull.size), dtype=model.config.dtype)
    return pull(window.layers[layer], t, identity).T


def differences(
    model: LanguageModel, window: Window, layer: int, t: int, step: float = 1e-5
) -> Array:
    """Return the same Jacobian by central differences: the layer is run from 2 · size near states.

    Meant for float64: the error is of order ``step``² plus rounding / ``step``.
    """
    part, ws = model.stack.layers[layer], window.layers[layer]
    xp, H, states = part.xp, part.H, part.cell.states
    size = H * len(states)
    near = part.workspace(np.dtype(model.config.dtype), 1, 2 * size)
    moves = np.concatenate((np.eye(size), -np.eye(size)), axis=1) * step
    for index, name in enumerate(states):
        rows = moves[index * H : (index + 1) * H]
        near.states[name][0] = ws.states[name][t] + xp.asarray(rows)
    x = window.inputs[layer][t : t + 1]
    wide = xp.ascontiguousarray(xp.concatenate([x] * (2 * size), axis=x.ndim - 1))
    part.forward(window.staged[layer], near, wide, slice(0, 1))
    after = xp.concatenate([near.states[name][1] for name in states])
    return (after[:, :size] - after[:, size:]) / (2.0 * step)


@dataclass(frozen=True)
class JacobianProducts:
    """The largest singular value of J_t J_{t-1} … J_{t-k+1}, at ``places`` places in the text.

    ``lags`` are the k. For each, ``norm`` is the geometric mean over places, ``low`` and ``high``
    the extremes.
    """

    lags: list[int] = field(default_factory=list)
    norm: list[float] = field(default_factory=list)
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)
    places: int = 0


@dataclass(frozen=True)
class LayerDynamics:
    """How small differences of one layer's state grow along the text.

    Attributes
    ----------
    exponents
        The leading Lyapunov exponents in nats per step, largest first.
    memory_time
        1 / |λ₁| in steps.
    drift
        |λ₁ of the first half - λ₁ of the second half|: how far λ₁ can be trusted.
    products
        Norms of the Jacobian's products.
    """

    layer: int
    exponents: list[float]
    memory_time: float
    drift: float
    products: JacobianProducts


@dataclass(frozen=True)
class Dynamics:
    """The dynamics of all layers over ``steps`` steps.

    ``overflow`` is the step at which a state stopped being finite, None if all were; only the steps
    before it are measured.
    """

    steps: int
    overflow: int | None
    layers: list[LayerDynamics]


def dynamics(
    model: LanguageModel,
    ids: NDArray[Any],
    steps: int,
    *,
    exponents: int = Settings.exponents,
    max_lag: int = DEFAULT_LAG,
    places: int = PLACES,
    seed: int = 0,
) -> Dynamics:
    """Measure exponents and products along a text, on the host in float64.

    Parameters
    ----------
    model
        In float64.
    ids
        The text, 1-D. If it is shorter than ``steps``, it is read again, with the state carried.
    steps
        Length of the trajectory.
    exponents
        How many leading exponents; at most the size of a layer's state.
    max_lag, places
        Products are taken over 1, 2, 4, … ``max_lag`` steps, at ``places`` places in the text.
    seed
        Seeds the starting vectors.
    """
    model = copied_to(model, numpy_backend())
    text = np.resize(np.asarray(ids), steps)
    with np.errstate(all="ignore"):
        starts, overflow = _trajectory(model, text)
        steps = steps if overflow is None else overflow
        layers = [
            _Layer(model, l, steps, exponents, seed + SEED_STEP * l)
            for l in range(model.config.layers)
        ]
        chunks = -(-steps // CHUNK)
        wanted = set(np.linspace(0, chunks - 1, min(places, max(chunks, 1))).astype(int).tolist())
        for number, window in _backwards(model, text[:steps], starts):
            for layer in layers:
                if number in wanted:
                    layer.products(window, min(max_lag, window.used))
                layer.exponents(window, number * CHUNK)
        return Dynamics(steps, overflow, [layer.result() for layer in layers])


def _trajectory(
    model: LanguageModel, text: NDArray[Any]
) -> tuple[list[dict[str, Floats]], int | None]:
    """Read the text once; return the states at the start of each chunk, and the overflow's step."""
    window = model.window(CHUNK, 1, backward=False)
    window.reset()
    starts = []
    for start in range(0, len(text), CHUNK):
        starts.append({name: array[0].copy() for name, array in window.states()})
        model.forward(window, text[start : start + CHUNK, None])
        for _, array in window.states():
            bad = ~np.isfinite(array[1 : window.used + 1]).all(axis=(1, 2))
            if bad.any():
                return starts, start + int(bad.argmax())
        window.carry()
    return starts, None


def _backwards(
    model: LanguageModel, text: NDArray[Any], starts: list[dict[str, Floats]]
) -> Iterator[tuple[int, Window]]:
    """Yield the chunks from the last to the first, each with its forward values."""
    window = model.window(CHUNK, 1, backward=False)
    for number in range(-(-len(text) // CHUNK) - 1, -1, -1):
        for name, array in window.states():
            array[0] = starts[number][name]
        model.forward(window, text[number * CHUNK : (number + 1) * CHUNK, None], backward=True)
        yield number, window


class _Layer:
    """Exponents and products of one layer, gathered chunk by chunk from the end of the text."""

    def __init__(self, model: LanguageModel, layer: int, steps: int, count: int, seed: int) -> None:
        self._model, self._layer = model, layer
        self._size = model.config.hidden * len(model.stack.cell.states)
        K = min(count, self._size)
        self._growth = np.zeros((steps, K))
        rng = generator(seed, Purpose.DIAGNOSE, layer=1)
        self._basis = np.linalg.qr(rng.standard_normal((self._size, K)))[0]
        self._norms: dict[int, list[float]] = {}
        self._places = 0

    def exponents(self, window: Window, start: int) -> None:
        """Pull the basis back through a chunk that starts at step ``start``."""
        stack = self._model.stack
        ws = window.layers[self._layer]
        K = self._basis.shape[1]
        pull = Pullback(stack.layers[self._layer], window.staged[self._layer], np.float64, K)
        basis = self._basis
        for t in range(window.used - 1, -1, -1):
            basis, r = np.linalg.qr(pull(ws, t, basis))
            self._growth[start + t] = np.abs(np.diagonal(r))
        self._basis = basis

    def products(self, window: Window, max_lag: int) -> None:
        """Multiply the Jacobians of the chunk's last steps; keep σ₁ after every power of two."""
        stack = self._model.stack
        ws, last = window.layers[self._layer], window.used - 1
        pull = Pullback(
            stack.layers[self._layer], window.staged[self._layer], np.float64, self._size
        )
        product = np.eye(self._size)
        self._places += 1
        for k in range(1, max_lag + 1):
            product = pull(ws, last - k + 1, product)
            if k & (k - 1) == 0 or k == max_lag:
                finite = bool(np.isfinite(product).all())
                norm = float(np.linalg.norm(product, 2)) if finite else nan
                self._norms.setdefault(k, []).append(norm)

    def result(self) -> LayerDynamics:
        """Return exponents, averaged over the trajectory, and products, averaged over places."""
        logs = np.log(np.maximum(self._growth, FLOOR))
        steps = len(logs)
        exponents = np.sort(_smooth_mean(logs))[::-1]
        half = steps // 2
        drift = abs(_smooth_mean(logs[:half])[0] - _smooth_mean(logs[half:])[0]) if half else nan
        leading = float(exponents[0])
        products = JacobianProducts(places=self._places)
        for k, norms in sorted(self._norms.items()):
            products.lags.append(k)
            products.norm.append(float(np.exp(np.mean(np.log(np.maximum(norms, FLOOR))))))
            products.low.append(min(norms))
            products.high.append(max(norms))
        memory = 1.0 / abs(leading) if leading else nan
        return LayerDynamics(self._layer, exponents.tolist(), memory, float(drift), products)


def _smooth_mean(values: Floats) -> Floats:
    """Return the mean over rows, weighted as above; NaN if there are no rows."""
    if not len(values):
        return np.full(values.shape[1], nan)
    u = (np.arange(len(values)) + 0.5) / len(values)
    weight = np.exp(-1.0 / (u * (1.0 - u)))
    mean: Floats = weight @ values / weight.sum()
    return mean
