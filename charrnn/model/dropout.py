"""Inverted dropout (Srivastava et al. 2014): of the layers' outputs, and of the recurrent weights.

Upward connections are dropped by element, step and stream (Zaremba et al. 2014, arXiv 1409.2329).
Recurrent ones are dropped by weight, for all steps and streams of an update alike, so that the
network within an update is an ordinary one. A mask is a pure function of seed, step and layer, so a
resumed run draws the same ones. It is drawn on the model's device, with the same bits on every
device, so no mask is ever copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import numpy as np

from charrnn import randomness
from charrnn.backend import Array, Backend, philox
from charrnn.backend.operations import operation
from charrnn.backend.philox import Key
from charrnn.model.parameters import Parameters
from charrnn.randomness import Purpose


def run_in_turn(tasks: Sequence[Callable[[], Any]]) -> None:
    """Call each task."""
    for task in tasks:
        task()


@operation
def draw(xp: Any, out: Array, key: Key, threshold: int, scale: float) -> None:
    """Write ``scale`` for each element whose 32 random bits reach ``threshold``, else 0.

    ``out`` is contiguous.
    """
    if xp.__name__ == "numpy":
        bits = randomness.words(key.seed, key.purpose, out.size, step=key.step, layer=key.layer)
        kept = bits >= np.uint32(threshold)
    else:
        kept = philox.words(xp, key, out.size) >= xp.uint64(threshold)
    xp.multiply(kept.reshape(out.shape), out.dtype.type(scale), out=out)


class Masks:
    """The dropout masks of a window, one for the output of each layer.

    A mask holds 0 with probability ``rate`` and 1 / (1 - rate) otherwise: an element is dropped if
    its 32 random bits, read as an integer, are below rate · 2^32.

    Parameters
    ----------
    backend
        The backend to draw on.
    rate
        The probability of dropping an element; 0 for no dropout.
    arrays
        Where the mask of each layer's output is drawn, (T, H, N); none without dropout.
    """

    def __init__(self, backend: Backend, rate: float, arrays: Sequence[Array]) -> None:
        self._backend, self._rate, self._xp = backend, rate, backend.xp
        self._threshold, self._scale = _limits(rate)
        self._arrays = arrays
        self._cut: dict[int, tuple[Array, ...]] = {}

    def and_of(self, further: Array) -> Masks:
        """Return these masks, and one more of what is not a layer's output."""
        return Masks(self._backend, self._rate, [*self._arrays, further])

    def draw(
        self, seed: int, step: int, steps: int, run: Callable[..., Any] = run_in_turn
    ) -> tuple[Array, ...] | None:
        """Draw the masks of an update's first ``steps`` steps; return them, bottom layer first.

        They are always in the same memory, and the same tuple object for the same number of steps.
        ``run`` calls a list of functions without arguments, one per layer, in any order or at the
        same time.

        Returns
        -------
        One array (steps, H, N) per layer; None without dropout.
        """
        if not self._arrays:
            return None
        if steps not in self._cut:
            self._cut[steps] = tuple(array[:steps] for array in self._arrays)
        masks = self._cut[steps]
        keys = [Key(seed, Purpose.DROPOUT, step, layer) for layer in range(len(masks))]
        run(
            [
                partial(draw, self._xp, mask, key, self._threshold, self._scale)
                for mask, key in zip(masks, keys, strict=True)
            ]
        )
        return masks


class RecurrentDropout:
    """DropConnect on the recurrent weights (Wan et al. 2013; Merity et al. 2018, arXiv 1708.02182).

        W' = W ∘ m                  m: 0 with probability ``rate``, else 1 / (1 - rate)
        ∂L/∂W = ∂L/∂W' ∘ m

    Every update has other masks, which depend on seed, step and the weights' place alone.

    Parameters
    ----------
    weights
        Of the whole model; those whose names hold ``weight_hh`` are dropped.
    rate
        The probability of dropping a weight; 0 for none.
    backend
        Where the weights are.
    """

    def __init__(self, weights: Parameters, rate: float, backend: Backend) -> None:
        self._xp, self._weights = backend.xp, weights
        self._threshold, self._scale = _limits(rate)
        self._names = [name for name in weights if "weight_hh" in name] if rate else []
        like = backend.xp.empty_like
        self._masks = {name: like(weights[name]) for name in self._names}
        self._whole = {name: like(weights[name]) for name in self._names}

    def drawn(self, seed: int, step: int, grads: Parameters) -> AbstractContextManager[None]:
        """Drop weights within the context, which computes ``grads`` for those that are left."""
        return self._drawn(seed, step, grads) if self._names else nullcontext()

    @contextmanager
    def _drawn(self, seed: int, step: int, grads: Parameters) -> Iterator[None]:
        for place, name in enumerate(self._names):
            self._drop(name, seed, step, place)
        try:
            yield
        finally:
            for name in self._names:
                self._weights[name][...] = self._whole[name]
        for name in self._names:
            self._xp.multiply(grads[name], self._masks[name], out=grads[name])

    def _drop(self, name: str, seed: int, step: int, place: int) -> None:
        weight, mask = self._weights[name], self._masks[name]
        self._whole[name][...] = weight
        key = Key(seed, Purpose.RECURRENT_DROPOUT, step, place)
        draw(self._xp, mask, key, self._threshold, self._scale)
        self._xp.multiply(weight, mask, out=weight)


def _limits(rate: float) -> tuple[int, float]:
    """Return the random bits from which on an element is kept, and its factor."""
    return randomness.threshold(rate), 1.0 / (1.0 - rate)
