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

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from charrnn import cells
from charrnn.backend import Array, Backend, numpy_backend
from charrnn.cells._base import Workspace
from charrnn.config import ModelConfig
from charrnn.model import dropout, initialise
from charrnn.model.layer import Layer, Staged
from charrnn.model.parameters import Parameters
from charrnn.randomness import Purpose, generator


@dataclass
class Window:
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

    @property
    def d_top(self) -> Array:
        """Where ∂L/∂(top output) belongs before :meth:`Stack.backward`, (used, H, N)."""
        return self.d_out[-1][: self.used]

    def states(self) -> Iterator[tuple[str, Array]]:
        """Yield the name (``h_l0``, ``c_l0``, …) and the whole sequence (T + 1, H, N) of states."""
        for index, layer in enumerate(self.layers):
            for name, array in layer.states.items():
                yield f"{name}_l{index}", array

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

        Returns
        -------
        The top layer's output (T, H, N) after its dropout; a view that the next call overwrites.
        """
        steps = x.shape[0]
        window.used = steps
        window.staged, window.inputs, window.masks = [], [x], []
        for index, (layer, ws) in enumerate(zip(self.layers, window.layers, strict=True)):
            mine = self._of_layer(weights, index, prefix)
            staged = layer.stage(mine, ws if backward else None, dense=x.ndim == 3)
            x = layer.forward(staged, ws, x, steps)
            mask = None
            if dropout_key is not None and self.config.dropout:
                key = (*dropout_key, index)
                mask = dropout.mask(self.backend, x.shape, self.config.dropout, x.dtype, key)
                x = x * mask
            window.staged.append(staged)
            window.inputs.append(x)
            window.masks.append(mask)
        return x

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
        below: Array | None = None
        for index in range(len(self.layers) - 1, -1, -1):
            layer, ws, mask = self.layers[index], window.layers[index], window.masks[index]
            d_out = window.d_out[index][:steps]
            if mask is not None:
                xp.multiply(d_out, mask, out=d_out)
            for array in ws.gradients.values():
                array[...] = 0.0
            if index:
                below = window.d_out[index - 1][:steps]
            else:
                below = xp.empty((steps, layer.D, window.streams), d_out.dtype) if dx else None
            layer.backward(window.staged[index], ws, d_out, steps, below)
            layer.accumulate(
                ws,
                window.inputs[index],
                steps,
                self._of_layer(grads, index, prefix),
                window.room,
            )
        return below

    def _of_layer(self, weights: Parameters, index: int, prefix: str) -> dict[str, Array]:
        return {p: weights[prefix + self.name(p, index)] for p in self.layers[index].shapes()}
