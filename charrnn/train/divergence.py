"""Divergence: what is not finite, or far too large, is noticed before it is kept.

Training has diverged where a loss, a gradient, a weight, an optimizer's moment or a carried state
is not finite; where the loss of a window or of the validation text is more than :data:`EXPLODED`
nats above ln V, what a guess among V symbols costs; and where a run is to end although its loss is
more than :data:`USELESS` nat above ln V. How far a loss rises depends on units and learning rate
alone, not on V: cells with bounded states reached 160 nats with up to 512 units at rates up to 0.05
(every optimizer, first steps included), and 1,000 to 2,000,000 at a rate of 1000. The states of a
rnn with relu have no bound; its loss passes a million and comes down again, so there only what is
not finite, and the end, count.

A sum over an array is not finite if one of its elements is not, so a pass over each array finds
out. On NumPy that happens in every step. A GPU would have to be waited for, so there it happens
where a record or a checkpoint brings numbers to the host anyway; what is not finite stays so in
the weights until then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import inf, isfinite, log
from typing import Any

import numpy as np

from charrnn.backend import Array
from charrnn.errors import CharRNNError, setting
from charrnn.model.language import LanguageModel
from charrnn.model.parameters import Parameters
from charrnn.model.shards import Shards

EXPLODED = 1000.0
"""Nats above ln V; such a loss is divergence at any step where states are bounded."""
USELESS = 1.0
"""Nats above ln V; where a run would end with such a loss, it has diverged."""


class DivergedError(CharRNNError):
    """Training has diverged.

    Attributes
    ----------
    step
        The update in which it was noticed, or after which, if that was between two.
    tensor
        What was not finite, or too large: a weight by its name, ``gradient.NAME`` of one,
        ``optimizer.MOMENT.NAME`` of one, ``state.NAME``, ``loss``, ``gradient norm``,
        ``smoothed loss`` or ``validation loss``.
    value
        The number that was found there.
    """

    def __init__(self, step: int, tensor: str, value: float) -> None:
        self.step, self.tensor, self.value = step, tensor, value
        super().__init__(
            f"training diverged at step {step}: {tensor} is {value:g}",
            f"lower {setting('lr')} or {setting('clip_norm')}",
        )


class Guard:
    """Looks for what is not finite among the arrays of a training run.

    Attributes
    ----------
    every_step
        Whether looking costs no waiting, so that every step is looked at.
    """

    def __init__(
        self,
        model: LanguageModel,
        grads: Parameters,
        moments: dict[str, Array],
        window: Shards,
    ) -> None:
        self.every_step = model.backend.synchronous
        self._backend, self._weights = model.backend, model.weights
        self._grads, self._moments, self._window = grads, moments, window
        self._guess = log(model.V)  # nats a symbol
        self._most = self._guess + EXPLODED if model.stack.cell.bounded else inf

    def states(self, step: int) -> None:
        """Raise :class:`DivergedError` for a carried state, before it is read or zeroed."""
        for _, sequence in self._window.states():
            if not isfinite(sequence[0].sum()):
                self._raise(step)

    def gradient(self, step: int, loss: Any, norm: Any) -> None:
        """Raise :class:`DivergedError` if loss or gradient are not finite, before the update."""
        if not isfinite(norm):
            self._raise(step, "gradient norm", float(norm))
        self.loss(step, "loss", float(loss))

    def update(self, step: int) -> None:
        """Raise :class:`DivergedError` if a weight or a moment is not finite after the update."""
        for flat in (self._weights.flat, *self._moments.values()):
            if not isfinite(flat.sum()):
                self._raise(step)

    def loss(self, step: int, name: str, value: float) -> None:
        """Raise :class:`DivergedError` for a loss that is not finite or has exploded."""
        if not isfinite(value):
            self._raise(step, name, value)
        if value > self._most:
            raise DivergedError(step, name, value)

    def end(self, step: int, loss: float, smoothed: float) -> None:
        """Raise :class:`DivergedError` if a run is to end although a guess is better by far."""
        if min(loss, smoothed) > self._guess + USELESS:
            raise DivergedError(step, "smoothed loss", smoothed)

    @np.errstate(all="ignore")
    def total(self) -> Array:
        """Return a number (0-d) that is not finite if a state, weight or moment is not."""
        total = self._weights.flat.sum()
        for flat in self._moments.values():
            total = total + flat.sum()
        for _, sequence in self._window.states():
            total = total + sequence[0].sum()
        return total

    def everything(self, step: int, total: float | None = None) -> None:
        """Raise :class:`DivergedError` if anything is not finite; waits for a GPU."""
        if not isfinite(float(self._backend.get(self.total())) if total is None else total):
            self._raise(step)

    def _raise(self, step: int, name: str = "", value: float = 0.0) -> None:
        """Raise, naming the array at fault; else what ``name`` says; without it, return.

        A sum of finite numbers may overflow, which is no divergence.
        """
        for tensor, array in self._suspects():
            host = self._backend.get(array)
            bad = host[~np.isfinite(host)]
            if bad.size:
                raise DivergedError(step, tensor, float(bad[0]))
        if name:
            raise DivergedError(step, name, value)

    def _suspects(self) -> Iterator[tuple[str, Array]]:
        """Yield arrays by name, what may have spoilt others first.

        A weight spoils the gradients, and they the moments; but where all gradients are finite and
        a moment is not, it is the moment that spoilt the weight.
        """
        for name, sequence in self._window.states():
            yield f"state.{name}", sequence[0]
        moments = [
            (f"optimizer.{moment}.{name}", array)
            for moment, flat in self._moments.items()
            for name, array in self._weights.like(flat).items()
        ]
        if np.isfinite(self._backend.get(self._grads.flat)).all():
            yield from moments
        yield from self._weights.items()
        for name, array in self._grads.items():
            yield f"gradient.{name}", array
        yield from moments


@np.errstate(all="ignore")
def all_finite(arrays: Iterable[np.ndarray]) -> bool:
    """Whether the sums of host arrays are finite; then so is every element."""
    return all(isfinite(array.sum()) for array in arrays)
