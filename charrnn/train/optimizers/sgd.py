"""Stochastic gradient descent with momentum μ.

u ← μ u + g
w ← w - lr · u
"""

from __future__ import annotations

from typing import Any, ClassVar

from charrnn.backend import Array
from charrnn.backend.operations import operation
from charrnn.options import TRAINING, Option
from charrnn.train.optimizers.base import Optimizer, add_decay


@operation
def sgd(
    xp: Any,
    w: Array,
    g: Array,
    u: Array,
    a: Array,
    scale: Any,
    decay: float,
    lr: float,
    momentum: float,
) -> bool | None:
    """Apply stochastic gradient descent with momentum."""
    add_decay(xp, w, g, a, scale, decay)
    xp.multiply(u, momentum, out=u)
    xp.add(u, g, out=u)
    xp.multiply(u, lr, out=a)
    xp.subtract(w, a, out=w)
    return None


class SGD(Optimizer):
    """Gradient descent with momentum; weight decay is added to the gradient."""

    name = "sgd"
    compiled = True
    slots = ("u",)
    options: ClassVar = {
        "momentum": Option(
            0.9,
            "Fraction of the previous update that is kept.",
            group=TRAINING,
            least=0,
            below=1,
        )
    }
    of_moments = ("momentum",)
    momentum: float

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
        decay, momentum = self.weight_decay, self.momentum
        return sgd(self.backend.xp, w, g, moments[0], a, scale, decay, lr, momentum)
