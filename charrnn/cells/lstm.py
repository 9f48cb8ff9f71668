"""Long short-term memory (Hochreiter and Schmidhuber 1997; forget gate: Gers et al. 2000).

With σ the logistic function and ⊙ the product by elements, gates in the order i, f, g, o:

    i = σ(W_i x + U_i h' + b_i)        input gate
    f = σ(W_f x + U_f h' + b_f)        forget gate
    g = tanh(W_g x + U_g h' + b_g)     candidate
    o = σ(W_o x + U_o h' + b_o)        output gate
    c = f ⊙ c' + i ⊙ g                 cell state: the path on which gradients survive
    h = o ⊙ tanh(c)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from charrnn.backend import Array
from charrnn.backend.operations import operation
from charrnn.cells.base import Arrays, Cell, Weights, Workspace
from charrnn.cells.pointwise import logistic
from charrnn.options import MODEL, Option


class Step(NamedTuple):
    """Views of one step: gates (one block, then each), states before and after, tanh(c)."""

    gates: Array
    i_f: Array
    i: Array
    f: Array
    g: Array
    o: Array
    h_before: Array
    c_before: Array
    h: Array
    c: Array
    tanh_c: Array


class Scratch(NamedTuple):
    """Intermediate results: ``all`` (4H, N), ``two`` (2H, N), the others (H, N); constants, 0-d."""

    all: Array
    two: Array
    one: Array
    d_i: Array
    half: Array
    unit: Array


@operation
def pointwise_forward(xp: Any, s: Step, scratch: Scratch) -> None:
    """Compute gates and states from the two products, in ``s.gates`` and ``scratch.all``."""
    xp.add(s.gates, scratch.all, out=s.gates)
    xp.tanh(s.gates, out=s.gates)
    logistic(xp, s.i_f, scratch.half)
    logistic(xp, s.o, scratch.half)  # now i, f, g, o
    xp.multiply(s.f, s.c_before, out=s.c)
    xp.multiply(s.i, s.g, out=s.h)
    xp.add(s.c, s.h, out=s.c)  # c = f c' + i g
    xp.tanh(s.c, out=s.tanh_c)
    xp.multiply(s.o, s.tanh_c, out=s.h)  # h = o tanh(c)


@operation
def pointwise_backward(
    xp: Any, s: Step, dh: Array, from_after: Array, dc: Array, scratch: Scratch
) -> None:
    """Go back from ∂L/∂(h, c) to the pre-activations, in ``s.gates``, and to ∂L/∂c', in ``dc``.

    ``dh`` is ∂L/∂h from above and becomes the total; ``from_after`` is that of the step after.
    """
    _, two, one, d_i, _, unit = scratch
    closed_i, closed_f = two[: one.shape[0]], two[one.shape[0] :]
    xp.add(dh, from_after, out=dh)
    xp.multiply(s.h, s.tanh_c, out=one)
    xp.subtract(s.o, one, out=one)
    xp.multiply(one, dh, out=one)
    xp.add(dc, one, out=dc)  # dc += dh o (1 - tanh² c), as h = o tanh c
    xp.subtract(unit, s.o, out=s.o)
    xp.multiply(s.o, s.h, out=s.o)
    xp.multiply(s.o, dh, out=s.o)  # dh tanh(c) · o (1 - o)
    xp.subtract(unit, s.i_f, out=two)
    xp.multiply(dc, s.i, out=d_i)
    xp.multiply(dc, s.f, out=dc)  # ∂L/∂c'
    xp.multiply(closed_i, s.g, out=closed_i)
    xp.multiply(closed_i, d_i, out=s.i)  # dc g · i (1 - i)
    xp.multiply(closed_f, s.c_before, out=closed_f)
    xp.multiply(closed_f, dc, out=s.f)  # dc c' · f (1 - f)
    xp.multiply(s.g, s.g, out=one)
    xp.subtract(unit, one, out=one)
    xp.multiply(one, d_i, out=s.g)  # dc i · (1 - g²)


@operation
def complete(xp: Any, s: Step, dh: Array, dc: Array, scratch: Scratch) -> None:
    """Add dh o (1 - tanh² c) to dc."""
    one = scratch.one
    xp.multiply(s.tanh_c, s.tanh_c, out=one)
    xp.subtract(scratch.unit, one, out=one)
    xp.multiply(one, s.o, out=one)
    xp.multiply(one, dh, out=one)
    xp.add(dc, one, out=dc)


class LSTM(Cell):
    """LSTM with forget gate and without peepholes: the form that PyTorch and cuDNN compute."""

    name = "lstm"
    gates = ("i", "f", "g", "o")
    candidates = ("g",)
    memory = "f"
    states = ("h", "c")
    saved = ("tanh_c",)
    blocks = 4
    options: ClassVar = {
        "forget_bias": Option(1.0, "Initial bias of the forget gate.", group=MODEL),
    }

    def __init__(self, forget_bias: float = 1.0) -> None:
        self.forget_bias = forget_bias

    def initial_biases(self, weights: Mapping[str, Any], H: int) -> None:
        """Open the forget gate, which lets gradients through (Jozefowicz et al. 2015)."""
        weights["bias_ih"][H : 2 * H] = self.forget_bias

    def make_scratch(self, xp: Any, dtype: Any, N: int, H: int) -> Scratch:
        arrays = (xp.empty((rows * H, N), dtype) for rows in (4, 2, 1, 1))
        return Scratch(*arrays, *(xp.asarray(number, dtype) for number in (0.5, 1.0)))

    def view(self, ws: Workspace, t: int, H: int) -> Step:
        a, h, c = ws.work[t], ws.states["h"], ws.states["c"]
        i, f, g, o = (a[k * H : (k + 1) * H] for k in range(4))
        return Step(
            a, a[: 2 * H], i, f, g, o, h[t], c[t], h[t + 1], c[t + 1], ws.saved["tanh_c"][t]
        )

    def forward(self, xp: Any, weights: Weights, s: Step, scratch: Scratch) -> None:
        xp.matmul(weights.hh, s.h_before, out=scratch.all)
        pointwise_forward(xp, s, scratch)

    def complete(
        self, xp: Any, weights: Weights, s: Step, dh: Array, gradients: Arrays, scratch: Scratch
    ) -> None:
        complete(xp, s, dh, gradients["c"], scratch)

    def backward(
        self, xp: Any, weights: Weights, s: Step, dh: Array, gradients: Arrays, scratch: Scratch
    ) -> None:
        before = gradients["h"]
        pointwise_backward(xp, s, dh, before, gradients["c"], scratch)
        xp.matmul(weights.hh_T, s.gates, out=before)
