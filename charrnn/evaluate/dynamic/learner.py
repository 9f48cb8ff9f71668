"""How a copy of a model learns from a window that it has scored."""

from __future__ import annotations

from typing import Any

import numpy as np

from charrnn.backend import Array
from charrnn.evaluate.dynamic.settings import Dynamic
from charrnn.model.language import LanguageModel
from charrnn.model.network import recurrent_bytes
from charrnn.model.window import Window
from charrnn.text.units.pieces import Ids

PIECE = 32
"""S: steps through which the gradient flows back."""
WINDOW, LARGE_WINDOW = 256, 512
"""T, and the T of a model whose head multiplies by more weights than its layers do."""
MOST_SKIPPED = 4
"""Of how many pieces at most one is learned from."""
FLOOR = 0.1
"""ε: the least divisor of a gradient, as a share of the root mean square of all gradients."""


class Learner:
    """A copy of a language model, and the rule by which it learns; the equations are in `scoring`.

    Attributes
    ----------
    model
        The copy.
    steps
        T: symbols of a window.
    """

    def __init__(self, model: LanguageModel, how: Dynamic) -> None:
        weights = model.backend.get(model.weights.flat).copy()
        self.model = LanguageModel(model.config, model.V, model.backend, weights)
        self._how, self._trained = how, model.weights.trained.flat
        xp, flat = model.backend.xp, self.model.weights.trained.flat
        ratio = _head_ratio(model)
        self.steps = window_of(model, how)
        number = max(1, self.steps // PIECE)
        self._shape = number, self.steps // number
        skipped = min(ratio, MOST_SKIPPED, number)
        self._numbers = slice(skipped - 1, number, skipped)
        self._pieces = self.model.window(self._shape[1], len(range(number)[self._numbers]))
        self._gradient = self.model.weights.trained.like(xp.empty_like(flat))
        self._squares = xp.zeros_like(flat)
        self._scratch = xp.empty(min(model.backend.block, flat.size), flat.dtype)
        self._updates = 0

    def window(self) -> Window:
        """Return a window to score the text in, of one stream."""
        return self.model.window(self.steps, 1, backward=False)

    @np.errstate(all="ignore")  # a rate that is far too high shows in the score
    def learn(self, window: Window, ids: Ids) -> None:
        """Learn from the T + 1 symbols whose scores have just been computed in ``window``.

        Pieces of S steps are streams beside each other, each from the state in which the window
        came to it, so that they cost little more than one.
        """
        number, length = self._shape
        read = dict(window.states())
        for name, start in self._pieces.states():
            states = read[name]
            start[0] = states[0 : number * length : length, :, 0][self._numbers].T
        inputs, targets = (self._cut(part) for part in (ids[:-1], ids[1:]))
        with self.model.inference(self._pieces.streams):
            self.model.loss_and_gradient(self._pieces, inputs, targets, self._gradient)
        self._updates += 1
        self._update()

    def _cut(self, ids: Ids) -> Array:
        number, length = self._shape
        pieces = ids[: number * length].reshape(number, length)[self._numbers]
        return self.model.backend.put(np.ascontiguousarray(pieces.T))

    def _update(self) -> None:
        """Move the weights, a block at a time, by their gradient, which is overwritten."""
        xp, flat, squares = self.model.backend.xp, self.model.weights.trained.flat, self._squares
        number, size = flat.dtype.type, self._scratch.size
        parts = [slice(at, at + size) for at in range(0, flat.size, size)]
        total: Any = 0.0
        for part in parts:
            g, m = self._gradient.flat[part], squares[part]
            a = self._scratch[: g.size]
            xp.multiply(g, g, out=a)
            xp.add(m, a, out=m)
            total = total + m.sum(dtype=np.float64)
        mean = xp.sqrt(total / (self._updates * flat.size))
        floor = xp.maximum(FLOOR * mean, np.finfo(flat.dtype).tiny).astype(flat.dtype)
        lr, decay = number(-self._how.dynamic_lr), number(self._how.dynamic_decay)
        share = number(1 / self._updates)
        for part in parts:
            w, g = flat[part], self._gradient.flat[part]
            a = self._scratch[: g.size]
            xp.multiply(squares[part], share, out=a)
            xp.sqrt(a, out=a)
            xp.add(a, floor, out=a)
            xp.divide(g, a, out=g)
            xp.multiply(g, lr, out=g)
            xp.subtract(self._trained[part], w, out=a)
            xp.multiply(a, decay, out=a)
            xp.add(w, a, out=w)
            xp.add(w, g, out=w)


def window_of(model: LanguageModel, how: Dynamic) -> int:
    """Return T, the symbols that a model scores between two updates."""
    return how.dynamic_window or (LARGE_WINDOW if _head_ratio(model) > 1 else WINDOW)


def _head_ratio(model: LanguageModel) -> int:
    """Return how many times as many weights the head multiplies by as the recurrence, rounded up.

    The head costs three products to learn from and one to score. The recurrence of a single
    stream waits for its weights, so that beside it many streams learn at little cost.
    """
    config = model.config
    recurrent = config.layers * recurrent_bytes(config) // np.dtype(config.dtype).itemsize
    return -(-model.V * config.hidden // recurrent)
