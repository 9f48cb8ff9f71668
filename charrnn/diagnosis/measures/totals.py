"""The total gradient of every state at every step: the backward pass of a stack, step by step.

∂ℓ/∂h_t and, for the LSTM, ∂ℓ/∂c_t are total derivatives: along every path by which the state of
that layer and step reaches the loss, through time and through the layers above. Of c_t that
includes the path through h_t = o ⊙ tanh(c_t) of the same step. PyTorch leaves the same gradients in
``h_t.grad`` and ``c_t.grad`` of retained tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.backend import Array
from charrnn.diagnosis.measures.values import Floats
from charrnn.model.layer import Reading
from charrnn.model.stack import Stack
from charrnn.model.window import Window


def total_norms(
    stack: Stack, window: Window, d_top: Array, d_final: Mapping[str, Array] | None = None
) -> dict[str, Floats]:
    """Backpropagate through the window's last forward pass, and measure every state's gradient.

    The layers go back one step at a time, so that each total gradient is seen on the way. The
    gradients of the initial states are left in ``window.state_gradients``, those of the weights are
    not computed. The pass must have been made with ``backward=True``, and no backward pass may have
    followed it.

    Parameters
    ----------
    d_top
        ∂ℓ/∂(top output), (T, F, N).
    d_final
        ∂ℓ/∂(states after the last step), (H, N) each by full name; by default 0.

    Returns
    -------
    Norms over hidden units by state (``h_l0``, ``c_l0``, ``h_l0_reverse``, …), (T, N) on the host,
    the steps in the order in which the layer reads.
    """
    backend, steps = stack.backend, window.used
    window.d_top[...] = d_top
    for name, gradient in window.state_gradients.items():
        gradient[...] = 0.0 if d_final is None else d_final[name]
    norms: dict[str, Floats] = {}
    for index in range(len(stack.layers) - 1, -1, -1):
        layer, ws, staged = stack.layers[index], window.layers[index], window.staged[index]
        for reading in layer.readings(staged, ws, window.d_out[index][:steps]):
            for name, rows in _back(reading, window).items():
                full = layer.full_name(name + reading.suffix, index)
                norms[full] = backend.get(backend.xp.stack(rows))
        if index:
            layer.pass_down(staged, ws, window.d_out[index - 1][:steps], slice(0, steps))
    return norms


def _back(reading: Reading, window: Window) -> dict[str, list[Array]]:
    """Let one direction go back through all its steps; return the norms (N,) by state and step."""
    _, layer, staged, ws, d_out = reading
    rows: dict[str, list[Array]] = {name: [] for name in layer.cell.states}
    for t in range(window.used - 1, -1, -1):
        for name, total in _totals(reading, t).items():
            rows[name].append(column_norms(layer.xp, total))
        layer.backward(staged, ws, d_out, None, slice(t, t + 1), window.resets)
    return {name: list(reversed(found)) for name, found in rows.items()}


def _totals(reading: Reading, t: int) -> dict[str, Array]:
    """Return the total ∂ℓ/∂state (H, N) of every state of step t, before its backward step."""
    _, layer, staged, ws, d_out = reading
    xp, (output, *others) = layer.xp, layer.cell.states
    d_output = d_out[t] + ws.gradients[output]
    totals = {name: ws.gradients[name].copy() for name in others}
    if totals:
        layer.cell.add_output_path(xp, staged.cell, ws.steps[t], d_output, totals, ws.scratch)
    return {output: d_output, **totals}


def by_lag(rows: Floats, ends: NDArray[np.int64], max_lag: int) -> Floats:
    """Return rows (T, N) by their distance from an end, (max_lag + 1, N).

    ``ends`` (N,) are the steps after which the distance of the streams counts, from 0.
    """
    steps = ends[None] - np.arange(max_lag + 1)[:, None]
    found: Floats = np.take_along_axis(rows, steps, axis=0)
    return found


def column_norms(xp: Any, array: Array) -> Array:
    """Return the Euclidean norm of every column of ``array`` (F, N), (N,).

    Scaled by the largest element, so that squares of very small gradients do not underflow.
    """
    size = xp.abs(array)
    scale = xp.maximum(size.max(axis=0), np.finfo(np.dtype(array.dtype)).tiny)
    xp.divide(size, scale, out=size)
    return scale * xp.sqrt(xp.multiply(size, size).sum(axis=0))
