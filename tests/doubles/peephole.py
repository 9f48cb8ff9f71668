"""A cell in one file outside the package: the LSTM with peepholes (Gers and Schmidhuber 2000).

i = σ(W_i x + U_i h' + p_i ⊙ c' + b_i)
f = σ(W_f x + U_f h' + p_f ⊙ c' + b_f)
g = tanh(W_g x + U_g h' + b_g)
c = f ⊙ c' + i ⊙ g
o = σ(W_o x + U_o h' + p_o ⊙ c + b_o)
h = o ⊙ tanh(c)
"""

from typing import NamedTuple

from charrnn.cells.base import Cell, DiagonalGradient, MatrixGradient
from charrnn.cells.pointwise import scaled, transposed


class Step(NamedTuple):
    gates: object
    h_before: object
    c_before: object
    h: object
    c: object


class Weights(NamedTuple):
    """The recurrent matrix and the peepholes (H, 1), scaled; then both as backward needs them."""

    hh: object
    p_i: object
    p_f: object
    p_o: object
    hh_T: object
    q_i: object
    q_f: object
    q_o: object


class PeepholeLSTM(Cell):
    name = "peephole"
    gates = ("i", "f", "g", "o")
    candidates = ("g",)
    memory = "f"
    states = ("h", "c")
    blocks = 4

    def shapes(self, D, H):
        return super().shapes(D, H) | {f"peephole_{gate}": (H,) for gate in "ifo"}

    def gradient_terms(self, H):
        rows = slice(0, 4 * H)
        i, f, o = (slice(k * H, (k + 1) * H) for k in (0, 1, 3))
        own = slice(0, H)
        return (
            MatrixGradient("weight_hh", rows, rows, "h'"),
            DiagonalGradient("peephole_i", own, i, "c'"),
            DiagonalGradient("peephole_f", own, f, "c'"),
            DiagonalGradient("peephole_o", own, o, "c"),
        )

    def make_scratch(self, xp, dtype, N, H):
        return None

    def view(self, ws, t, H):
        h, c = ws.states["h"], ws.states["c"]
        return Step(ws.work[t], h[t], c[t], h[t + 1], c[t + 1])

    def stage(self, xp, weights, scale, staging):
        hh = weights["weight_hh"]
        H = hh.shape[1]
        peepholes = [weights[f"peephole_{gate}"][:, None] for gate in "ifo"]
        small = [scaled(xp, p, scale[:H], staging, f"p_{n}") for n, p in enumerate(peepholes)]
        back = None if staging is None else transposed(xp, hh, staging, "hh_T")
        return Weights(scaled(xp, hh, scale, staging, "hh"), *small, back, *peepholes)

    def forward(self, xp, weights, s, scratch):
        i, f, g, o = blocks(s.gates)
        s.gates[...] += weights.hh @ s.h_before
        i[...] = logistic(xp, i + weights.p_i * s.c_before)
        f[...] = logistic(xp, f + weights.p_f * s.c_before)
        g[...] = xp.tanh(g)
        s.c[...] = f * s.c_before + i * g
        o[...] = logistic(xp, o + weights.p_o * s.c)
        s.h[...] = o * xp.tanh(s.c)

    def add_output_path(self, xp, weights, s, dh, gradients, scratch):
        _, _, _, o = blocks(s.gates)
        tanh_c = xp.tanh(s.c)
        d_o = dh * tanh_c * o * (1 - o)
        gradients["c"][...] += dh * o * (1 - tanh_c**2) + weights.q_o * d_o

    def backward(self, xp, weights, s, dh, gradients, scratch):
        i, f, g, o = blocks(s.gates)
        tanh_c = xp.tanh(s.c)
        dh[...] += gradients["h"]
        d_o = dh * tanh_c * o * (1 - o)
        dc = gradients["c"] + dh * o * (1 - tanh_c**2) + weights.q_o * d_o
        d_i, d_f, d_g = dc * g * i * (1 - i), dc * s.c_before * f * (1 - f), dc * i * (1 - g**2)
        gradients["c"][...] = dc * f + weights.q_i * d_i + weights.q_f * d_f
        i[...], f[...], g[...], o[...] = d_i, d_f, d_g, d_o
        gradients["h"][...] = weights.hh_T @ s.gates


def blocks(gates):
    H = len(gates) // 4
    return (gates[k * H : (k + 1) * H] for k in range(4))


def logistic(xp, half):
    """Return σ(x) of x / 2, as which the scaled weights give it."""
    return xp.tanh(half) / 2 + 0.5
