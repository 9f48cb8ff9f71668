"""The lag profile: how a single-step loss depends on the states before it.

In a language model every step adds a loss of its own, so the accumulated ∂L/∂h_t of
backpropagation through time never looks vanished. Here there is one loss. For an anchor a, an
position in the text, the model reads the ``context`` symbols before it from a zero state, and

    ℓ = -ln p(text[a] | text[a - context … a - 1])   in nats.

Lag 0 is the state that has just read text[a - 1], lag k the one k steps earlier, and

    G(k) = mean over anchors of ‖∂ℓ/∂h at lag k‖  ÷  the same mean at lag 0.

∂ℓ/∂h and, for the LSTM, ∂ℓ/∂c are total derivatives: along every path by which the state of that
layer and step reaches the loss, through time and through the layers above. Of c_t that includes the
path through h_t = o ⊙ tanh(c_t) of the same step. PyTorch leaves the same gradients in ``h_t.grad``
and ``c_t.grad`` of retained tensors. Norms are Euclidean over the hidden units; everything is in
float64. The backward pass is that of the layers, taken step by step.

That gradients shrink or grow exponentially with the lag: Hochreiter 1991; Bengio, Simard and
Frasconi 1994; Pascanu, Mikolov and Bengio 2013 (arXiv 1211.5063).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.backend import Array
from charrnn.diagnosis.values import Floats, column_norms, plain
from charrnn.errors import CorpusError, setting
from charrnn.model.language import RNN, LanguageModel
from charrnn.model.parameters import Parameters
from charrnn.model.stack import Window
from charrnn.randomness import Purpose, generator

CHUNK = 64
"""Anchors that are computed side by side."""
FLOOR = 1e-300
"""G below this counts as zero."""


@dataclass(frozen=True)
class Curve:
    """G of one state of one layer, for lags 0 … max.

    Attributes
    ----------
    mean
        G(k), (lags + 1,).
    q25, median, q75
        Quartiles over anchors of ‖∂ℓ/∂state at lag k‖ ÷ its mean at lag 0.
    scale
        The mean norm at lag 0, in nats per unit of the state.
    half_life
        The lag at which G first falls to 1/2, with ln G interpolated between lags; None if it does
        not.
    efold
        τ of the least-squares fit ln G(k) ≈ b - k / τ over lags 1 … max: the steps in which the
        gradient falls to 1/e; None if it does not fall.
    slope, r2
        Of that fit: the slope -1/τ, per step, and the coefficient of determination.
    """

    mean: Floats
    q25: Floats
    median: Floats
    q75: Floats
    scale: float
    half_life: float | None
    efold: float | None
    slope: float | None
    r2: float | None

    @classmethod
    def of(cls, norms: Floats) -> Curve:
        """Summarise norms (lags + 1, anchors)."""
        means = norms.mean(axis=1)
        scale = float(means[0])
        with np.errstate(all="ignore"):
            mean = means / scale
            q25, median, q75 = np.percentile(norms, (25, 50, 75), axis=1) / scale
        slope, r2 = fit(mean)
        efold = -1.0 / slope if slope is not None and slope < 0 else None
        return cls(mean, q25, median, q75, scale, half_life(mean), efold, slope, r2)

    def at(self, lag: int) -> float | None:
        """Return G(lag), or None beyond the largest lag."""
        return float(self.mean[lag]) if lag < len(self.mean) else None


@dataclass(frozen=True)
class LayerLag:
    """The profile of one layer: a curve for each of its states, ``h`` and for an LSTM ``c``."""

    layer: int
    curves: dict[str, Curve]

    @property
    def slowest(self) -> tuple[str, Curve]:
        """The state that reaches farthest: its gradient at the largest lag is the largest."""
        return max(self.curves.items(), key=lambda item: _or_lowest(item[1].mean[-1]))


@dataclass(frozen=True)
class LagProfile:
    """Profiles of all layers.

    Attributes
    ----------
    anchors
        Positions in the text, ascending, (anchors,).
    context
        Number of symbols read before each.
    max_lag
        The largest lag, in steps.
    loss
        Mean of ℓ over anchors, in nats.
    layers
        Bottom first.
    seq_len
        The training window in steps: truncation cuts off the gradients beyond it.
    """

    anchors: NDArray[np.int64]
    context: int
    max_lag: int
    loss: float
    layers: list[LayerLag] = field(default_factory=list)
    seq_len: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the profile as documented in ``charrnn diagnose --help``."""
        return {
            "anchors": self.anchors.tolist(),
            "context": self.context,
            "loss": plain(self.loss),
            "seq_len": self.seq_len,
            "layers": [_layer_json(layer, self.max_lag, self.seq_len) for layer in self.layers],
        }


