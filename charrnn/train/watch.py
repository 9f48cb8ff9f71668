"""Watching gradients during training: norms by layer, clipping, update ratios, every few steps."""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np

from charrnn.backend import Array, Backend
from charrnn.model.network import DECODER, RNN
from charrnn.model.parameters import Parameters
from charrnn.model.sequences.bidirectional import BACK
from charrnn.model.transducer.decoder import RNN as TARGET_RNN
from charrnn.train.records import Watch


def layer_of(name: str) -> str:
    """Return the layer a parameter belongs to: ``embedding``, ``l0``, ``l1``, …, ``decoder``.

    Both directions of a layer are one. Of a transducer there are also ``bridge``,
    ``target_embedding``, ``target_l0``, …, and ``attention``.
    """
    if name.startswith(DECODER):
        return "decoder"
    for prefix, of in ((RNN, ""), (TARGET_RNN, "target_")):
        if name.startswith(prefix):
            return of + name.removesuffix(BACK).rpartition("_")[2]
    return name.partition(".")[0]


class Watcher:
    """Gathers a :class:`~charrnn.train.records.Watch` every ``every`` steps.

    In those steps it costs a copy of the weights and a few passes over them, all on the backend,
    and one transfer to the host; in all other steps, one addition.
    """

    def __init__(self, backend: Backend, weights: Parameters, every: int) -> None:
        self.backend, self.every = backend, every
        self._parts: dict[str, slice] = {}
        start = 0
        for name, array in weights.items():  # a layer's parameters are contiguous
            layer = layer_of(name)
            first = self._parts[layer].start if layer in self._parts else start
            start += array.size
            self._parts[layer] = slice(first, start)
        self._before: Array = None
        self._norms: list[Array] = []
        self._clipped: Any = 0
        self._steps = 0

    def resume(self, steps: int, clipped: int) -> None:
        """Count from ``steps`` updates since the last record, of which ``clipped`` were clipped."""
        self._steps, self._clipped = steps, clipped

    def counts(self) -> tuple[int, int]:
        """Return the updates since the last record, and how many of them were clipped."""
        clipped = self._clipped
        return self._steps, clipped if isinstance(clipped, int) else int(self.backend.get(clipped))

    def begin(self, step: int, weights: Array, grads: Array) -> None:
        """Record the gradient of update ``step`` before clipping."""
        self._norms = []
        if step % self.every == 0:
            self._norms = self._by_layer(grads)
            self._before = weights.copy()

    def end(self, weights: Array, scale: Any) -> None:
        """Record the weights after the update, whose gradient was multiplied by ``scale``."""
        self._clipped = self._clipped + (scale < 1.0)
        self._steps += 1
        if self._norms:
            old = self._by_layer(self._before)
            self.backend.xp.subtract(weights, self._before, out=self._before)
            self._norms += [*self._by_layer(self._before), *old]

    def record(self, step: int) -> Watch:
        """Return the record of what was gathered since the last one."""
        xp, count = self.backend.xp, len(self._parts)
        squares = self.backend.get(xp.stack(self._norms)).astype(np.float64)
        steps, clipped = self.counts()
        grads, moved, weights = squares[:count], squares[count : 2 * count], squares[2 * count :]
        with np.errstate(all="ignore"):
            ratios = np.sqrt(moved / weights)
            whole = float(np.sqrt(moved.sum() / weights.sum()))
        names = list(self._parts)
        watch = Watch(
            step=step,
            grad_norms=_finite(names, np.sqrt(grads)),
            update_ratios=_finite(names, ratios) | _finite(["global"], np.array([whole])),
            clip_rate=clipped / max(1, steps),
        )
        self._clipped, self._steps = 0, 0
        return watch

    def _by_layer(self, flat: Array) -> list[Array]:
        """Return the squared norm of every layer's part, 0-d each."""
        dot = self.backend.xp.dot
        return [dot(flat[part], flat[part]) for part in self._parts.values()]


def _finite(names: list[str], values: np.ndarray) -> dict[str, float | None]:
    """Return the values by name, None for non-finite ones."""
    numbers = [float(value) for value in values]
    return {n: v if isfinite(v) else None for n, v in zip(names, numbers, strict=True)}
