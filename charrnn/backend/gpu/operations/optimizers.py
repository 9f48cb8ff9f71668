"""Update rules: one launch for the whole parameter vector."""

from __future__ import annotations

from typing import Any

from charrnn.backend.array import Array
from charrnn.backend.gpu.kernels import THREADS, CudaSource, Gpu, blocks, launches

CUDA = CudaSource("optimizers.cu")


@launches("train.optimizers.adam.adam", CUDA)
def adam(
    gpu: Gpu,
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    a: Array,
    scale: Any,
    rate: float,
    rule: Any,
) -> None:
    """One thread updates an element of the weights and of both moments."""
    _launch(gpu, "adam", w, g, (m, v), scale, rate, *_numbers(rule))


@launches("train.optimizers.cautious.direct", CUDA)
def direct(
    gpu: Gpu,
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    a: Array,
    scale: Any,
    rule: Any,
) -> None:
    """One thread updates both moments of a weight and finds its direction."""
    _launch(gpu, "direct", w, g, (m, v), scale, *_numbers(rule))


@launches("train.optimizers.cautious.move", CUDA)
def move(gpu: Gpu, w: Array, u: Array, a: Array, rate: Any) -> None:
    """One thread moves a weight."""
    _launch(gpu, "move", w, u, (), rate)


@launches("train.optimizers.rmsprop.rmsprop", CUDA)
def rmsprop(
    gpu: Gpu,
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
    """One thread updates an element of the weights and of the moment."""
    _launch(gpu, "rmsprop", w, g, (v,), scale, decay, lr, alpha, 1 - alpha, epsilon)


@launches("train.optimizers.sgd.sgd", CUDA)
def sgd(
    gpu: Gpu,
    w: Array,
    g: Array,
    u: Array,
    a: Array,
    scale: Any,
    decay: float,
    lr: float,
    momentum: float,
) -> None:
    """One thread updates an element of the weights and of the velocity."""
    _launch(gpu, "sgd", w, g, (u,), scale, decay, lr, momentum)


def _numbers(rule: Any) -> tuple[float, ...]:
    """Return the numbers of Adam's rule as the kernels take them."""
    return rule.decay, rule.kept, rule.root, 1 - rule.beta1, 1 - rule.beta2, rule.epsilon


def _launch(
    gpu: Gpu, name: str, w: Array, g: Array, moments: tuple[Array, ...], scale: Any, *rest: float
) -> None:
    factor = (None, scale) if isinstance(scale, float) else (scale, 1.0)
    size = w.size
    arguments = (w, g, *moments, size, *factor, *rest)
    gpu.launch(w.dtype, name, blocks(size), THREADS, *arguments)
