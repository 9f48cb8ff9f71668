"""The character model: symbols → (embedding) → stack → head.

Parameters in one flat vector, named as a PyTorch model of ``embedding``, ``rnn`` and ``decoder``
names them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from charrnn.backend import Array, Backend, numpy_backend
from charrnn.backend.array import Computation
from charrnn.config import ModelConfig
from charrnn.model import initialise
from charrnn.model.head import LanguageModelHead
from charrnn.model.layer import flatten
from charrnn.model.onehot import column_sums
from charrnn.model.parameters import Parameters
from charrnn.model.stack import Stack, Window
from charrnn.randomness import Purpose, generator

EMBEDDING = "embedding.weight"
RNN = "rnn."
DECODER = "decoder."
RECORDED = 8
"""Passes over one window that are recorded at most; each needs memory."""


class LanguageModel:
    """Weights and the computations on them: loss and gradient, surprisal, next-symbol distribution.

    Parameters
    ----------
    config
        The architecture.
    vocabulary
        V, the number of symbols.
    backend
        Where to compute; NumPy by default.
    weights
        Flat host vector of parameters; zeros if not given.
    """

    def __init__(
        self,
        config: ModelConfig,
        vocabulary: int,
        backend: Backend | None = None,
        weights: np.ndarray | None = None,
    ) -> None:
        self.config = config
        self.V = vocabulary
        self.backend = backend or numpy_backend()
        self.stack = Stack(config, config.embed or vocabulary, self.backend)
        self.head = LanguageModelHead(config.hidden, vocabulary, self.backend, DECODER)
        dtype = np.dtype(config.dtype)
        if weights is None:
            self.weights = Parameters.zeros(self.shapes(), self.backend.xp, dtype)
        else:
            self.weights = Parameters(self.shapes(), self.backend.put(weights, dtype))

    @classmethod
    def fresh(
        cls, config: ModelConfig, vocabulary: int, seed: int, backend: Backend | None = None
    ) -> LanguageModel:
        """Return a model with initial weights drawn from ``seed``, the same on every backend."""
        host = Parameters.zeros(cls.describe(config, vocabulary), np, np.float64)
        stack = Stack(config, config.embed or vocabulary)
        stack.draw(host, seed, RNN)
        rng = generator(seed, Purpose.INIT, layer=config.layers + 1)
        if config.embed:
            initialise.embedding(host[EMBEDDING], rng)
        else:
            first = host[RNN + stack.name("weight_ih", 0)]
            initialise.one_hot_input(first, config.init, rng)
        rng = generator(seed, Purpose.INIT, layer=config.layers)
        initialise.decoder({n: host[DECODER + n] for n in ("weight", "bias")}, rng)
        return cls(config, vocabulary, backend, host.flat)

    @staticmethod
    def describe(config: ModelConfig, vocabulary: int) -> dict[str, tuple[int, ...]]:
        """Return names and shapes of the parameters that such a model has; allocates nothing."""
        shapes: dict[str, tuple[int, ...]] = {}
        if config.embed:
            shapes[EMBEDDING] = (vocabulary, config.embed)
        stack = Stack(config, config.embed or vocabulary)
        shapes |= {RNN + name: shape for name, shape in stack.shapes().items()}
        head = LanguageModelHead(config.hidden, vocabulary, numpy_backend(), DECODER)
        return shapes | head.shapes()

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return names and shapes of all parameters."""
        return self.describe(self.config, self.V)

    def window(self, steps: int, streams: int, backward: bool = True) -> Window:
        """Allocate a window of at most ``steps`` steps of ``streams`` streams, zero states."""
        return self.stack.workspace(steps, streams, backward)

    def forward(
        self,
        window: Window,
        ids: Array,
        *,
        backward: bool = False,
        dropout_key: tuple[int, int] | None = None,
        masks: Sequence[Array] | None = None,
    ) -> Array:
        """Read symbols (T, N) from the window's states; return the top output (T, H, N)."""
        x = self._embed(ids) if self.config.embed else ids
        return self.stack.forward(
            self.weights,
            window,
            x,
            prefix=RNN,
            backward=backward,
            dropout_key=dropout_key,
            masks=masks,
        )

    def loss_and_gradient(
        self,
        window: Window,
        ids: Array,
        targets: Array,
        grads: Parameters,
        dropout_key: tuple[int, int] | None = None,
        symbols: int | None = None,
    ) -> Array:
        """Return the mean loss in nats (0-d array) and write all gradients to ``grads``.

        ``ids`` and ``targets`` are symbols (T, N) on the backend. With ``dropout_key`` (seed, step)
        the configured dropout is applied. ``symbols`` is what the mean is over, where the window
        holds but some of them.
        """
        if self.backend.graphs is None:
            return self._loss_and_gradient(window, grads, None, dropout_key, symbols, ids, targets)
        masks = self.stack.draw_masks(window, len(ids), dropout_key)
        compute = partial(self._loss_and_gradient, window, grads, masks, None, symbols)
        key = (id(grads), masks is None, symbols)
        return self._recorded(window, key, compute, grads, ids, targets)

    def _recorded(
        self,
        window: Window,
        key: Any,
        compute: Computation,
        grads: Parameters | None,
        *arrays: Array,
    ) -> Array:
        """Compute by the graph of this window, these weights and shapes."""
        graphs = self.backend.graphs
        assert graphs is not None
        key = (key, id(self.weights), *((array.shape, array.dtype.name) for array in arrays))
        if key not in window.recorded:
            if len(window.recorded) == RECORDED:
                return compute(*arrays)
            weights = self.weights

            def held() -> Any:
                rooms = [dict(ws.room) for ws in window.layers]
                return weights, grads, dict(window.room), rooms

            window.recorded[key] = graphs.record(compute, held)
        window.used = len(arrays[0])
        result: Array = window.recorded[key](*arrays)
        return result

    def _loss_and_gradient(
        self,
        window: Window,
        grads: Parameters,
        masks: Sequence[Array] | None,
        dropout_key: tuple[int, int] | None,
        symbols: int | None,
        ids: Array,
        targets: Array,
    ) -> Array:
        top = self.forward(window, ids, backward=True, dropout_key=dropout_key, masks=masks)
        d_top = window.d_top
        loss = self.head.loss(self.weights, top, targets, grads, d_top, window.room, symbols)
        embed = bool(self.config.embed)
        dx = self.stack.backward(self.weights, window, d_top, grads, prefix=RNN, dx=embed)
        if dx is not None:
            xp = self.backend.xp
            by_symbol = xp.empty((self.config.embed, self.V), dx.dtype)
            column_sums(xp, flatten(xp, dx, window.room, "operand"), ids, by_symbol)
            grads[EMBEDDING][...] = by_symbol.T
        return loss

    @np.errstate(all="ignore")  # weights may be anything; what comes of them is in the result
    def surprisal(self, window: Window, ids: Array, targets: Array) -> Array:
        """Return -ln p(target), (T, N), in nats; the states move on, no gradient is kept."""
        if self.backend.graphs is None:
            return self._surprisal(window, ids, targets)
        compute = partial(self._surprisal, window)
        return self._recorded(window, "surprisal", compute, None, ids, targets)

    def _surprisal(self, window: Window, ids: Array, targets: Array) -> Array:
        return self.head.surprisal(self.weights, self.forward(window, ids), targets)

    def _embed(self, ids: Array) -> Array:
        """Return the embedded symbols, (T, D, N), contiguous."""
        xp = self.backend.xp
        rows = xp.take(self.weights[EMBEDDING], ids, axis=0)
        return xp.ascontiguousarray(rows.transpose(0, 2, 1))
