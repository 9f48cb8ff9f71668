"""Optimizers over the flat parameter vector, in passes short enough for the processor's caches.

Each ``update`` sees one block of weights w and gradients g (already scaled by clipping), its
moments, and a scratch block; it changes w and the moments in place. The step count is 1 at the
first update.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import sqrt
from typing import Any, ClassVar

from charrnn.backend import Array, Backend
from charrnn.errors import UsageError


class Optimizer(ABC):
    """Moments for P parameters, and the rule that applies a gradient.

    Attributes
    ----------
    moments
        Flat arrays (P,) by name: what a checkpoint has to keep besides the step count.
    """

    slots: ClassVar[tuple[str, ...]] = ()

    def __init__(self, backend: Backend, like: Array, momentum: float, weight_decay: float) -> None:
        self.backend = backend
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.moments = {name: backend.xp.zeros_like(like) for name in self.slots}
        block = min(backend.block, like.size)
        self._scratch = backend.xp.empty(block, like.dtype)

    def apply(self, weights: Array, grads: Array, lr: float, scale: Any, count: int) -> None:
        """Update all weights.

        Parameters
        ----------
        weights, grads
            Flat, (P,); ``grads`` is used up.
        lr
            Learning rate.
        scale
            Factor for the gradient, a number or a 0-d array: what clipping by norm asks for.
        count
            Updates made so far, this one included.
        """
        xp = self.backend.xp
        block = self._scratch.size
        for start in range(0, weights.size, block):
            part = slice(start, start + block)
            w, g = weights[part], grads[part]
            a = self._scratch[: w.size]
            xp.multiply(g, scale, out=g)
            if self.weight_decay:
                self.decay(xp, w, g, lr, a)
            moments = [self.moments[name][part] for name in self.slots]
            self.update(xp, w, g, lr, count, moments, a)

    def decay(self, xp: Any, w: Array, g: Array, lr: float, a: Array) -> None:
        """Weight decay as an L2 penalty: g += decay · w."""
        xp.multiply(w, self.weight_decay, out=a)
        xp.add(g, a, out=g)

    @abstractmethod
    def update(
        self, xp: Any, w: Array, g: Array, lr: float, count: int, moments: list[Array], a: Array
    ) -> None:
        """Apply g to w; ``a`` is a scratch block."""


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015, arXiv 1412.6980) with β₁ = 0.9, β₂ = 0.999, ε = 1e-8.

    m ← β₁ m + (1 - β₁) g;  v ← β₂ v + (1 - β₂) g²
    w ← w - lr · m̂ / (√v̂ + ε),  with m̂ = m / (1 - β₁ᵗ),  v̂ = v / (1 - β₂ᵗ)
    """

    slots = ("m", "v")
    beta1, beta2, epsilon = 0.9, 0.999, 1e-8

    def update(
        self, xp: Any, w: Array, g: Array, lr: float, count: int, moments: list[Array], a: Array
    ) -> None:
        m, v = moments
        xp.subtract(g, m, out=a)
        xp.multiply(a, 1 - self.beta1, out=a)
        xp.add(m, a, out=m)
        xp.multiply(g, g, out=a)
        xp.subtract(a, v, out=a)
        xp.multiply(a, 1 - self.beta2, out=a)
        xp.add(v, a, out=v)
        xp.sqrt(v, out=a)
        xp.multiply(a, 1 / sqrt(1 - self.beta2**count), out=a)
        xp.add(a, self.epsilon, out=a)
        xp.divide(m, a, out=a)
        xp.multiply(a, lr / (1 - self.beta1**count), out=a)
        xp.subtract(w, a, out=w)


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv 1711.05101)."""

    def decay(self, xp: Any, w: Array, g: Array, lr: float, a: Array) -> None:
        """W ← w - lr · decay · w, apart from the gradient."""
        xp.multiply(w, 1 - lr * self.weight_decay, out=w)


class RMSprop(Optimizer):
    """RMSprop (Tieleman and Hinton 2012) with decay 0.99 and ε = 1e-8.

    v ← 0.99 v + 0.01 g²;  w ← w - lr · g / (√v + ε)
    """

    slots = ("v",)
    alpha, epsilon = 0.99, 1e-8

    def update(
        self, xp: Any, w: Array, g: Array, lr: float, count: int, moments: list[Array], a: Array
    ) -> None:
        (v,) = moments
        xp.multiply(v, self.alpha, out=v)
        xp.multiply(g, g, out=a)
        xp.multiply(a, 1 - self.alpha, out=a)
        xp.add(v, a, out=v)
        xp.sqrt(v, out=a)
        xp.add(a, self.epsilon, out=a)
        xp.divide(g, a, out=a)
        xp.multiply(a, lr, out=a)
        xp.subtract(w, a, out=w)


class SGD(Optimizer):
    """Stochastic gradient descent with momentum μ: u ← μ u + g;  w ← w - lr · u."""

    slots = ("u",)

    def update(
        self, xp: Any, w: Array, g: Array, lr: float, count: int, moments: list[Array], a: Array
    ) -> None:
        (u,) = moments
        xp.multiply(u, self.momentum, out=u)
        xp.add(u, g, out=u)
        xp.multiply(u, lr, out=a)
        xp.subtract(w, a, out=w)


_OPTIMIZERS: dict[str, type[Optimizer]] = {
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RMSprop,
    "sgd": SGD,
}
NAMES = tuple(_OPTIMIZERS)


def check(name: str) -> None:
    """Raise :class:`UsageError` if there is no optimizer of that name."""
    if name not in _OPTIMIZERS:
        raise UsageError(f"unknown optimizer {name!r}", f"choose one of {', '.join(NAMES)}")


def create(
    name: str, backend: Backend, like: Array, momentum: float, weight_decay: float
) -> Optimizer:
    """Return the optimizer called ``name`` for parameters like the flat array ``like``.

    Raises
    ------
    UsageError
        If there is no such optimizer.
    """
    check(name)
    return _OPTIMIZERS[name](backend, like, momentum, weight_decay)
