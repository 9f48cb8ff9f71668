"""Adam (Kingma and Ba 2015, arXiv 1412.6980) with β₁ = 0.9, β₂ = 0.999, ε = 1e-8.

m ← β₁ m + (1 - β₁) g
v ← β₂ v + (1 - β₂) g²
w ← w - lr · m̂ / (√v̂ + ε),    m̂ = m / (1 - β₁ᵗ),    v̂ = v / (1 - β₂ᵗ)
"""

from __future__ import annotations

from math import sqrt
from typing import Any, ClassVar, NamedTuple

from charrnn.backend import Array
from charrnn.backend.operations import operation
from charrnn.train.optimizers.base import Optimizer, add_decay

BETA1 = 0.9
EPSILON = 1e-8


class Rule(NamedTuple):
    """The numbers of an update.

    Attributes
    ----------
    decay
        The factor of w that is added to the gradient.
    kept
        The factor that shrinks w.
    root
        1 / √(1 - β₂ᵗ).
    beta1, beta2, epsilon
        β₁, β₂ and ε.
    """

    decay: float
    kept: float
    root: float
    beta1: float
    beta2: float
    epsilon: float


def direction(
    xp: Any,
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    a: Array,
    scale: Any,
    rule: Rule,
) -> None:
    """Update the moments, shrink w, and leave m / (√v · root + ε) in a."""
    add_decay(xp, w, g, a, scale, rule.decay)
    if rule.kept != 1.0:
        xp.multiply(w, rule.kept, out=w)
    xp.subtract(g, m, out=a)
    xp.multiply(a, 1 - rule.beta1, out=a)
    xp.add(m, a, out=m)
    xp.multiply(g, g, out=a)
    xp.subtract(a, v, out=a)
    xp.multiply(a, 1 - rule.beta2, out=a)
    xp.add(v, a, out=v)
    xp.sqrt(v, out=a)
    xp.multiply(a, rule.root, out=a)
    xp.add(a, rule.epsilon, out=a)
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
    rate: float,
    rule: Rule,
) -> bool | None:
    """Apply Adam: ``rate`` is lr / (1 - β₁ᵗ)."""
    direction(xp, w, g, m, v, a, scale, rule)
    xp.multiply(a, rate, out=a)
    xp.subtract(w, a, out=w)
    return None


class Adam(Optimizer):
    """Adam; weight decay is added to the gradient."""

    name = "adam"
    compiled = True
    slots = ("m", "v")
    beta2: ClassVar = 0.999

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
        m, v = moments
        rate, rule = self.rate(lr, count), self.rule(lr, count)
        return adam(self.backend.xp, w, g, m, v, a, scale, rate, rule)

    def rate(self, lr: float, count: int) -> float:
        """Return lr / (1 - β₁ᵗ)."""
        return lr / (1 - BETA1**count)

    def rule(self, lr: float, count: int) -> Rule:
        """Return the other numbers of update t."""
        root = 1 / sqrt(1 - self.beta2**count)
        return Rule(*self.decay(lr), root, BETA1, self.beta2, EPSILON)

    def decay(self, lr: float) -> tuple[float, float]:
        """Return the factor of w that is added to the gradient, and the factor that shrinks w."""
        return self.weight_decay, 1.0
