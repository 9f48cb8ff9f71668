"""The gated recurrent unit, in both published forms; gates in the order r, z, n.

    r = σ(W_r x + U_r h' + b_r)                       reset gate
    z = σ(W_z x + U_z h' + b_z)                       update gate
    n = tanh(W_n x + b_n + r ⊙ (U_n h' + b'_n))       candidate, reset after the product
    n = tanh(W_n x + b_n + U_n (r ⊙ h'))              candidate, reset before the product
    h = (1 - z) ⊙ n + z ⊙ h'

Reset before the product is the form of the first paper (Cho et al. 2014, arXiv 1406.1078v3) and of
most textbooks; reset after it came with version 1 of that paper and is what cuDNN and PyTorch
compute. Cho et al. swap the roles of z and 1 - z; this is PyTorch's way round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from charrnn.backend import Array
from charrnn.cells._base import Cell, Piece, Workspace
from charrnn.cells._pointwise import sigmoid, sigmoid_slope, transposed
from charrnn.errors import UsageError

if TYPE_CHECKING:
    from charrnn.config import ModelConfig

RESETS = ("after", "before")


class Step(NamedTuple):
    """Views of one step.

    ``recurrent`` and ``d_input`` are what the recurrent and the input product write forward and
    read backward; ``rz`` (2H, N) is r and z together; ``u`` is U_n h' + b'_n (reset after) or
    r ⊙ h' (reset before).
    """

    recurrent: Array
    rz: Array
    r: Array
    z: Array
    n: Array
    u: Array
    h_before: Array
    h: Array


class Scratch(NamedTuple):
    """Intermediate results: ``recurrent`` as wide as the recurrent product, then 2H, then H."""

    recurrent: Array
    two: Array
    one: Array
    d_n: Array
    d_r: Array


class AfterWeights(NamedTuple):
    """``weight_hh`` with its blocks in the order n, r, z; its transpose; the bias likewise."""

    hh: Array
    hh_T: Array
    bias: Array


class GRUAfter(Cell):
    """Reset after the product. The working array is [U_n h' + b'_n | r | z | n].

    The recurrent product fills the first three blocks and the input product the last three, so
    both their gradients are contiguous: the fourth block's is the first's divided by r.
    """

    name = "gru"
    gates = ("r", "z", "n")
    candidates = ("n",)
    memory = "z"
    blocks = 4

    def parameters(self, H: int) -> dict[str, tuple[int, ...]]:
        return {"weight_hh": (3 * H, H), "bias_hh": (3 * H,)}

    def input_rows(self, H: int) -> slice:
        return slice(H, 4 * H)

    def pieces(self, H: int) -> tuple[Piece, ...]:
        return (
            Piece(slice(0, 2 * H), slice(H, 3 * H), "h"),
            Piece(slice(2 * H, 3 * H), slice(0, H), "h"),
        )

    def make_scratch(self, xp: Any, dtype: Any, N: int, H: int) -> Scratch:
        return Scratch(*(xp.empty((rows * H, N), dtype) for rows in (3, 2, 1, 1, 1)))

    def view(self, ws: Workspace, t: int, H: int) -> Step:
        a, h = ws.work[t], ws.states["h"]
        u, r, z, n = (a[k * H : (k + 1) * H] for k in range(4))
        return Step(a[: 3 * H], a[H : 3 * H], r, z, n, u, h[t], h[t + 1])

    def stage(
        self, xp: Any, weights: dict[str, Array], room: dict[str, Array] | None
    ) -> AfterWeights:
        hh, bias = weights["weight_hh"], weights["bias_hh"]
        H = hh.shape[1]
        rolled = xp.concatenate((hh[2 * H :], hh[: 2 * H]))
        bias = xp.concatenate((bias[2 * H :], bias[: 2 * H]))[:, None]
        back = None if room is None else transposed(xp, rolled, room, "hh")
        return AfterWeights(rolled, back, bias)

    def forward(self, xp: Any, weights: AfterWeights, s: Step, scratch: Scratch) -> None:
        H = s.u.shape[0]
        product = scratch.recurrent
        xp.matmul(weights.hh, s.h_before, out=product)
        xp.add(product, weights.bias, out=product)
        xp.add(s.rz, product[H:], out=s.rz)
        sigmoid(xp, s.rz)
        s.u[...] = product[:H]
        xp.multiply(s.r, s.u, out=scratch.one)
        xp.add(s.n, scratch.one, out=s.n)
        xp.tanh(s.n, out=s.n)
        _interpolate(xp, s)

    def backward(
        self,
        xp: Any,
        weights: AfterWeights,
        s: Step,
        dh: Array,
        gradients: dict[str, Array],
        scratch: Scratch,
    ) -> None:
        _, two, one, d_n, d_r = scratch
        _interpolate_backward(xp, s, dh, d_n, one)  # one = ∂L/∂z, d_n = ∂L/∂(n's pre-activation)
        carried = xp.multiply(dh, s.z, out=s.n)  # n is not needed any more
        xp.multiply(d_n, s.u, out=d_r)
        xp.multiply(d_n, s.r, out=s.u)  # ∂L/∂(U_n h' + b'_n)
        sigmoid_slope(xp, s.rz, two)
        xp.multiply(s.r, d_r, out=s.r)
        xp.multiply(s.z, one, out=s.z)
        xp.matmul(weights.hh_T, s.recurrent, out=gradients["h"])
        xp.add(gradients["h"], carried, out=gradients["h"])
        s.n[...] = d_n


class BeforeWeights(NamedTuple):
    """The blocks of ``weight_hh`` for r and z together (2H, H), for n (H, H), their transposes."""

    rz: Array
    n: Array
    rz_T: Array
    n_T: Array


class GRUBefore(Cell):
    """Reset before the product. The working array is [r | z | n]."""

    name = "gru"
    gates = ("r", "z", "n")
    candidates = ("n",)
    memory = "z"
    saved = ("reset_h",)
    blocks = 3
    torch_names = False

    def pieces(self, H: int) -> tuple[Piece, ...]:
        rz, n = slice(0, 2 * H), slice(2 * H, 3 * H)
        return Piece(rz, rz, "h"), Piece(n, n, "reset_h")

    def make_scratch(self, xp: Any, dtype: Any, N: int, H: int) -> Scratch:
        return Scratch(*(xp.empty((rows * H, N), dtype) for rows in (2, 2, 1, 1, 1)))

    def view(self, ws: Workspace, t: int, H: int) -> Step:
        a, h = ws.work[t], ws.states["h"]
        r, z, n = (a[k * H : (k + 1) * H] for k in range(3))
        rz = a[: 2 * H]
        return Step(rz, rz, r, z, n, ws.saved["reset_h"][t], h[t], h[t + 1])

    def stage(
        self, xp: Any, weights: dict[str, Array], room: dict[str, Array] | None
    ) -> BeforeWeights:
        hh = weights["weight_hh"]
        H = hh.shape[1]
        rz, n = hh[: 2 * H], hh[2 * H :]
        if room is None:
            return BeforeWeights(rz, n, None, None)
        back = transposed(xp, rz, room, "rz"), transposed(xp, n, room, "n")
        return BeforeWeights(rz, n, *back)

    def forward(self, xp: Any, weights: BeforeWeights, s: Step, scratch: Scratch) -> None:
        xp.matmul(weights.rz, s.h_before, out=scratch.recurrent)
        xp.add(s.rz, scratch.recurrent, out=s.rz)
        sigmoid(xp, s.rz)
        xp.multiply(s.r, s.h_before, out=s.u)
        xp.matmul(weights.n, s.u, out=scratch.one)
        xp.add(s.n, scratch.one, out=s.n)
        xp.tanh(s.n, out=s.n)
        _interpolate(xp, s)

    def backward(
        self,
        xp: Any,
        weights: BeforeWeights,
        s: Step,
        dh: Array,
        gradients: dict[str, Array],
        scratch: Scratch,
    ) -> None:
        carried, two, one, d_n, d_u = scratch.recurrent[: s.h.shape[0]], *scratch[1:]
        _interpolate_backward(xp, s, dh, d_n, one)
        s.n[...] = d_n
        xp.matmul(weights.n_T, d_n, out=d_u)  # ∂L/∂(r ⊙ h')
        xp.multiply(d_u, s.r, out=carried)
        xp.multiply(d_u, s.h_before, out=d_u)  # ∂L/∂r
        xp.multiply(dh, s.z, out=d_n)
        xp.add(carried, d_n, out=carried)
        sigmoid_slope(xp, s.rz, two)
        xp.multiply(s.r, d_u, out=s.r)
        xp.multiply(s.z, one, out=s.z)
        xp.matmul(weights.rz_T, s.rz, out=gradients["h"])
        xp.add(gradients["h"], carried, out=gradients["h"])


def _interpolate(xp: Any, s: Step) -> None:
    """H = (1 - z) ⊙ n + z ⊙ h' = n + z ⊙ (h' - n)."""
    xp.subtract(s.h_before, s.n, out=s.h)
    xp.multiply(s.h, s.z, out=s.h)
    xp.add(s.h, s.n, out=s.h)


def _interpolate_backward(xp: Any, s: Step, dh: Array, d_n: Array, d_z: Array) -> None:
    """d_z = dh ⊙ (h' - n); d_n = dh ⊙ (1 - z) ⊙ (1 - n²), through n's tanh."""
    xp.multiply(s.n, s.n, out=d_n)
    xp.subtract(1.0, d_n, out=d_n)
    xp.subtract(1.0, s.z, out=d_z)
    xp.multiply(d_n, d_z, out=d_n)
    xp.multiply(d_n, dh, out=d_n)
    xp.subtract(s.h_before, s.n, out=d_z)
    xp.multiply(d_z, dh, out=d_z)


def create(config: ModelConfig) -> Cell:
    """Return the form of the cell that ``config`` describes."""
    if config.gru_reset not in RESETS:
        raise UsageError(f"unknown --gru-reset {config.gru_reset!r}", "choose after or before")
    return GRUAfter() if config.gru_reset == "after" else GRUBefore()
