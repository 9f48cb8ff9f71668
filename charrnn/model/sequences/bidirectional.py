"""A layer in both directions (Schuster and Paliwal 1997, IEEE Trans. Signal Processing 45).

One layer reads the sequence forwards, a second one backwards, each with its own weights. The output
at step t is both hidden states, one upon the other:

    h⃗[t] = cell(x[t], h⃗[t-1]),   h⃖[t] = cell(x[t], h⃖[t+1]),   y[t] = (h⃗[t], h⃖[t])

so that it depends on the whole sequence, and the layer above reads 2H features. Names and layout
are PyTorch's: the parameters of the second layer end in ``_reverse``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from charrnn.backend import Array, Backend
from charrnn.cells.base import Workspace
from charrnn.model.layer import Layer, Reading
from charrnn.model.resets import Resets
from charrnn.model.sequences.padding import Padding

BACK = "_reverse"


@dataclass
class BothWays(Workspace):
    """The arrays of both layers; ``states`` and ``gradients`` are those of both.

    Attributes
    ----------
    ahead, back
        The workspace of each layer.
    output
        y, (T, 2H, N).
    d_ahead, d_back
        ∂L/∂h of each layer, (T, H, N), in the order in which it reads.
    inputs
        The input of the second layer in the last forward pass.
    """

    ahead: Workspace = field(kw_only=True)
    back: Workspace = field(kw_only=True)
    output: Array = field(kw_only=True)
    d_ahead: Array = field(kw_only=True)
    d_back: Array = field(kw_only=True)
    inputs: Array = None


class Bidirectional(Layer):
    """Two layers of H units each, reading D inputs in opposite directions.

    It reads whole sequences: no state is carried from one window to the next, and no stream starts
    anew inside of one.

    Parameters
    ----------
    ahead, back
        Two layers of the same form that read forwards; the second one gets its input reversed.
    """

    def __init__(self, ahead: Layer, back: Layer, backend: Backend) -> None:
        super().__init__(ahead.cell, ahead.D, ahead.H, backend)
        self._ahead, self._back, self._backend = ahead, back, backend
        self.width = 2 * ahead.H
        self.carried = ()
        self.looks_ahead = True
        self.compiled = ahead.compiled

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The parameters of both layers by their names here, and their shapes."""
        back = {name + BACK: shape for name, shape in self._back.shapes.items()}
        return {**self._ahead.shapes, **back}

    def full_name(self, name: str, index: int) -> str:
        """Return the name of a parameter or state in a stack where this is layer ``index``."""
        back = name.endswith(BACK)
        return self._ahead.full_name(name.removesuffix(BACK), index) + (BACK if back else "")

    def draw(
        self, weights: Mapping[str, np.ndarray], scheme: str, rng: np.random.Generator
    ) -> None:
        """Fill the host parameters of both layers with initial weights."""
        ahead, back = _both(weights)
        self._ahead.draw(ahead, scheme, rng)
        self._back.draw(back, scheme, rng)

    def workspace(self, dtype: Any, T: int, N: int) -> BothWays:
        """Allocate the arrays for sequences of at most T steps of N streams."""
        ahead, back = self._ahead.workspace(dtype, T, N), self._back.workspace(dtype, T, N)
        of_back = (
            {name + BACK: a for name, a in each.items()} for each in (back.states, back.gradients)
        )
        states, gradients = of_back
        return BothWays(
            work=ahead.work,
            states=ahead.states | states,
            saved={},
            gradients=ahead.gradients | gradients,
            ahead=ahead,
            back=back,
            output=self.sequence(dtype, T, self.width, N),
            d_ahead=self.sequence(dtype, T, self.H, N),
            d_back=self.sequence(dtype, T, self.H, N),
        )

    def sequence(self, dtype: Any, T: int, F: int, N: int) -> Array:
        """Allocate a sequence (T, F, N) in the layout in which the layers compute."""
        return self._ahead.sequence(dtype, T, F, N)

    def stage(self, weights: Mapping[str, Array], ws: Any, dense: bool = False) -> Any:
        """Prepare the weights of both layers for one window."""
        ahead, back = _both(weights)
        spaces = (None, None) if ws is None else (ws.ahead, ws.back)
        return (
            self._ahead.stage(ahead, spaces[0], dense),
            self._back.stage(back, spaces[1], dense),
        )

    def output(self, ws: Any, steps: int) -> Array:
        """Return the view (steps, 2H, N) to which forward writes both hidden states."""
        return ws.output[:steps]

    def forward(
        self, staged: Any, ws: Any, x: Array, part: slice, resets: Resets | None = None
    ) -> None:
        """Read the whole sequence x in both directions, from the states in ``ws``."""
        padding, steps, H = self._padding(ws, x), len(x), self.H
        ws.inputs = padding.reversed(x, self._room(ws, "inputs", x))
        self._ahead.forward(staged[0], ws.ahead, x, part, resets)
        self._back.forward(staged[1], ws.back, ws.inputs, part, resets)
        ws.output[:steps, :H] = self._ahead.output(ws.ahead, steps)
        padding.reversed(self._back.output(ws.back, steps), ws.output[:steps, H:])

    def backward(
        self,
        staged: Any,
        ws: Any,
        d_out: Array,
        dx: Array | None,
        part: slice,
        resets: Resets | None = None,
    ) -> None:
        """Backpropagate from ``d_out`` (T, 2H, N) to the pre-activations of both layers."""
        d_ahead, d_back = (each.d_out for each in self.readings(staged, ws, d_out))
        self._ahead.backward(staged[0], ws.ahead, d_ahead, dx, part, resets)
        self._back.backward(staged[1], ws.back, d_back, self._room(ws, "dx", dx), part, resets)

    def readings(self, staged: Any, ws: Any, d_out: Array = None) -> list[Reading]:
        """Return how both layers read, each with its own half of ∂L/∂output (T, 2H, N)."""
        d_ahead = d_back = None
        if d_out is not None:
            padding, steps, H = self._padding(ws, d_out), len(d_out), self.H
            d_ahead, d_back = ws.d_ahead[:steps], ws.d_back[:steps]
            d_ahead[...] = d_out[:, :H]
            padding.reversed(d_out[:, H:], d_back)
        return [
            Reading("", self._ahead, staged[0], ws.ahead, d_ahead),
            Reading(BACK, self._back, staged[1], ws.back, d_back),
        ]

    def pass_down(self, staged: Any, ws: Any, dx: Array, part: slice) -> None:
        """Write ∂L/∂x of the whole sequence: the sum of both layers'."""
        back = self._room(ws, "dx", dx)
        assert back is not None
        self._ahead.pass_down(staged[0], ws.ahead, dx, part)
        self._back.pass_down(staged[1], ws.back, back, part)
        self._padding(ws, dx).add_reversed(back, dx)

    def accumulate(
        self,
        staged: Any,
        ws: Any,
        x: Array,
        steps: int,
        grads: Mapping[str, Array],
        dx: Array | None,
    ) -> None:
        """Write the weight gradients of both layers, and to ``dx`` the sum of their ∂L/∂x."""
        ahead, back = _both(grads)
        dx_back = self._room(ws, "dx", dx)
        self._ahead.accumulate(staged[0], ws.ahead, x, steps, ahead, dx)
        self._back.accumulate(staged[1], ws.back, ws.inputs, steps, back, dx_back)
        if dx is not None:
            self._padding(ws, x).add_reversed(dx_back, dx)

    def _padding(self, ws: BothWays, x: Array) -> Padding:
        """Return where the streams of x end; without other knowledge, all at its last step."""
        steps, streams = len(x), x.shape[-1]
        return ws.padding or Padding(np.full(streams, steps), steps, self._backend)

    def _room(self, ws: BothWays, name: str, like: Array | None) -> Array | None:
        """Return a workspace's array of the form of a sequence, in the layers' layout."""
        if like is None:
            return None
        if like.ndim == 2:
            return self.xp.empty_like(like)
        steps, features, streams = like.shape
        if name not in ws.staging or len(ws.staging[name]) < steps:
            ws.staging[name] = self.sequence(like.dtype, steps, features, streams)
        return ws.staging[name][:steps]


def _both(named: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the arrays of the layer that reads forwards and of the other, by their own names."""
    back = {n.removesuffix(BACK): array for n, array in named.items() if n.endswith(BACK)}
    return {n: array for n, array in named.items() if not n.endswith(BACK)}, back
