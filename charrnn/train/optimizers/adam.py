"""Adam (Kingma and Ba 2015, arXiv 1412.6980) with β₁ = 0.9, β₂ = 0.999, ε = 1e-8.

m ← β₁ m + (1 - β₁) g
v ← β₂ v + (1 - β₂) g²
w ← w - lr · m̂ / (√v̂ + ε),    m̂ = m / (1 - β₁ᵗ),    v̂ = v / (1 - β₂ᵗ)
"""

from __future__ import annotations

from math import sqrt
from typing import Any

from charrnn.backend import Array
from charrnn.backend.operations import operation
from charrnn.train.optimizers.base import Optimizer, add_decay

BETA1, BETA2 = 0.9, 0.999
EPSILON = 1e-8


def direction(
    xp: Any,
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    a: Array,
    scale: Any,
    decay: float,
    kept: float,
    root: float,
    beta1: float,
    beta2: float,
    epsilon: float,
) -> None:
    """Update the moments, shrink w, and leave m / (√v · root + ε) in a; root is 1 / √(1 - β₂ᵗ)."""
    add_decay(xp, w, g, a, scale, decay)
    if kept != 1.0:
        xp.multiply(w, kept, out=w)
    xp.subtract(g, m, out=a)
    xp.multiply(a, 1 - beta1, out=a)
    xp.add(m, a, out=m)
    xp.multiply(g, g, out=a)
    xp.subtract(a, v, out=a)
    xp.multiply(a, 1 - beta2, out=a)
    xp.add(v, a, out=v)
    xp.sqrt(v, out=a)
    xp.multiply(a, root, out=a)
    xp.add(a, epsilon, out=a)
    xp.divide(m, a, out=a)


@operation
def adam(
    xp: Any,
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    a: Array,
    scale: Any,
    decay: float,
    kept: float,
    rate: float,
    root: float,
    beta1: float,
    beta2: float,
    epsilon: float,
) -> None:
    """Apply Adam: ``rate`` is lr / (1 - β₁ᵗ), ``root`` 1 / √(1 - β₂ᵗ)."""
    direction(xp, w, g, m, v, a, scale, decay, kept, root, beta1, beta2, epsilon)
    xp.multiply(a, rate, out=a)
    xp.subtract(w, a, out=w)


class Adam(Optimizer):
    """Adam; weight decay is added to the gradient."""

    name = "adam"
    compiled = True
    slots = ("m", "v")

    def update(
        self,
        w: Array,
        g: Array,
        moments: list[Array],
        a: Array,
        lr: float,
        scale: Any,
        count: int,
    ) -> None:
        m, v = moments
        rate, root = lr / (1 - BETA1**count), 1 / sqrt(1 - BETA2**count)
        decay, kept = self.decay(lr)
        fixed = (BETA1, BETA2, EPSILON)
        adam(self.backend.xp, w, g, m, v, a, scale, decay, kept, rate, root, *fixed)

    def decay(self, lr: float) -> tuple[float, float]:
        """Return the factor of w that is added to the gradient, and the factor that shrinks w."""
        return self.weight_decay, 1.0