def _layer_json(layer: LayerLag, max_lag: int, seq_len: int) -> dict[str, Any]:
    record: dict[str, Any] = {"layer": layer.layer, "lags": list(range(max_lag + 1))}
    for name, curve in layer.curves.items():
        prefix = "" if name == "h" else f"{name}_"
        record[name] = curve.mean
        for quartile in ("q25", "median", "q75"):
            record[f"{name}_{quartile}"] = getattr(curve, quartile)
        record[prefix + "half_life"] = curve.half_life
        record[prefix + "efold"] = curve.efold
        record[prefix + "efold_fit"] = {"slope": curve.slope, "r2": curve.r2, "lags": [1, max_lag]}
        record[prefix + "at_seq_len"] = curve.at(seq_len)
        record[prefix + "norm_at_lag_0"] = curve.scale
    exact: dict[str, Any] = plain(record)
    return exact


def choose_anchors(length: int, count: int, context: int, seed: int) -> NDArray[np.int64]:
    """Return at most ``count`` different positions a with ``context`` ≤ a < ``length``, ascending.

    Raises
    ------
    CorpusError
        If the text is not longer than ``context``.
    """
    if length <= context:
        raise CorpusError(
            f"the text has {length:,} symbols, a context of {context} takes {context + 1:,}",
            f"use a longer text, or lower {setting('max_lag')} and {setting('context')}",
        )
    rng = generator(seed, Purpose.DIAGNOSE)
    possible = length - context
    chosen = rng.choice(possible, size=min(count, possible), replace=False) + context
    return np.sort(chosen).astype(np.int64)


def profile(
    model: LanguageModel,
    ids: NDArray[Any],
    anchors: NDArray[np.int64],
    context: int,
    max_lag: int,
    seq_len: int = 0,
) -> LagProfile:
    """Measure the lag profile of a model in float64.

    Parameters
    ----------
    model
        In float64 (:func:`charrnn.diagnosis.values.in_float64`).
    ids
        The text, 1-D.
    anchors
        Positions in it, each at least ``context``.
    context, max_lag
        Number of symbols read before an anchor, and the largest lag, below ``context``.
    seq_len
        The training window, for the report.
    """
    norms, loss = gradient_norms(model, ids, anchors, context, max_lag)
    names = model.stack.cell.states
    layers = [
        LayerLag(l, {name: Curve.of(norms[f"{name}_l{l}"]) for name in names})
        for l in range(model.config.layers)
    ]
    return LagProfile(anchors, context, max_lag, loss, layers, seq_len)


def gradient_norms(
    model: LanguageModel,
    ids: NDArray[Any],
    anchors: NDArray[np.int64],
    context: int,
    max_lag: int,
) -> tuple[dict[str, Floats], float]:
    """Return ‖∂ℓ/∂state‖ for every state, lag and anchor, and the mean of ℓ in nats.

    Returns
    -------
    norms, loss
        ``norms`` maps ``h_l0``, ``c_l0``, … to (max_lag + 1, anchors).
    """
    if not 0 <= max_lag < context:
        raise ValueError(f"a lag of {max_lag} does not fit into a context of {context}")
    steps = max_lag + 1
    parts: dict[str, list[Floats]] = {}
    losses: list[float] = []
    for start in range(0, len(anchors), CHUNK):
        some = anchors[start : start + CHUNK]
        window = model.window(steps, len(some))
        block = np.stack([ids[a - context : a + 1] for a in some.tolist()], axis=1)
        top = _read(model, window, block[:-1])
        loss, d_last = _last_loss(model, window, top[-1:], block[-1:])
        losses.append(loss * len(some))
        for name, rows in replay(model, window, d_last).items():
            parts.setdefault(name, []).append(rows)
    joined = {name: np.concatenate(rows, axis=1) for name, rows in parts.items()}
    return joined, sum(losses) / len(anchors)


