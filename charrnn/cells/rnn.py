"""The vanilla recurrent network (Elman 1990), with tanh or the rectifier.

    h = φ(W x + U h' + b),    φ = tanh or φ(a) = max(a, 0)

so ∂h/∂h' = diag(φ'(a)) U, whose products over time vanish or explode (Bengio, Simard and Frasconi
1994; Pascanu, Mikolov and Bengio 2013).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from charrnn.backend import Array
from charrnn.cells._base import Cell, Weights, Workspace
from charrnn.errors import UsageError

if TYPE_CHECKING:
    from charrnn.config import ModelConfig

ACTIVATIONS = ("tanh", "relu")


class Step(NamedTuple):
    """Views of one step, (H, N) each."""

    a: Array
    h_before: Array
    h: Array


class RNN(Cell):
    """A vanilla cell with activation ``tanh`` or ``relu``."""

    name = "rnn"
    gates = ("h",)
    blocks = 1

    def __init__(self, activation: str = "tanh") -> None:
        if activation not in ACTIVATIONS:
            raise UsageError(
                f"unknown activation {activation!r}", f"choose one of {', '.join(ACTIVATIONS)}"
            )
        self.activation = activation

    def make_scratch(self, xp: Any, dtype: Any, N: int, H: int) -> Array:
        return xp.empty((H, N), dtype)

    def view(self, ws: Workspace, t: int, H: int) -> Step:
        return Step(ws.work[t], ws.states["h"][t], ws.states["h"][t + 1])

    def forward(self, xp: Any, weights: Weights, s: Step, scratch: Array) -> None:
        xp.matmul(weights.hh, s.h_before, out=s.h)
        xp.add(s.h, s.a, out=s.h)
        if self.activation == "tanh":
            xp.tanh(s.h, out=s.h)
        else:
            xp.maximum(s.h, 0.0, out=s.h)

    def backward(
        self,
        xp: Any,
        weights: Weights,
        s: Step,
        dh: Array,
        gradients: dict[str, Array],
        scratch: Array,
    ) -> None:
        if self.activation == "tanh":
            xp.multiply(s.h, s.h, out=scratch)
            xp.subtract(1.0, scratch, out=scratch)
        else:
            xp.greater(s.h, 0.0, out=scratch)
        xp.multiply(dh, scratch, out=s.a)
        xp.matmul(weights.hh_T, s.a, out=gradients["h"])


def create(config: ModelConfig) -> RNN:
    """Return the cell that ``config`` describes."""
    return RNN(config.activation)
