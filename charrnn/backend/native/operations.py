"""Compiled implementations of operations (see :mod:`charrnn.backend.operations`), for float32.

Each takes the arguments of the plain definition.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import sqrt
from typing import Any

import numpy as np

from charrnn.backend.array import Array
from charrnn.backend.native import jobs
from charrnn.backend.native.core import Core, address

BLOCK = 4096
"""Elements whose squares are summed in float32; the sums of blocks are added in float64."""


def implementation(name: str, core: Core) -> Callable[..., Any] | None:
    """Return the compiled implementation of operation ``name``, if there is one."""
    compiled = _COMPILED.get(name)
    return None if compiled is None else partial(compiled, core)


def adam(
    core: Core,
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    a: Array,
    scale: Any,
    rate: float,
    rule: Any,
) -> bool:
    """Apply Adam."""
    return _update(core, "adam", _adam(w, g, m, v, scale, rate, rule), 16.0)


def direct(
    core: Core,
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    a: Array,
    scale: Any,
    rule: Any,
) -> bool:
    """Find the direction of a cautious update."""
    return _update(core, "direct", _adam(w, g, m, v, scale, 0.0, rule), 16.0)


def _adam(w: Array, g: Array, m: Array, v: Array, scale: Any, rate: float, rule: Any) -> Any:
    keep = 1 - rule.beta1, 1 - rule.beta2
    numbers = scale, rule.decay, rule.kept, rate, rule.root, *keep, rule.epsilon
    return jobs.Adam(w.size, *map(address, (w, g, m, v)), *numbers)


def move(core: Core, w: Array, u: Array, a: Array, rate: Any) -> bool:
    """Move the weights."""
    return _update(core, "move", jobs.Move(w.size, address(w), address(u), rate), 4.0)


def sgd(
    core: Core,
    w: Array,
    g: Array,
    u: Array,
    a: Array,
    scale: Any,
    decay: float,
    lr: float,
    momentum: float,
) -> bool:
    """Apply stochastic gradient descent with momentum."""
    job = jobs.Sgd(w.size, *map(address, (w, g, u)), scale, decay, lr, momentum)
    return _update(core, "sgd", job, 8.0)


def rmsprop(
    core: Core,
    w: Array,
    g: Array,
    v: Array,
    a: Array,
    scale: Any,
    decay: float,
    lr: float,
    alpha: float,
    epsilon: float,
) -> bool:
    """Apply RMSprop."""
    numbers = scale, decay, lr, alpha, 1 - alpha, epsilon
    return _update(core, "rmsprop", jobs.Rmsprop(w.size, *map(address, (w, g, v)), *numbers), 16.0)


def _update(core: Core, name: str, job: Any, each: float) -> bool:
    """Call an update, ``each`` operations a weight; return whether all it writes is finite."""
    core.call(name, job, each * job.count)
    return not job.broken


def norm(core: Core, flat: Array) -> Array:
    """Return the Euclidean norm: blocks of squares in float32, their sum in float64."""
    job = jobs.Squares(flat.size, address(flat), BLOCK)
    core.call("squares", job, 2.0 * flat.size)
    return np.float32(sqrt(job.total))


def draw(core: Core, out: Array, key: Any, threshold: int, scale: float) -> None:
    """Draw a dropout mask of up to three axes, in any memory layout."""
    more = (1,) * (3 - out.ndim)
    strides = (stride // out.itemsize for stride in out.strides)
    job = jobs.Dropout(
        *more, *out.shape, *more, *strides, *key.words, threshold, scale, address(out)
    )
    core.call("dropout", job, 16.0 * out.size)


def column_sums(core: Core, rows: Array, ids: Array, out: Array) -> None:
    """Sum the columns of each symbol."""
    sums = np.empty(out.shape[::-1], np.float32)
    symbols = np.ascontiguousarray(ids, np.int32)
    core.symbol_sums(np.ascontiguousarray(rows.T), symbols, sums)
    out[...] = sums.T


_COMPILED: dict[str, Callable[..., Any]] = {
    "train.optimizers.adam.adam": adam,
    "train.optimizers.cautious.direct": direct,
    "train.optimizers.cautious.move": move,
    "train.optimizers.sgd.sgd": sgd,
    "train.optimizers.rmsprop.rmsprop": rmsprop,
    "model.parameters.norm": norm,
    "model.dropout.draw": draw,
    "model.onehot.column_sums": column_sums,
}
