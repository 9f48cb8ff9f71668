"""A cell without a recurrent matrix: minGRU (Feng et al. 2024, arXiv 2410.01201).

z = σ(W_z x + b_z)
n = W_n x + b_n
h = (1 - z) ⊙ h' + z ⊙ n
"""

from typing import NamedTuple

from charrnn.cells.base import Cell


class Step(NamedTuple):
    z: object
    n: object
    h_before: object
    h: object


class MinGRU(Cell):
    name = "min_gru"
    gates = ("z", "n")
    candidates = ("n",)
    blocks = 2
    bounded = False

    def shapes(self, D, H):
        return {"weight_ih": (2 * H, D), "bias_ih": (2 * H,)}

    def gradient_terms(self, H):
        return ()

    def make_scratch(self, xp, dtype, N, H):
        return None

    def view(self, ws, t, H):
        h = ws.states["h"]
        return Step(ws.work[t, :H], ws.work[t, H:], h[t], h[t + 1])

    def stage(self, xp, weights, scale, staging):
        return ()

    def forward(self, xp, weights, s, scratch):
        s.z[...] = xp.tanh(s.z) / 2 + 0.5
        s.h[...] = (1 - s.z) * s.h_before + s.z * s.n

    def backward(self, xp, weights, s, dh, gradients, scratch):
        dh[...] += gradients["h"]
        gradients["h"][...] = dh * (1 - s.z)
        s.n[...], s.z[...] = dh * s.z, dh * (s.n - s.h_before) * s.z * (1 - s.z)
