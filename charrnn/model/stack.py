"""A stack of recurrent layers over a window, with dropout on the way up.

Usable on arrays of one's own::

    stack = Stack(ModelConfig(cell="gru", layers=2, hidden=8, dtype="float64"), inputs=3)
    weights = stack.initialise(seed=0)
    window = stack.workspace(steps=5, streams=2)
    top = stack.forward(weights, window, x)            # x (5, 3, 2) -> (5, 8, 2)
    grads = weights.like(numpy.zeros_like(weights.flat))
    dx = stack.backward(weights, window, d_top, grads) # ∂L/∂x; ∂L/∂weights in grads
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from charrnn import cells
from charrnn.backend import Array, Backend, numpy_backend
from charrnn.cells.base import Workspace
from charrnn.config import ModelConfig
from charrnn.model import dropout, initialise
from charrnn.model.layer import Layer, Staged
from charrnn.model.parameters import Parameters
from charrnn.randomness import Purpose, generator


class Carried(ABC):
    """States that are carried from window to window."""

    @abstractmethod
    def states(self) -> Iterator[tuple[str, Array]]:
        """Yield name (``h_l0``, ``c_l0``, …) and sequence of each state; index 0 is carried."""

    def reset(self) -> None:
        """Start from zero states."""
        for _, array in self.states():
            array[0] = 0.0

    def restart(self, kept: Array) -> None:
        """Start from zero states where ``kept`` (N,), of the states' type, is 0, not where it is 1.

        A state that is not finite stays so: it must be noticed, not hidden.
        """
        for _, array in self.states():
            array[0] *= kept


@dataclass
class Window(Carried):
    """Arrays of the whole stack for windows of at most ``steps`` steps of ``streams`` streams.

    Attributes
    ----------
    layers
        One workspace a layer.
    steps, streams
        The room there is.
    inputs
        What each layer read in the last forward pass, bottom first, and last what went out at the
        top.
    masks
        The dropout masks of the last forward pass, one a layer, or None.
    d_out
        For each layer ∂L/∂h_t (T, H, N): on the way down what arrives from above, after the layer's
        backward pass the total. Empty in a window without backward pass.
    room
        Flattened sequences, for products over all steps at once.
    used
        How many steps the last forward pass had.
    share
        Which streams these are, and of how many; None if they are all there is.
    drawn
        Where masks are drawn that a recorded pass reads.
    recorded
        Passes over this window, recorded (see :mod:`charrnn.backend.gpu.graphs`).
    """

    layers: list[Workspace]
    steps: int
    streams: int
    staged: list[Staged]
    inputs: list[Array]
    masks: list[Array | None]
    d_out: list[Array]
    room: dict[str, Array] = field(default_factory=dict)
    used: int = 0
    share: tuple[slice, int] | None = None
    drawn: list[Array] = field(default_factory=list)
    recorded: dict[Any, Any] = field(default_factory=dict)

    @property
    def d_top(self) -> Array:
        """Where ∂L/∂(top output) belongs before :meth:`Stack.backward`, (used, H, N)."""
        return self.d_out[-1][: self.used]

    def states(self) -> Iterator[tuple[str, Array]]:
        """Yield the name (``h_l0``, ``c_l0``, …) and the whole sequence (T + 1, H, N) of states."""
        for index, layer in enumerate(self.layers):
            for name, array in layer.states.items():
                yield f"{name}_l{index}", array

    def carry(self) -> None:
        """Start the next window from the states in which the last one ended."""
        for _, array in self.states():
            array[0] = array[self.used]

    def state_gradients(self) -> dict[str, Array]:
        """Return ∂L/∂(initial states), (H, N) each, as backward left them."""
        return {
            f"{name}_l{index}": array
            for index, layer in enumerate(self.layers)
            for name, array in layer.gradients.items()
        }


class Stack:
    """``config.layers`` layers of ``config.cell``; the first reads ``inputs`` features.

    Parameters are named as PyTorch's modules name theirs: ``weight_ih_l0`` (G·H, D),
    ``weight_hh_l0`` (G·H, H), ``bias_ih_l0`` (G·H,), and so on; a GRU that resets after the product
    also has ``bias_hh_l0``. The names of a GRU that resets before it carry ``before``, because
    PyTorch's module computes something else.
    """

    def __init__(self, config: ModelConfig, inputs: int, backend: Backend | None = None) -> None:
        self.config = config
        self.backend = backend or numpy_backend()
        self.cell = cells.create(config)
        self.layers = [
            Layer(self.cell, config.hidden if l else inputs, config.hidden, self.backend)
            for l in range(config.layers)
        ]

    def name(self, parameter: str, layer: int) -> str:
        """Return the full name of a layer's parameter."""
        return f"{parameter}{'' if self.cell.torch_names else '_before'}_l{layer}"

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return names and shapes of all parameters, bottom layer first."""
        return {
            self.name(parameter, index): shape
            for index, layer in enumerate(self.layers)
            for parameter, shape in layer.shapes().items()
        }

    def initialise(self, seed: int) -> Parameters:
        """Return fresh weights, the same for a seed on every backend."""
        host = Parameters.zeros(self.shapes(), np, np.float64)
        self.draw(host, seed)
        return Parameters(self.shapes(), self.backend.put(host.flat, self.config.dtype))

    def draw(self, host: Parameters, seed: int, prefix: str = "") -> None:
        """Fill host parameters with initial weights; ``prefix`` stands before their names."""
        for index, layer in enumerate(self.layers):
            weights = {p: host[prefix + self.name(p, index)] for p in layer.shapes()}
            rng = generator(seed, Purpose.INIT, layer=index)
            initialise.recurrent(weights, self.config.init, rng)
            self.cell.initial_bias(self.config.hidden, weights["bias_ih"])

    def workspace(self, steps: int, streams: int, backward: bool = True) -> Window:
        """Allocate a window of at most ``steps`` steps of ``streams`` streams, zero states."""
        dtype = np.dtype(self.config.dtype)
        shape = (steps, self.config.hidden, streams)
        self.backend.schedule.prepare(len(self.layers))
        return Window(
            layers=[layer.workspace(dtype, steps, streams) for layer in self.layers],
            steps=steps,
            streams=streams,
            staged=[],
            inputs=[],
            masks=[],
            d_out=[self.backend.xp.empty(shape, dtype) for _ in self.layers if backward],
        )

    def forward(
        self,
        weights: Parameters,
        window: Window,
        x: Array,
        *,
        prefix: str = "",
        backward: bool = True,
        dropout_key: tuple[int, int] | None = None,
        masks: Sequence[Array] | None = None,
    ) -> Array:
        """Run the stack over x from the window's initial states.

        Parameters
        ----------
        x
            Dense (T, D, N), or symbols (T, N) that stand for one-hot vectors.
        prefix
            What stands before the names in ``weights``.
        backward
            Whether :meth:`backward` will follow (the weights are then prepared for it too).
        dropout_key
            (seed, step) to drop out by, or None for no dropout.
        masks
            Masks that :meth:`draw_masks` has drawn, in the place of a key.

        Returns
        -------
        The top layer's output (T, H, N) after its dropout; a view that the next call overwrites.
        """
        steps = x.shape[0]
        window.used = steps
        window.staged, window.inputs, window.masks = [], [x], []
        count = len(self.layers)
        for index, layer in enumerate(self.layers):
            mine, ws = self._of_layer(weights, index, prefix), window.layers[index]
            dense = index > 0 or x.ndim == 3
            window.staged.append(layer.stage(mine, ws if backward else None, dense=dense))
        for index, part in self.backend.schedule.forward(count, steps):
            self._advance(window, index, part, dropout_key, masks)
        return window.inputs[count]

    def _advance(
        self,
        window: Window,
        index: int,
        part: slice,
        dropout_key: tuple[int, int] | None,
        masks: Sequence[Array] | None,
    ) -> None:
        """Run a layer over some steps."""
        xp, ws = self.backend.xp, window.layers[index]
        staged, x = window.staged[index], window.inputs[index]
        self.layers[index].forward(staged, ws, x, part.stop, part.start)
        out = ws.states[self.cell.states[0]][1 : window.used + 1]
        if not part.start:
            mask = None if masks is None else masks[index]
            if dropout_key is not None and self.config.dropout:
                mask = self._mask(window, out, (*dropout_key, index))
            window.masks.append(mask)
            window.inputs.append(out if mask is None else xp.empty_like(out))
        mask = window.masks[index]
        if mask is not None:
            xp.multiply(out[part], mask[part], out=window.inputs[index + 1][part])

    def backward(
        self,
        weights: Parameters,
        window: Window,
        d_top: Array,
        grads: Parameters,
        *,
        prefix: str = "",
        dx: bool = True,
    ) -> Array | None:
        """Backpropagate ``d_top`` (T, H, N) through the last forward pass.

        Weight gradients are written to ``grads`` (not added), those of the initial states are left
        in ``window.state_gradients()`` and every layer's total ∂L/∂h_t in ``window.d_out``.

        Returns
        -------
        ∂L/∂x (T, D, N), or None if ``dx`` is false.
        """
        xp, steps = self.backend.xp, window.used
        window.d_top[...] = d_top
        below: list[Array | None] = [None, *(d_out[:steps] for d_out in window.d_out[:-1])]
        if dx:
            below[0] = xp.empty((steps, self.layers[0].D, window.streams), d_top.dtype)
        for index, part in self.backend.schedule.backward(len(self.layers), steps):
            if part is None:
                mine = self._of_layer(grads, index, prefix)
                self._accumulate(window, index, mine, below[index])
            else:
                self._retreat(window, index, part, below[index])
        return below[0]

    def _retreat(self, window: Window, index: int, part: slice, below: Array | None) -> None:
        """Undo some steps of a layer."""
        xp, layer, ws = self.backend.xp, self.layers[index], window.layers[index]
        d_out, mask, staged = window.d_out[index], window.masks[index], window.staged[index]
        if mask is not None:
            xp.multiply(d_out[part], mask[part], out=d_out[part])
        if part.stop == window.used:
            for array in ws.gradients.values():
                array[...] = 0.0
        layer.backward(staged, ws, d_out, part.stop, part.start)
        if below is not None and self.backend.schedule.parallel:
            layer.pass_down(staged, ws, below, part)

    def _accumulate(
        self, window: Window, index: int, grads: dict[str, Array], below: Array | None
    ) -> None:
        """Write a layer's weight gradients; and what it passes down, where that is one product."""
        layer, ws, x = self.layers[index], window.layers[index], window.inputs[index]
        apart = self.backend.schedule.parallel
        room, dx = (ws.room, None) if apart else (window.room, below)
        layer.accumulate(window.staged[index], ws, x, window.used, grads, room, dx)

    def draw_masks(
        self, window: Window, steps: int, dropout_key: tuple[int, int] | None
    ) -> list[Array] | None:
        """Return all masks of a pass of ``steps`` steps, always in the same memory of the window.

        None without dropout.
        """
        if dropout_key is None or not self.config.dropout:
            return None
        dtype, shape = np.dtype(self.config.dtype), (window.steps, self.config.hidden)
        if not window.drawn:
            whole = (*shape, window.streams)
            window.drawn = [self.backend.xp.empty(whole, dtype) for _ in self.layers]
        masks = [whole[:steps] for whole in window.drawn]
        for index, mask in enumerate(masks):
            key = (*dropout_key, index)
            dropout.mask(self.backend, mask.shape, self.config.dropout, dtype, key, mask)
        return masks

    def _mask(self, window: Window, x: Array, key: tuple[int, int, int]) -> Array:
        """Return the dropout mask of x; a share of the streams has its share of the whole mask."""
        steps, H, N = x.shape
        part, streams = window.share or (slice(None), N)
        shape = (steps, H, streams)
        mask = dropout.mask(self.backend, shape, self.config.dropout, x.dtype, key)
        return self.backend.xp.ascontiguousarray(mask[:, :, part])

    def _of_layer(self, weights: Parameters, index: int, prefix: str) -> dict[str, Array]:
        return {p: weights[prefix + self.name(p, index)] for p in self.layers[index].shapes()}
