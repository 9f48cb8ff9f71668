"""A stack of recurrent layers over a window, with dropout on the way up.

It can be used on any arrays::

    stack = Stack(ModelConfig(cell="gru", layers=2, hidden=8, dtype="float64"), inputs=3)
    weights = stack.initialise(seed=0)
    window = stack.workspace(steps=5, streams=2)
    top = stack.forward(weights, window, x)            # x (5, 3, 2) -> (5, 8, 2)
    grads = weights.like(numpy.zeros_like(weights.flat))
    dx = stack.backward(window, d_top, grads)          # ∂L/∂x; ∂L/∂weights in grads
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from operator import setitem

import numpy as np

from charrnn import cells
from charrnn.backend import Array, Backend, numpy_backend
from charrnn.backend.order import LayerByLayer, LayerOrder
from charrnn.config import ModelConfig
from charrnn.display import brief
from charrnn.errors import UsageError
from charrnn.model import compiled
from charrnn.model.dropout import Masks
from charrnn.model.layer import Layer, Staged
from charrnn.model.parameters import Parameters
from charrnn.model.sequences.bidirectional import Bidirectional
from charrnn.model.window import Window
from charrnn.options import Option
from charrnn.randomness import Purpose, generator

_SIZE = Option(1, "", least=1)
_SEED = Option(0, "")


class Stack:
    """``config.layers`` layers of ``config.cell``; the first reads ``inputs`` features.

    With ``config.bidirectional`` each layer reads in both directions
    (:mod:`charrnn.model.sequences.bidirectional`).

    Parameters are named as PyTorch's modules name theirs: ``weight_ih_l0`` (G·H, D),
    ``weight_hh_l0`` (G·H, H), ``bias_ih_l0`` (G·H,), and so on; a GRU that resets after the product
    also has ``bias_hh_l0``. If PyTorch's module of the same name computes something else, as for a
    GRU that resets before the product, the names get the cell's suffix.

    Parameters
    ----------
    config
        The architecture.
    inputs
        D of the lowest layer.
    backend
        Where to compute; NumPy by default.
    layers
        Other layers than those that ``config`` describes, bottom first. Each reads as many features
        as the one below it outputs.
    """

    def __init__(
        self,
        config: ModelConfig,
        inputs: int,
        backend: Backend | None = None,
        layers: Sequence[Layer] | None = None,
    ) -> None:
        _require("config", config, ModelConfig)
        if backend is not None:
            _require("backend", backend, Backend)
        self.config = config
        self.backend = backend or numpy_backend()
        self.inputs = _SIZE.check("inputs", inputs)
        if layers is None:
            layers = layers_of(config, inputs, self.backend)
        _require("layers", layers, Sequence)
        self.layers = list(layers)
        if not self.layers:
            raise UsageError("layers must hold at least one Layer")
        for layer in self.layers:
            _require("a layer", layer, Layer)
        self.cell = self.layers[0].cell
        self._names = [
            [(name, layer.full_name(name, index)) for name in layer.shapes]
            for index, layer in enumerate(self.layers)
        ]
        looks_ahead = any(layer.looks_ahead for layer in self.layers)
        self._order: LayerOrder = LayerByLayer() if looks_ahead else self.backend.order

    def __repr__(self) -> str:
        cell, layers, hidden = self.config.cell, len(self.layers), self.config.hidden
        return f"Stack(cell={cell!r}, layers={layers}, inputs={self.inputs}, hidden={hidden})"

    def name(self, parameter: str, layer: int) -> str:
        """Return the full name of a layer's parameter."""
        return self.layers[layer].full_name(parameter, layer)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return names and shapes of all parameters, bottom layer first."""
        return {
            layer.full_name(parameter, index): shape
            for index, layer in enumerate(self.layers)
            for parameter, shape in layer.shapes.items()
        }

    def of_layer(self, weights: Mapping[str, Array], index: int, prefix: str) -> dict[str, Array]:
        """Return a layer's parameters by their names in the layer."""
        return {name: weights[prefix + full] for name, full in self._names[index]}

    def input_weights(self) -> list[str]:
        """Return the full names of the matrices that are multiplied with the input of the stack."""
        names = (name for name in self.layers[0].shapes if name.startswith("weight_ih"))
        return [self.layers[0].full_name(name, 0) for name in names]

    def initialise(self, seed: int) -> Parameters:
        """Return fresh weights, the same for a seed on every backend."""
        seed = _SEED.check("seed", seed)
        host = Parameters.zeros(self.shapes(), np, np.float64)
        self.draw(host, seed)
        return Parameters(self.shapes(), self.backend.put(host.flat, self.config.dtype))

    def draw(self, host: Parameters, seed: int, prefix: str = "", first: int = 0) -> None:
        """Fill host parameters with initial weights; ``prefix`` precedes their names.

        Random numbers are those of the layers from ``first`` on.
        """
        for index, layer in enumerate(self.layers):
            weights = self.of_layer(host, index, prefix)
            rng = generator(seed, Purpose.INIT, layer=first + index)
            layer.draw(weights, self.config.init, rng)

    def workspace(self, steps: int, streams: int, backward: bool = True) -> Window:
        """Allocate a window of at most ``steps`` steps of ``streams`` streams, zero states."""
        dtype = np.dtype(self.config.dtype)
        steps, streams = _SIZE.check("steps", steps), _SIZE.check("streams", streams)
        self._order.prepare(len(self.layers))
        spaces = [layer.workspace(dtype, steps, streams) for layer in self.layers]
        named = [
            (layer, ws, name, layer.full_name(name, index))
            for index, (layer, ws) in enumerate(zip(self.layers, spaces, strict=True))
            for name in ws.states
        ]
        window = Window(
            layers=spaces,
            steps=steps,
            streams=streams,
            sequences={full: ws.states[name] for _, ws, name, full in named},
            carried=frozenset(full for layer, _, name, full in named if name in layer.carried),
            state_gradients={full: ws.gradients[name] for _, ws, name, full in named},
            d_out=[l.sequence(dtype, steps, l.width, streams) for l in self.layers if backward],
            buffers={},
        )
        if not self.backend.order.parallel:
            for ws in spaces:
                ws.buffers = window.buffers
        return window

    def masks(self, steps: int, streams: int, top_steps: int | None = None) -> Masks:
        """Allocate the dropout masks of a window.

        That of the top layer has ``top_steps`` steps; by default it has as many as the others.
        """
        rate, dtype = self.config.dropout, np.dtype(self.config.dtype)
        layers = self.layers if rate else []
        sizes = [*[steps] * (len(layers) - 1), top_steps or steps]
        each = zip(layers, sizes, strict=False)
        arrays = [layer.sequence(dtype, T, layer.width, streams) for layer, T in each]
        return Masks(self.backend, rate, arrays)

    def stage(
        self,
        weights: Mapping[str, Array],
        window: Window,
        prefix: str,
        *,
        dense: bool,
        backward: bool,
    ) -> list[Staged]:
        """Return each layer's weights as a pass over the window uses them.

        ``dense`` says that the bottom layer's inputs are not symbols.
        """
        return [
            layer.stage(
                self.of_layer(weights, index, prefix),
                window.layers[index] if backward else None,
                dense=index > 0 or dense,
            )
            for index, layer in enumerate(self.layers)
        ]

    def forward(
        self,
        weights: Parameters,
        window: Window,
        x: Array,
        *,
        prefix: str = "",
        backward: bool = True,
        masks: Sequence[Array] | None = None,
    ) -> Array:
        """Run the stack over x from the window's initial states.

        Parameters
        ----------
        x
            Dense (T, D, N), or symbols (T, N) that stand for one-hot vectors.
        prefix
            Prefix of the names in ``weights``.
        backward
            Whether :meth:`backward` will follow (the weights are then prepared for it too).
        masks
            Factors of each layer's output on the way up, (T, H, N) each; layers above the last of
            them have none.

        Returns
        -------
        The top layer's output (T, H, N) after its dropout; a view that the next call overwrites.

        Raises
        ------
        UsageError
            If x does not fit the window.
        """
        self._check_input(weights, window, x, prefix)
        xp, steps, count = self.backend.xp, len(x), len(self.layers)
        window.used, window.masks = steps, masks or ()
        for ws in window.layers:
            ws.padding = window.padding
        outputs = [l.output(ws, steps) for l, ws in zip(self.layers, window.layers, strict=True)]
        masked = len(window.masks)
        dropped = [xp.empty_like(out) for out in outputs[:masked]] + outputs[masked:]
        window.inputs = [x, *dropped]
        window.staged = self.stage(weights, window, prefix, dense=x.ndim == 3, backward=backward)
        for index, part in self._order.forward(count, steps):
            layer, ws = self.layers[index], window.layers[index]
            layer.forward(window.staged[index], ws, window.inputs[index], part, window.resets)
            if index < masked:
                out, kept = outputs[index][part], window.masks[index][part]
                self.backend.do(xp.multiply, out, kept, out=dropped[index][part])
        return window.inputs[count]

    def backward(
        self,
        window: Window,
        d_top: Array,
        grads: Parameters,
        *,
        prefix: str = "",
        dx: bool = True,
        d_final: Mapping[str, Array] | None = None,
    ) -> Array | None:
        """Backpropagate ``d_top`` (T, H, N) through the last forward pass.

        Weight gradients are written to ``grads`` (not added), those of the initial states are left
        in ``window.state_gradients``.

        Parameters
        ----------
        d_final
            ∂L/∂(states after the last step), (H, N) each by full name; by default nothing arrives
            from there.

        Returns
        -------
        ∂L/∂x (T, D, N), or None if ``dx`` is false.

        Raises
        ------
        UsageError
            If ``d_top`` does not fit the last forward pass.
        """
        _require("window", window, Window)
        self._check_names("grads", grads, prefix)
        fits = (window.used, self.layers[-1].width, window.streams)
        if getattr(d_top, "shape", None) != fits:
            raise UsageError(f"d_top must be {fits}, not {_form(d_top)}", "call forward first")
        xp, steps, count = self.backend.xp, window.used, len(self.layers)
        window.d_top[...] = d_top
        d_outs = [d_out[:steps] for d_out in window.d_out]
        bottom = None
        if dx:
            bottom = self.layers[0].sequence(d_top.dtype, steps, self.layers[0].D, window.streams)
        below = [bottom, *d_outs]
        for name, array in window.state_gradients.items():
            self.backend.do(setitem, array, ..., 0.0 if d_final is None else d_final[name])
        for index, part in self._order.backward(count, steps):
            layer, d_out = self.layers[index], d_outs[index]
            staged, ws = window.staged[index], window.layers[index]
            if part is None:
                own, x = self.of_layer(grads, index, prefix), window.inputs[index]
                layer.accumulate(staged, ws, x, steps, own, below[index])
                continue
            if index < len(window.masks):
                kept = window.masks[index][part]
                self.backend.do(xp.multiply, d_out[part], kept, out=d_out[part])
            layer.backward(staged, ws, d_out, below[index], part, window.resets)
        return bottom

    def _check_input(
        self, weights: Mapping[str, Array], window: Window, x: Array, prefix: str
    ) -> None:
        """Raise :class:`UsageError` if x is neither dense nor symbols for the window."""
        _require("window", window, Window)
        self._check_names("weights", weights, prefix)
        shape: tuple[int, ...] = getattr(x, "shape", ())
        dense = len(shape) == 3
        fits = shape[1:] == ((self.inputs, window.streams) if dense else (window.streams,))
        kinds = "f" if dense else "iu"
        if not (fits and 0 < shape[0] <= window.steps and x.dtype.kind in kinds):
            T, D, N = window.steps, self.inputs, window.streams
            raise UsageError(
                f"x must be numbers ({T}, {D}, {N}) or symbols ({T}, {N}), or fewer steps, "
                f"not {_form(x)}"
            )

    def _check_names(self, what: str, named: Mapping[str, Array], prefix: str) -> None:
        """Raise :class:`UsageError` if arrays lack a parameter."""
        _require(what, named, Mapping)
        for names in self._names:
            for _, full in names:
                if prefix + full not in named:
                    raise UsageError(f"{what} have no {prefix}{full}", "initialise makes them")


def layers_of(config: ModelConfig, inputs: int, backend: Backend) -> list[Layer]:
    """Return the layers that a configuration describes, bottom first."""
    cell, H = cells.create(config), config.hidden
    create = partial(compiled.layer, cell, hidden=H, backend=backend, dtype=config.dtype)
    if not config.bidirectional:
        return [create(inputs=H if above else inputs) for above in range(config.layers)]
    widths = [2 * H if above else inputs for above in range(config.layers)]
    return [Bidirectional(create(inputs=D), create(inputs=D), backend) for D in widths]


def _require(what: str, value: object, kind: type) -> None:
    """Raise :class:`UsageError` if a value is of another type."""
    if not isinstance(value, kind):
        name = kind.__name__
        raise UsageError(f"{what} must be a {name}, not {brief(value)}")


def _form(array: object) -> str:
    """Return shape and type of an array for a message."""
    if not hasattr(array, "shape") or not hasattr(array, "dtype"):
        return brief(array)
    return f"{array.dtype} {array.shape}"
