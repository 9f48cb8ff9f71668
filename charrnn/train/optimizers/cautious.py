"""Cautious AdamW (Liang et al. 2024, arXiv 2411.16085) with β₁ = 0.9, β₂ = 0.99, ε = 1e-8.

m and v as of Adam, then for each parameter of n weights, with 1(·) for what holds:

u ← m̂ / (√v̂ + ε) ⊙ 1(m ⊙ g > 0)        no weight moves against its gradient of now
w ← (1 - lr · λ) w - lr · n / (k + 1) · u    k of them move, the further the fewer they are
"""

from __future__ import annotations

from typing import Any

from charrnn.backend import Array, Backend
from charrnn.backend.operations import operation
from charrnn.model.parameters import Parameters
from charrnn.train.optimizers.adam import Rule, direction
from charrnn.train.optimizers.adamw import AdamW


@operation
def direct(
    xp: Any,
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    a: Array,
    scale: Any,
    rule: Rule,
) -> bool | None:
    """Replace g by u, but for the divisor of m̂."""
    direction(xp, w, g, m, v, a, scale, rule)
    agreed = xp.multiply(m, g, out=g) > 0
    xp.multiply(a, agreed, out=g)
    return None


@operation
def move(xp: Any, w: Array, u: Array, a: Array, rate: Any) -> bool | None:
    """Subtract ``rate``, a number or a 0-d array, times u from w."""
    xp.multiply(u, rate, out=a)
    xp.subtract(w, a, out=w)
    return None


class Cautious(AdamW):
    """AdamW whose updates never go against the gradient."""

    name = "cautious"
    overwrites = True
    beta2 = 0.99

    def __init__(
        self, backend: Backend, parameters: Parameters, weight_decay: float, **options: Any
    ) -> None:
        super().__init__(backend, parameters, weight_decay, **options)
        self._m, self._v = (parameters.like(self.moments[name]) for name in self.slots)

    def apply(
        self, weights: Parameters, grads: Parameters, lr: float, scale: Any, count: int
    ) -> None:
        xp, rate, rule = self.backend.xp, self.rate(lr, count), self.rule(lr, count)
        looked: list[bool | None] = []
        for name in weights:
            w, g, m, v = (each[name].reshape(-1) for each in (weights, grads, self._m, self._v))
            block = self._block(w)
            moving: Any = 0
            for start in range(0, w.size, block):
                part = slice(start, start + block)
                u, a = g[part], self._scratch[: g[part].size]
                looked.append(direct(xp, w[part], u, m[part], v[part], a, scale, rule))
                moving = moving + xp.count_nonzero(u != 0)
            factor = xp.asarray(rate * w.size / (moving + 1), w.dtype)  # stays on a GPU
            for start in range(0, w.size, block):
                part = slice(start, start + block)
                looked.append(move(xp, w[part], g[part], self._scratch[: g[part].size], factor))
        self._found(looked)
