"""The vanilla recurrent network (Elman 1990), with tanh or ReLU.

    h = φ(W x + U h' + b),    φ = tanh or φ(a) = max(a, 0)

Backward, with δ what arrives at h from above and from the step after, and φ' = 1 - h² or 1 where
h > 0, else 0:

    ∂ = δ ⊙ φ',    ∂L/∂h' = Uᵀ ∂,    ∂L/∂U = Σ ∂ h'ᵀ,    ∂L/∂b = Σ ∂ over all steps

so ∂h/∂h' = diag(φ'(a)) U, whose products over time vanish or explode (Bengio, Simard and Frasconi
1994; Pascanu, Mikolov and Bengio 2013).
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

from charrnn.backend import Array
from charrnn.backend.operations import operation
from charrnn.cells.base import GATED_INITS, Arrays, Cell, Compiled, Problem, Weights, Workspace
from charrnn.cells.layouts import Layout, Layouts
from charrnn.errors import setting
from charrnn.options import MODEL, Option

ACTIVATIONS = ("tanh", "relu")


class Step(NamedTuple):
    """Views of one step, (H, N) each: ``a`` is W x + b, and ∂L/∂(pre-activation) after backward."""

    a: Array
    h_before: Array
    h: Array


class Scratch(NamedTuple):
    """φ'(a), (H, N), and the constant 1, 0-d."""

    slope: Array
    unit: Array


@operation
def pointwise_forward(xp: Any, s: Step, activation: str) -> None:
    """Compute h = φ(sum of the two products), which are in ``s.a`` and ``s.h``."""
    xp.add(s.h, s.a, out=s.h)
    if activation == "tanh":
        xp.tanh(s.h, out=s.h)
    else:
        xp.maximum(s.h, 0.0, out=s.h)


@operation
def pointwise_backward(
    xp: Any, s: Step, dh: Array, dh_next: Array, scratch: Scratch, activation: str
) -> None:
    """Overwrite ``s.a`` with ∂L/∂(pre-activation).

    On entry ``dh`` is ∂L/∂h from above and ``dh_next`` ∂L/∂h from the step after. On exit ``dh`` is
    ∂L/∂h in total.
    """
    slope = scratch.slope
    xp.add(dh, dh_next, out=dh)
    if activation == "tanh":
        xp.multiply(s.h, s.h, out=slope)
        xp.subtract(scratch.unit, slope, out=slope)
    else:
        xp.greater(s.h, 0.0, out=slope)
    xp.multiply(dh, slope, out=s.a)


class RNN(Cell):
    """A vanilla cell with activation ``tanh`` or ``relu``."""

    name = "rnn"
    aliases = ("vanilla",)
    gates = ("h",)
    candidates = ("h",)
    blocks = 1
    inits = (*GATED_INITS, "identity")
    options: ClassVar = {
        "activation": Option("tanh", "Activation function φ.", group=MODEL, choices=ACTIVATIONS),
    }
    slope_bound = 1.0

    def __init__(self, activation: str = "tanh") -> None:
        self.activation = self.form = activation
        self.rectified = activation == "relu"
        self.compiled = Compiled("rnn", ((0, 1, 0),), kind=int(self.rectified))
        self.bounded = not self.rectified
        function = "Relu" if self.rectified else "Tanh"
        self.layouts = Layouts(
            torch=Layout("RNN", self.gates, {"nonlinearity": activation}),
            onnx=Layout("RNN", self.gates, {"activations": [function]}),
            keras=Layout("SimpleRNN", self.gates, {"activation": activation}),
        )

    def remedy(self, problem: Problem) -> str:
        bounded = self.rectified and problem in ("overflow", "dead units")
        return f"{setting('activation')} tanh" if bounded else ""

    def make_scratch(self, xp: Any, dtype: Any, N: int, H: int) -> Scratch:
        return Scratch(xp.empty((H, N), dtype), xp.asarray(1.0, dtype))

    def view(self, ws: Workspace, t: int, H: int) -> Step:
        return Step(ws.work[t], ws.states["h"][t], ws.states["h"][t + 1])

    def forward(self, xp: Any, weights: Weights, s: Step, scratch: Scratch) -> None:
        xp.matmul(weights.hh, s.h_before, out=s.h)
        pointwise_forward(xp, s, self.activation)

    def backward(
        self, xp: Any, weights: Weights, s: Step, dh: Array, gradients: Arrays, scratch: Scratch
    ) -> None:
        pointwise_backward(xp, s, dh, gradients["h"], scratch, self.activation)
        xp.matmul(weights.hh_T, s.a, out=gradients["h"])  # ∂L/∂h'
