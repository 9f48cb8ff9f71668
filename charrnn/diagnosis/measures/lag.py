"""The lag profile: how a single-step loss depends on the states before it.

In a language model every step adds a separate loss, so the accumulated ∂L/∂h_t of
backpropagation through time never looks vanished. Here there is one loss. For an anchor a, a
position in the text, the model reads the ``context`` symbols before it from a zero state, and

    ℓ = -ln p(text[a] | text[a - context … a - 1])   in nats.

Lag 0 is the state that has just read text[a - 1], lag k the one k steps earlier, and

    G(k) = mean over anchors of ‖∂ℓ/∂h at lag k‖  ÷  the same mean at lag 0.

∂ℓ/∂h and, for the LSTM, ∂ℓ/∂c are total derivatives (:mod:`charrnn.diagnosis.measures.totals`).
Norms are Euclidean over the hidden units; everything is in float64.

Exponential decay or growth of gradients with the lag: Hochreiter 1991; Bengio, Simard and
Frasconi 1994; Pascanu, Mikolov and Bengio 2013 (arXiv 1211.5063).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.backend import Array
from charrnn.diagnosis.measures.curves import Curve, LagProfile, LayerLag
from charrnn.diagnosis.measures.totals import total_norms
from charrnn.diagnosis.measures.values import Floats
from charrnn.errors import CorpusError, setting
from charrnn.model.language import LanguageModel
from charrnn.model.parameters import Parameters
from charrnn.model.window import Window
from charrnn.randomness import Purpose, generator

CHUNK = 64
"""Anchors that are computed side by side."""


def choose_anchors(length: int, count: int, context: int, seed: int) -> NDArray[np.int64]:
    """Return at most ``count`` different positions a with ``context`` ≤ a < ``length``, ascending.

    Raises
    ------
    CorpusError
        If the text is not longer than ``context``.
    """
    if length <= context:
        raise CorpusError(
            f"the text has {length:,} symbols, a context of {context} needs {context + 1:,}",
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
        In float64 (:func:`charrnn.diagnosis.measures.values.in_float64`).
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
        chunk = anchors[start : start + CHUNK]
        window = model.window(steps, len(chunk))
        block = np.stack([ids[a - context : a + 1] for a in chunk.tolist()], axis=1)
        top = _read(model, window, block[:-1])
        loss, d_last = _last_loss(model, window, top[-1:], block[-1:])
        losses.append(loss * len(chunk))
        d_top = model.backend.xp.zeros_like(window.d_top)
        d_top[-1] = d_last
        for name, rows in total_norms(model.stack, window, d_top).items():
            parts.setdefault(name, []).append(rows[::-1])  # lag 0 is the last step
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
    """Return the mean of ℓ over streams, and for each stream the gradient of its ℓ, (H, N)."""
    backend, xp = model.backend, model.backend.xp
    unused = Parameters.zeros(model.head.shapes(), xp, top.dtype)
    d_top = xp.empty_like(top)
    loss = model.head.loss(model.weights, top, backend.put(targets), unused, d_top, window.buffers)
    return float(backend.get(loss)), d_top[0] * targets.shape[1]