def _read(model: LanguageModel, window: Window, block: NDArray[Any]) -> Array:
    """Read ``block`` (context, N) from zero states and return the output (steps, H, N).

    The window is left at its last steps, ready for the backward pass.
    """
    put, steps = model.backend.put, window.steps
    window.reset()
    first = len(block) - steps
    for start in range(0, first, steps):
        model.forward(window, put(np.ascontiguousarray(block[start : min(start + steps, first)])))
        window.carry()
    return model.forward(window, put(np.ascontiguousarray(block[first:])), backward=True)


def _last_loss(
    model: LanguageModel, window: Window, top: Array, targets: NDArray[Any]
) -> tuple[float, Array]:
    """Return the mean of ℓ over streams, and ∂ℓ/∂h (H, N), each stream's of its own ℓ."""
    backend, xp = model.backend, model.backend.xp
    unused = Parameters.zeros(model.head.shapes(), xp, top.dtype)
    d_top = xp.empty_like(top)
    loss = model.head.loss(model.weights, top, backend.put(targets), unused, d_top, window.buffers)
    return float(backend.get(loss)), d_top[0] * targets.shape[1]


def replay(model: LanguageModel, window: Window, d_last: Array) -> dict[str, Floats]:
    """Backpropagate ``d_last`` (H, N) from the last step of the window's forward pass.

    What :meth:`charrnn.model.stack.Stack.backward` does, without weight gradients, looking at the
    total gradient of every state on the way.

    Returns
    -------
    Norms over units by state (``h_l0``, …), (steps, N) on the host, row k at lag k.
    """
    backend, xp, stack = model.backend, model.backend.xp, model.stack
    cell, steps = stack.cell, window.used
    found: dict[str, Floats] = {}
    window.d_out[-1][:steps] = 0.0
    window.d_out[-1][steps - 1] = d_last
    for index in range(len(stack.layers) - 1, -1, -1):
        layer, ws, staged = stack.layers[index], window.layers[index], window.staged[index]
        d_out = window.d_out[index][:steps]
        gradients, before = ws.gradients, {}
        for array in gradients.values():
            array[...] = 0.0
        norms: dict[str, list[Array]] = {name: [] for name in cell.states}
        for t in range(steps - 1, -1, -1):
            dh, step = d_out[t], ws.steps[t]
            xp.add(dh, gradients[cell.states[0]], out=dh)
            gradients[cell.states[0]][...] = 0.0  # backward adds it too
            norms[cell.states[0]].append(column_norms(xp, dh))
            if len(cell.states) > 1:
                before = {name: gradients[name].copy() for name in cell.states[1:]}
                cell.complete(xp, staged.cell, step, dh, gradients, ws.scratch)
                for name, array in before.items():
                    norms[name].append(column_norms(xp, gradients[name]))
                    gradients[name][...] = array
            cell.backward(xp, staged.cell, step, dh, gradients, ws.scratch)
        for name, rows in norms.items():
            found[f"{name}_l{index}"] = backend.get(xp.stack(rows))
        if index:
            weight = model.weights[RNN + stack.name("weight_ih", index)]
            received = ws.work[:steps, cell.input_rows(layer.H)]
            xp.matmul(weight.T, received, out=window.d_out[index - 1][:steps])
    return found


def half_life(mean: Floats) -> float | None:
    """Return the first lag at which G ≤ 1/2, with ln G interpolated; None if there is none."""
    below = np.flatnonzero(~(mean > 0.5))
    if not below.size or not np.isfinite(mean[below[0]]) or below[0] == 0:
        return None
    k = int(below[0])
    high, low = float(mean[k - 1]), float(mean[k])
    if low <= FLOOR or high == low:
        return float(k)
    return k - 1 + (log(high) - log(0.5)) / (log(high) - log(low))


def fit(mean: Floats) -> tuple[float | None, float | None]:
    """Return slope and R² of ln G over lags 1 … max by least squares; None where G is 0."""
    lags = np.arange(len(mean))
    usable = np.isfinite(mean) & (mean > FLOOR) & (lags >= 1)
    if usable.sum() < 2:
        return None, None
    x, y = lags[usable].astype(np.float64), np.log(mean[usable])
    x, y = x - x.mean(), y - y.mean()
    slope = float(x @ y / (x @ x))
    total = float(y @ y)
    return slope, 1.0 - float(((y - slope * x) ** 2).sum()) / total if total > 0 else 1.0


def _or_lowest(value: float) -> float:
    """Return the value; -1 for NaN, which means that the gradient is zero at lag 0 already."""
    return -1.0 if np.isnan(value) else value
