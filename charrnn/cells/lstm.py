"""Long short-term memory (Hochreiter and Schmidhuber 1997; forget gate: Gers et al. 2000).

With σ the logistic function and ⊙ the element-wise product, gates in the order i, f, g, o:

    i = σ(W_i x + U_i h' + b_i)        input gate
    f = σ(W_f x + U_f h' + b_f)        forget gate
    g = tanh(W_g x + U_g h' + b_g)     candidate
    o = σ(W_o x + U_o h' + b_o)        output gate
    c = f ⊙ c' + i ⊙ g                 cell state: the path on which gradients survive
    h = o ⊙ tanh(c)

Backward, with δh and δc what arrives from above and from the step after, and ∂ for ∂L/∂(that
gate's pre-activation):

    δc ← δc + δh ⊙ o ⊙ (1 - tanh² c)
    ∂i = δc ⊙ g ⊙ i (1 - i)            ∂g = δc ⊙ i ⊙ (1 - g²)
    ∂f = δc ⊙ c' ⊙ f (1 - f)           ∂o = δh ⊙ tanh(c) ⊙ o (1 - o)
    ∂L/∂h' = Uᵀ ∂                      ∂L/∂c' = δc ⊙ f
    ∂L/∂U = Σ ∂ h'ᵀ                    ∂L/∂W = Σ ∂ xᵀ, ∂L/∂b = Σ ∂ over all steps

As σ(x) = tanh(x / 2) / 2 + 1/2, the rows of i, f and o arrive halved (:attr:`Cell.row_scale`), and
one tanh serves all gates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from charrnn.backend import Array
from charrnn.backend.operations import operation
from charrnn.cells.base import Arrays, Cell, Compiled, Problem, Weights, Workspace
from charrnn.cells.layouts import Layout, Layouts
from charrnn.cells.pointwise import logistic
from charrnn.errors import setting
from charrnn.options import MODEL, Option


class Step(NamedTuple):
    """Views of one step.

    ``gates`` (4H, N) is the working array; ``i_f`` (2H, N), ``i``, ``f``, ``g``, ``o`` are its
    blocks. It holds in turn W x + b, the values of the gates, and ∂L/∂(pre-activations). The others
    are h', c', h, c and tanh(c), (H, N) each.
    """

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
    dc_i: Array
    half: Array
    unit: Array


@operation
def pointwise_forward(xp: Any, s: Step, scratch: Scratch) -> None:
    """Compute gates and states from W x + b, in ``s.gates``, and U h', in ``scratch.all``."""
    xp.add(s.gates, scratch.all, out=s.gates)  # the pre-activations, those of i, f and o halved
    xp.tanh(s.gates, out=s.gates)  # g = tanh(x), and tanh(x / 2) for the others
    logistic(xp, s.i_f, scratch.half)  # i, f = tanh(x / 2) / 2 + 1/2
    logistic(xp, s.o, scratch.half)  # o
    xp.multiply(s.f, s.c_before, out=s.c)
    xp.multiply(s.i, s.g, out=s.h)  # h is free until the last line
    xp.add(s.c, s.h, out=s.c)  # c = f c' + i g
    xp.tanh(s.c, out=s.tanh_c)
    xp.multiply(s.o, s.tanh_c, out=s.h)  # h = o tanh(c)


@operation
def pointwise_backward(
    xp: Any, s: Step, dh: Array, dh_next: Array, dc: Array, scratch: Scratch
) -> None:
    """Overwrite ``s.gates`` with ∂L/∂(pre-activations), and ``dc`` with ∂L/∂c'.

    On entry ``dh`` is ∂L/∂h from above, ``dh_next`` and ``dc`` are ∂L/∂h and ∂L/∂c from the step
    after. On exit ``dh`` is ∂L/∂h in total.
    """
    _, one_minus_if, one, dc_i, _, unit = scratch
    H = one.shape[0]
    one_minus_i, one_minus_f = one_minus_if[:H], one_minus_if[H:]
    da_i, da_f, da_g, da_o = s.i, s.f, s.g, s.o  # each overwrites its gate when that is used last
    xp.add(dh, dh_next, out=dh)
    xp.multiply(s.h, s.tanh_c, out=one)
    xp.subtract(s.o, one, out=one)  # o (1 - tanh² c), as h = o tanh c
    xp.multiply(one, dh, out=one)
    xp.add(dc, one, out=dc)  # ∂L/∂c in total: dc += dh o (1 - tanh² c)
    xp.subtract(unit, s.o, out=da_o)
    xp.multiply(da_o, s.h, out=da_o)
    xp.multiply(da_o, dh, out=da_o)  # dh tanh(c) · o (1 - o)
    xp.subtract(unit, s.i_f, out=one_minus_if)
    xp.multiply(dc, s.i, out=dc_i)
    xp.multiply(dc, s.f, out=dc)  # from here on dc is ∂L/∂c' = dc f
    xp.multiply(one_minus_i, s.g, out=one_minus_i)
    xp.multiply(one_minus_i, dc_i, out=da_i)  # dc g · i (1 - i)
    xp.multiply(one_minus_f, s.c_before, out=one_minus_f)
    xp.multiply(one_minus_f, dc, out=da_f)  # dc c' · f (1 - f)
    xp.multiply(s.g, s.g, out=one)
    xp.subtract(unit, one, out=one)
    xp.multiply(one, dc_i, out=da_g)  # dc i · (1 - g²)


@operation
def add_output_path(xp: Any, s: Step, dh: Array, dc: Array, scratch: Scratch) -> None:
    """Add dh o (1 - tanh² c), the gradient through h = o ⊙ tanh(c), to ``dc``."""
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
    compiled = Compiled("lstm", ((0, 4, 0),))
    layouts = Layouts(
        torch=Layout("LSTM", gates),
        onnx=Layout("LSTM", ("i", "o", "f", "g")),
        keras=Layout("LSTM", gates),
    )
    options: ClassVar = {
        "forget_bias": Option(1.0, "Initial bias of the forget gate.", group=MODEL),
    }

    def __init__(self, forget_bias: float = 1.0) -> None:
        self.forget_bias = forget_bias

    def remedy(self, problem: Problem) -> str:
        if problem != "forgetting":
            return ""
        bias = f"a larger {setting('forget_bias')} (1 is the default)"
        return bias if self.forget_bias < 1 else f"{bias}, or {setting('init')} orthogonal"

    def initial_biases(self, weights: Mapping[str, Any], H: int) -> None:
        """Start with an open forget gate, so that gradients pass (Jozefowicz et al. 2015)."""
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

    def add_output_path(
        self, xp: Any, weights: Weights, s: Step, dh: Array, gradients: Arrays, scratch: Scratch
    ) -> None:
        add_output_path(xp, s, dh, gradients["c"], scratch)

    def backward(
        self, xp: Any, weights: Weights, s: Step, dh: Array, gradients: Arrays, scratch: Scratch
    ) -> None:
        pointwise_backward(xp, s, dh, gradients["h"], gradients["c"], scratch)
        xp.matmul(weights.hh_T, s.gates, out=gradients["h"])  # ∂L/∂h'; s.gates is overwritten
