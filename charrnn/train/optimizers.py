"""Optimizers over the flat parameter vector, in passes short enough for the processor's caches.

A rule sees one block of weights w and gradients g, its moments, and a scratch block a; it changes
w and the moments in place and uses g up. ``scale`` multiplies the gradient (what clipping by norm
asks for), ``decay`` · w is then added to it, and w is multiplied by ``kept`` before it is updated.
On a GPU each rule is one kernel over the whole vector.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import sqrt
from typing import Any, ClassVar

from charrnn.backend import Array, Backend
from charrnn.backend.operations import operation
from charrnn.errors import UsageError

BETA1, BETA2 = 0.9, 0.999
ALPHA = 0.99
EPSILON = 1e-8


def _scaled(xp: Any, w: Array, g: Array, a: Array, scale: Any, decay: float) -> None:
    """Make g the gradient that a rule applies: g · scale + decay · w."""
    xp.multiply(g, scale, out=g)
    if decay:
        xp.multiply(w, decay, out=a)
        xp.add(g, a, out=g)


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
    _scaled(xp, w, g, a, scale, decay)
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
    xp.multiply(a, rate, out=a)
    xp.subtract(w, a, out=w)


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
) -> None:
    """Apply RMSprop."""
    _scaled(xp, w, g, a, scale, decay)
    xp.multiply(v, alpha, out=v)
    xp.multiply(g, g, out=a)
    xp.multiply(a, 1 - alpha, out=a)
    xp.add(v, a, out=v)
    xp.sqrt(v, out=a)
    xp.add(a, epsilon, out=a)
    xp.divide(g, a, out=a)
    xp.multiply(a, lr, out=a)
    xp.subtract(w, a, out=w)


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
) -> None:
    """Apply stochastic gradient descent with momentum."""
    _scaled(xp, w, g, a, scale, decay)
    xp.multiply(u, momentum, out=u)
    xp.add(u, g, out=u)
    xp.multiply(u, lr, out=a)
    xp.subtract(w, a, out=w)


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
        block = self._scratch.size
        for start in range(0, weights.size, block):
            part = slice(start, start + block)
            w, g = weights[part], grads[part]
            moments = [self.moments[name][part] for name in self.slots]
            self.update(w, g, moments, self._scratch[: w.size], lr, scale, count)

    @abstractmethod
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
        """Apply the rule to one block."""


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015, arXiv 1412.6980) with β₁ = 0.9, β₂ = 0.999, ε = 1e-8.

    m ← β₁ m + (1 - β₁) g;  v ← β₂ v + (1 - β₂) g²
    w ← w - lr · m̂ / (√v̂ + ε),  with m̂ = m / (1 - β₁ᵗ),  v̂ = v / (1 - β₂ᵗ)
    """

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
        """Return by what w is multiplied to be added to the gradient, and by what it shrinks."""
        return self.weight_decay, 1.0


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv 1711.05101)."""

    def decay(self, lr: float) -> tuple[float, float]:
        return 0.0, 1 - lr * self.weight_decay


class RMSprop(Optimizer):
    """RMSprop (Tieleman and Hinton 2012) with decay 0.99 and ε = 1e-8.

    v ← 0.99 v + 0.01 g²;  w ← w - lr · g / (√v + ε)
    """

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
    ) -> None:
        decay = self.weight_decay
        rmsprop(self.backend.xp, w, g, moments[0], a, scale, decay, lr, ALPHA, EPSILON)


class SGD(Optimizer):
    """Stochastic gradient descent with momentum μ: u ← μ u + g;  w ← w - lr · u."""

    slots = ("u",)

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
        decay, momentum = self.weight_decay, self.momentum
        sgd(self.backend.xp, w, g, moments[0], a, scale, decay, lr, momentum)


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


def moments(name: str) -> int:
    """Return how many arrays of the size of the weights an optimizer keeps."""
    check(name)
    return len(_OPTIMIZERS[name].slots)


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
