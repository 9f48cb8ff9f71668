"""The gated recurrent unit, in both published forms; gates in the order r, z, n.

    r = σ(W_r x + U_r h' + b_r)                       reset gate
    z = σ(W_z x + U_z h' + b_z)                       update gate
    n = tanh(W_n x + b_n + r ⊙ (U_n h' + b'_n))       candidate, reset after the product
    n = tanh(W_n x + b_n + U_n (r ⊙ h'))              candidate, reset before the product
    h = (1 - z) ⊙ n + z ⊙ h'

Backward, with δ what arrives at h, δ' what goes on to h', ∂ for ∂L/∂(that gate's pre-activation):

    ∂z = δ ⊙ (h' - n) ⊙ z (1 - z)                   ∂n = δ ⊙ (1 - z) ⊙ (1 - n²)
    after:   ∂r = ∂n ⊙ (U_n h' + b'_n) ⊙ r (1 - r)  δ' = δ ⊙ z + U_rᵀ ∂r + U_zᵀ ∂z + U_nᵀ (∂n ⊙ r)
    before:  ∂r = U_nᵀ ∂n ⊙ h' ⊙ r (1 - r)          δ' = δ ⊙ z + U_rᵀ ∂r + U_zᵀ ∂z + U_nᵀ ∂n ⊙ r

Reset before the product is the form of the first paper (Cho et al. 2014, arXiv 1406.1078v3) and of
most textbooks; reset after it came with version 1 of that paper and is what cuDNN and PyTorch
compute. Cho et al. swap the roles of z and 1 - z.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from charrnn.backend import Array
from charrnn.backend.operations import operation
from charrnn.backend.products import add_product
from charrnn.cells.base import (
    Arrays,
    BiasGradient,
    Cell,
    Compiled,
    Gradient,
    MatrixGradient,
    Workspace,
)
from charrnn.cells.layouts import Layout, Layouts
from charrnn.cells.pointwise import logistic, scaled, sigmoid_slope, transposed
from charrnn.config import ModelConfig
from charrnn.options import MODEL, Option

RESETS = ("after", "before")


def _layouts(torch: str, *, after: bool) -> Layouts:
    """Return the layouts of one form. ``torch.nn.GRU`` resets after the product."""
    z_r_n = ("z", "r", "n")
    return Layouts(
        torch=Layout(torch, GRU.gates),
        onnx=Layout("GRU", z_r_n, {"linear_before_reset": int(after)}),
        keras=Layout("GRU", z_r_n, {"reset_after": after}),
    )


class Step(NamedTuple):
    """Views of one step.

    ``all`` is the working array, ``recurrent`` the part of it that the recurrent product reads in
    the backward pass; ``rz`` (2H, N) is r and z together; ``u`` is U_n h' + b'_n (reset after) or
    r ⊙ h' (reset before). Forward leaves the values of the gates in their blocks, backward
    overwrites them with ∂L/∂(pre-activations).
    """

    all: Array
    recurrent: Array
    rz: Array
    r: Array
    z: Array
    n: Array
    u: Array
    h_before: Array
    h: Array


class Scratch(NamedTuple):
    """Intermediate results, and constants (0-d).

    ``recurrent`` is as wide as the recurrent product, ``first`` its first block and ``rest`` the
    others; ``two`` is (2H, N), the rest (H, N).
    """

    recurrent: Array
    first: Array
    rest: Array
    two: Array
    one: Array
    d_z: Array
    half: Array
    unit: Array


def _scratch(xp: Any, dtype: Any, N: int, H: int, width: int) -> Scratch:
    recurrent = xp.empty((width * H, N), dtype)
    arrays = (xp.empty((rows * H, N), dtype) for rows in (2, 1, 1))
    constants = (xp.asarray(number, dtype) for number in (0.5, 1.0))
    return Scratch(recurrent, recurrent[:H], recurrent[H:], *arrays, *constants)


@operation
def candidate_forward(xp: Any, s: Step, scratch: Scratch) -> None:
    """Compute n = tanh(``s.n`` + ``scratch.one``), of its products, and h = n + z ⊙ (h' - n)."""
    xp.add(s.n, scratch.one, out=s.n)
    xp.tanh(s.n, out=s.n)
    xp.subtract(s.h_before, s.n, out=s.h)
    xp.multiply(s.h, s.z, out=s.h)
    xp.add(s.h, s.n, out=s.h)


@operation
def candidate_backward(xp: Any, s: Step, dh: Array, gradient: Array, scratch: Scratch) -> None:
    """Write ∂L/∂z to ``scratch.d_z``, and overwrite ``s.n`` with ∂L/∂(n's pre-activation).

    ``dh`` is ∂L/∂h from above and becomes the total. ``gradient`` is ∂L/∂h from the step after, and
    becomes what z passes on to h'.
    """
    d_z, one, unit = scratch.d_z, scratch.one, scratch.unit
    xp.add(dh, gradient, out=dh)
    xp.multiply(dh, s.z, out=gradient)
    xp.subtract(s.h_before, s.n, out=d_z)
    xp.multiply(d_z, dh, out=d_z)  # dh (h' - n)
    xp.multiply(s.n, s.n, out=s.n)
    xp.subtract(unit, s.n, out=s.n)
    xp.subtract(unit, s.z, out=one)
    xp.multiply(s.n, one, out=s.n)
    xp.multiply(s.n, dh, out=s.n)  # dh (1 - z) (1 - n²)


@operation
def after_forward(xp: Any, s: Step, bias: Array, scratch: Scratch) -> None:
    """Reset after: compute gates and h from the products, in the working array and ``scratch``.

    The rows of r and z arrive halved (:attr:`Cell.row_scale`), as σ(x) = tanh(x / 2) / 2 + 1/2.
    """
    xp.add(s.rz, scratch.rest, out=s.rz)
    xp.tanh(s.rz, out=s.rz)
    logistic(xp, s.rz, scratch.half)
    xp.add(scratch.first, bias, out=s.u)
    xp.multiply(s.r, s.u, out=scratch.one)
    candidate_forward.plain(xp, s, scratch)


@operation
def after_backward(xp: Any, s: Step, dh: Array, gradient: Array, scratch: Scratch) -> None:
    """Reset after: go back from ∂L/∂h to all pre-activations; see :func:`candidate_backward`."""
    two, one = scratch.two, scratch.one
    candidate_backward.plain(xp, s, dh, gradient, scratch)
    xp.multiply(s.n, s.u, out=one)  # ∂L/∂r
    xp.multiply(s.n, s.r, out=s.u)  # ∂L/∂(U_n h' + b'_n)
    sigmoid_slope(xp, s.rz, two)
    xp.multiply(s.r, one, out=s.r)
    xp.multiply(s.z, scratch.d_z, out=s.z)


@operation
def before_gates_forward(xp: Any, s: Step, scratch: Scratch) -> None:
    """Reset before: compute r, z and r ⊙ h' from the products of r and z.

    The rows of r and z arrive halved (:attr:`Cell.row_scale`), as σ(x) = tanh(x / 2) / 2 + 1/2.
    """
    xp.add(s.rz, scratch.recurrent, out=s.rz)
    xp.tanh(s.rz, out=s.rz)
    logistic(xp, s.rz, scratch.half)
    xp.multiply(s.r, s.h_before, out=s.u)


@operation
def before_gates_backward(xp: Any, s: Step, gradient: Array, scratch: Scratch) -> None:
    """Reset before: go back from ∂L/∂(r ⊙ h'), in ``scratch.one``, to r's and z's pre-activations.

    What r passes on to h' is added to ``gradient``.
    """
    d_reset, two = scratch.one, scratch.two
    dh_before = two[: d_reset.shape[0]]
    xp.multiply(d_reset, s.r, out=dh_before)
    xp.add(dh_before, gradient, out=gradient)
    xp.multiply(d_reset, s.h_before, out=d_reset)  # ∂L/∂r
    sigmoid_slope(xp, s.rz, two)
    xp.multiply(s.r, d_reset, out=s.r)
    xp.multiply(s.z, scratch.d_z, out=s.z)


class GRU(Cell):
    """Base class of the two forms."""

    name = "gru"
    options: ClassVar = {
        "gru_reset": Option(
            "after",
            "Reset gate after the recurrent product (as PyTorch) or before it (as Cho 2014).",
            group=MODEL,
            choices=RESETS,
        ),
    }
    gates = ("r", "z", "n")
    candidates = ("n",)
    memory = "z"

    @classmethod
    def create(cls, config: ModelConfig) -> Cell:
        after = config.cell_options["gru_reset"] == "after"
        return GRUAfter() if after else GRUBefore()


class AfterWeights(NamedTuple):
    """``weight_hh`` with its blocks in the order n, r, z, scaled; its transpose, not scaled.

    ``bias`` is n's own, b'_n (H, 1).
    """

    hh: Array
    hh_T: Array
    bias: Array


class GRUAfter(GRU):
    """Reset after the product. The working array is [U_n h' + b'_n | r | z | n].

    The recurrent product fills the first three blocks and the input product the last three, so
    both their gradients are contiguous: the fourth block's is the first's divided by r.
    """

    form = "reset after"
    blocks = 4
    compiled = Compiled("gru_after", ((0, 3, 2),), extra="bias_hh")
    layouts = _layouts("GRU", after=True)

    def shapes(self, D: int, H: int) -> dict[str, tuple[int, ...]]:
        return super().shapes(D, H) | {"bias_hh": (3 * H,)}

    def input_rows(self, H: int) -> slice:
        return slice(H, 4 * H)

    def input_bias(self, xp: Any, weights: Mapping[str, Array]) -> Array:
        """Return r's and z's two biases in one, and n's own."""
        bias, recurrent = weights["bias_ih"], weights["bias_hh"]
        rz = 2 * bias.shape[0] // 3
        return xp.concatenate((bias[:rz] + recurrent[:rz], bias[rz:]))

    def gradient_terms(self, H: int) -> tuple[Gradient, ...]:
        rz, n = (slice(0, 2 * H), slice(H, 3 * H)), (slice(2 * H, 3 * H), slice(0, H))
        return (
            MatrixGradient("weight_hh", *rz, "h'"),
            MatrixGradient("weight_hh", *n, "h'"),
            BiasGradient("bias_hh", *rz),
            BiasGradient("bias_hh", *n),
        )

    def make_scratch(self, xp: Any, dtype: Any, N: int, H: int) -> Scratch:
        return _scratch(xp, dtype, N, H, 3)

    def view(self, ws: Workspace, t: int, H: int) -> Step:
        a, h = ws.work[t], ws.states["h"]
        u, r, z, n = (a[k * H : (k + 1) * H] for k in range(4))
        return Step(a, a[: 3 * H], a[H : 3 * H], r, z, n, u, h[t], h[t + 1])

    def stage(
        self, xp: Any, weights: Mapping[str, Array], scale: Array, staging: Arrays | None
    ) -> AfterWeights:
        hh = weights["weight_hh"]
        H = hh.shape[1]
        rolled = xp.concatenate((hh[2 * H :], hh[: 2 * H]))
        back = None if staging is None else transposed(xp, rolled, staging, "hh")
        rolled[H:] *= scale[: 2 * H]
        return AfterWeights(rolled, back, weights["bias_hh"][2 * H :, None])

    def forward(self, xp: Any, weights: AfterWeights, s: Step, scratch: Scratch) -> None:
        xp.matmul(weights.hh, s.h_before, out=scratch.recurrent)
        after_forward(xp, s, weights.bias, scratch)

    def backward(
        self,
        xp: Any,
        weights: AfterWeights,
        s: Step,
        dh: Array,
        gradients: Arrays,
        scratch: Scratch,
    ) -> None:
        carried = gradients["h"]  # ∂L/∂h from the step after, and at the end ∂L/∂h'
        after_backward(xp, s, dh, carried, scratch)
        add_product(xp, weights.hh_T, s.recurrent, carried, scratch.one)


class BeforeWeights(NamedTuple):
    """The blocks of ``weight_hh`` for r and z (2H, H), scaled, and n (H, H); their transposes."""

    rz: Array
    n: Array
    rz_T: Array
    n_T: Array


class GRUBefore(GRU):
    """Reset before the product. The working array is [r | z | n]."""

    form = "reset before"
    saved = ("reset_h",)
    blocks = 3
    compiled = Compiled("gru_before", ((0, 2, 0), (2, 3, 0)))
    suffix = "_before"
    layouts = _layouts("GRUBefore", after=False)

    def gradient_terms(self, H: int) -> tuple[Gradient, ...]:
        rz, n = slice(0, 2 * H), slice(2 * H, 3 * H)
        return (
            MatrixGradient("weight_hh", rz, rz, "h'"),
            MatrixGradient("weight_hh", n, n, "reset_h"),
        )

    def make_scratch(self, xp: Any, dtype: Any, N: int, H: int) -> Scratch:
        return _scratch(xp, dtype, N, H, 2)

    def view(self, ws: Workspace, t: int, H: int) -> Step:
        a, h = ws.work[t], ws.states["h"]
        r, z, n = (a[k * H : (k + 1) * H] for k in range(3))
        rz = a[: 2 * H]
        return Step(a, rz, rz, r, z, n, ws.saved["reset_h"][t], h[t], h[t + 1])

    def stage(
        self, xp: Any, weights: Mapping[str, Array], scale: Array, staging: Arrays | None
    ) -> BeforeWeights:
        hh = weights["weight_hh"]
        H = hh.shape[1]
        rz, n = hh[: 2 * H], hh[2 * H :]
        staged = scaled(xp, rz, scale[: 2 * H], staging, "rz")
        if staging is None:
            return BeforeWeights(staged, n, None, None)
        back = transposed(xp, rz, staging, "rz_T"), transposed(xp, n, staging, "n_T")
        return BeforeWeights(staged, n, *back)

    def forward(self, xp: Any, weights: BeforeWeights, s: Step, scratch: Scratch) -> None:
        xp.matmul(weights.rz, s.h_before, out=scratch.recurrent)
        before_gates_forward(xp, s, scratch)
        xp.matmul(weights.n, s.u, out=scratch.one)
        candidate_forward(xp, s, scratch)

    def backward(
        self,
        xp: Any,
        weights: BeforeWeights,
        s: Step,
        dh: Array,
        gradients: Arrays,
        scratch: Scratch,
    ) -> None:
        carried = gradients["h"]  # ∂L/∂h from the step after, and at the end ∂L/∂h'
        candidate_backward(xp, s, dh, carried, scratch)
        xp.matmul(weights.n_T, s.n, out=scratch.one)  # ∂L/∂(r ⊙ h')
        before_gates_backward(xp, s, carried, scratch)
        add_product(xp, weights.rz_T, s.rz, carried, scratch.one)
