"""RMSprop (Tieleman and Hinton 2012) with decay 0.99 and ε = 1e-8.

v ← 0.99 v + 0.01 g²
w ← w - lr · g / (√v + ε)
"""

from __future__ import annotations

from typing import Any

from charrnn.backend import Array
from charrnn.backend.operations import operation
from charrnn.train.optimizers.base import Optimizer, add_decay

ALPHA = 0.99
EPSILON = 1e-8


@operation
def rmsprop(
    xp: Any,
    w: Array,
    g: Array,
    v: Array,
    a: Array,
    scale: Any,
    decay: float,
    lr: float,
    alpha: float,
    epsilon: float,
) -> bool | None:
    """Apply RMSprop."""
    add_decay(xp, w, g, a, scale, decay)
    xp.multiply(v, alpha, out=v)
    xp.multiply(g, g, out=a)
    xp.multiply(a, 1 - alpha, out=a)
    xp.add(v, a, out=v)
    xp.sqrt(v, out=a)
    xp.add(a, epsilon, out=a)
    xp.divide(g, a, out=a)
    xp.multiply(a, lr, out=a)
    xp.subtract(w, a, out=w)
    return None


class RMSprop(Optimizer):
    """RMSprop; weight decay is added to the gradient."""

    name = "rmsprop"
    compiled = True
    slots = ("v",)

    def update(
        self,
        w: Array,
        g: Array,
        moments: list[Array],
        a: Array,
        lr: float,
        scale: Any,
        count: int,
    ) -> bool | None:
        decay = self.weight_decay
        return rmsprop(self.backend.xp, w, g, moments[0], a, scale, decay, lr, ALPHA, EPSILON)
