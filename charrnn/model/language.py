"""The character model: symbols → (embedding) → stack → head.

Parameters in one flat vector, named as a PyTorch model of ``embedding``, ``rnn`` and ``decoder``
names them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import numpy as np

from charrnn import cells
from charrnn.backend import Array, Backend, numpy_backend, reopen
from charrnn.backend.array import Computation
from charrnn.backend.threads import MAX_MATRIX, Threads
from charrnn.config import ModelConfig
from charrnn.model import compiled, initialise
from charrnn.model.head import LanguageModelHead
from charrnn.model.layer import flatten
from charrnn.model.onehot import column_sums
from charrnn.model.parameters import Parameters
from charrnn.model.stack import Stack
from charrnn.model.window import Window
from charrnn.randomness import Purpose, generator

EMBEDDING = "embedding.weight"
RNN = "rnn."
DECODER = "decoder."
RECORDED = 8
"""The largest number of recorded passes over one window; each needs memory."""


class LanguageModel:
    """Weights and the computations on them: loss and gradient, surprisal, next-symbol distribution.

    Parameters
    ----------
    config
        The architecture.
    vocabulary
        V, the number of symbols.
    backend
        The backend to compute on; NumPy by default.
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
        self.stack, self.head = _parts(config, vocabulary, self.backend)
        dtype = np.dtype(config.dtype)
        if weights is None:
            self.weights = Parameters.zeros(self.shapes(), self.backend.xp, dtype)
        else:
            self.weights = Parameters(self.shapes(), self.backend.put(weights, dtype))

    @property
    def core(self) -> str | None:
        """What the compiled core that computes the model is compiled for; None without it."""
        core = self.backend.core
        return core.name if core and isinstance(self.head, compiled.CompiledHead) else None

    @classmethod
    def fresh(
        cls, config: ModelConfig, vocabulary: int, seed: int, backend: Backend | None = None
    ) -> LanguageModel:
        """Return a model with initial weights drawn from ``seed``, the same on every backend."""
        stack, head = _parts(config, vocabulary, numpy_backend())
        host = Parameters.zeros(_shapes(config, vocabulary, stack, head), np, np.float64)
        stack.draw(host, seed, RNN)
        rng = generator(seed, Purpose.INIT, layer=config.layers + 1)
        if config.embed:
            initialise.embedding(host[EMBEDDING], rng)
        else:
            first = host[RNN + stack.name("weight_ih", 0)]
            initialise.one_hot_input(first, config.init, rng)
        head.draw(host, generator(seed, Purpose.INIT, layer=config.layers))
        return cls(config, vocabulary, backend, host.flat)

    def __deepcopy__(self, memo: dict[int, Any]) -> LanguageModel:
        weights = self.backend.get(self.weights.flat).copy()
        return LanguageModel(self.config, self.V, self.backend, weights)

    def __copy__(self) -> LanguageModel:
        return self.__deepcopy__({})

    def __reduce__(self) -> tuple[Any, ...]:
        weights = self.backend.get(self.weights.flat)
        return _restored, (self.config, self.V, self.backend.name, self.backend.matmul, weights)

    def __repr__(self) -> str:
        config, size = self.config, self.weights.flat.size
        return (
            f"{type(self).__name__}(cell={config.cell!r}, layers={config.layers}, "
            f"hidden={config.hidden}, vocabulary={self.V}, parameters={size})"
        )

    @staticmethod
    def describe(config: ModelConfig, vocabulary: int) -> dict[str, tuple[int, ...]]:
        """Return names and shapes of the parameters that such a model has; allocates nothing."""
        return _shapes(config, vocabulary, *_parts(config, vocabulary, numpy_backend()))

    def at(self, weights: Parameters) -> LanguageModel:
        """Return the same model at other weights of the same shapes, on the same backend."""
        model = object.__new__(LanguageModel)
        model.__dict__ |= {**vars(self), "weights": weights}
        return model

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return names and shapes of all parameters."""
        return _shapes(self.config, self.V, self.stack, self.head)

    def window(self, steps: int, streams: int, backward: bool = True) -> Window:
        """Allocate a window of at most ``steps`` steps of ``streams`` streams, with zero states."""
        return self.stack.workspace(steps, streams, backward)

    def forward(
        self,
        window: Window,
        ids: Array,
        *,
        backward: bool = False,
        dropout_masks: Sequence[Array] | None = None,
    ) -> Array:
        """Read symbols (T, N) from the window's states; return the top output (T, H, N)."""
        x = self._embed(ids) if self.config.embed else ids
        return self.stack.forward(
            self.weights, window, x, prefix=RNN, backward=backward, masks=dropout_masks
        )

    def loss_and_gradient(
        self,
        window: Window,
        ids: Array,
        targets: Array,
        grads: Parameters,
        dropout_masks: Sequence[Array] | None = None,
        *,
        mask: Array | None = None,
        symbols: int | None = None,
    ) -> Array:
        """Return the mean loss in nats (0-d array) and write all gradients to ``grads``.

        Parameters
        ----------
        ids, targets
            Symbols (T, N) on the backend.
        dropout_masks
            The result of :meth:`charrnn.model.dropout.Masks.draw`; None for no dropout.
        mask, symbols
            Which targets count, and how many there are in all windows of the update (see
            :meth:`charrnn.model.head.Head.loss`).
        """
        compute = partial(self._loss_and_gradient, window, grads, dropout_masks, mask, symbols)
        if self.backend.graphs is None or mask is not None or window.resets is not None:
            return compute(ids, targets)
        key = (id(grads), id(dropout_masks), symbols)
        return self._recorded(window, key, compute, (grads, dropout_masks), ids, targets)

    def _recorded(
        self,
        window: Window,
        key: Any,
        compute: Computation,
        touched: Any,
        *arrays: Array,
    ) -> Array:
        """Compute by the graph of this window, these weights and shapes.

        ``touched`` holds everything else that the computation reads or writes; the graph keeps it
        alive.
        """
        graphs = self.backend.graphs
        assert graphs is not None
        key = (key, id(self.weights), *((array.shape, array.dtype.name) for array in arrays))
        if key not in window.recorded:
            if len(window.recorded) == RECORDED:
                return compute(*arrays)
            weights = self.weights

            def held() -> Any:
                kept = [(dict(ws.staging), dict(ws.buffers)) for ws in window.layers]
                return weights, touched, dict(window.buffers), kept

            window.recorded[key] = graphs.record(compute, held)
        window.used = len(arrays[0])
        result: Array = window.recorded[key](*arrays)
        return result

    def _loss_and_gradient(
        self,
        window: Window,
        grads: Parameters,
        dropout_masks: Sequence[Array] | None,
        mask: Array | None,
        symbols: int | None,
        ids: Array,
        targets: Array,
    ) -> Array:
        top = self.forward(window, ids, backward=True, dropout_masks=dropout_masks)
        d_top, buffers = window.d_top, window.buffers
        loss = self.head.loss(
            self.weights, top, targets, grads, d_top, buffers, mask=mask, symbols=symbols
        )
        embed = bool(self.config.embed)
        dx = self.stack.backward(window, d_top, grads, prefix=RNN, dx=embed)
        if dx is not None:
            xp = self.backend.xp
            by_symbol = xp.empty((self.config.embed, self.V), dx.dtype)
            column_sums(xp, flatten(xp, dx, window.buffers, "operand"), ids, by_symbol)
            grads[EMBEDDING][...] = by_symbol.T
        return loss

    def inference(self, streams: int) -> AbstractContextManager[None]:
        """Return a context for sampling and scoring.

        Without a compiled core, BLAS has one thread in it: its threads meet at each product, and
        where other programs run, they wait for each other most of the time. The exception is one
        stream of a model whose recurrent weights are too large for the caches: reading them is all
        the work, which threads share.
        """
        if self.core is not None:
            return nullcontext()
        threads = Threads(self.backend)
        large = recurrent_bytes(self.config) > MAX_MATRIX
        return threads.shared_blas() if large and streams == 1 else threads.serial_blas()

    @np.errstate(all="ignore")  # non-finite weights are allowed; they show in the result
    def surprisal(self, window: Window, ids: Array, targets: Array) -> Array:
        """Return -ln p(target), (T, N), in nats. The states advance; no gradient is kept."""
        if self.backend.graphs is None or window.resets is not None:
            with self.inference(window.streams):
                return self._surprisal(window, ids, targets)
        compute = partial(self._surprisal, window)
        return self._recorded(window, "surprisal", compute, None, ids, targets)

    def _surprisal(self, window: Window, ids: Array, targets: Array) -> Array:
        return self.head.surprisal(self.weights, self.forward(window, ids), targets)

    def _embed(self, ids: Array) -> Array:
        """Return the embedded symbols, (T, D, N), in the layout of the bottom layer."""
        (T, N), D, bottom = ids.shape, self.config.embed, self.stack.layers[0]
        x = bottom.sequence(np.dtype(self.config.dtype), T, D, N)
        x[...] = self.backend.xp.take(self.weights[EMBEDDING], ids, axis=0).transpose(0, 2, 1)
        return x


def recurrent_bytes(config: ModelConfig) -> int:
    """Return the size of the recurrent weights of a layer, which every step multiplies by."""
    rows = len(cells.create(config).gates) * config.hidden
    return rows * config.hidden * np.dtype(config.dtype).itemsize


def _parts(
    config: ModelConfig, vocabulary: int, backend: Backend
) -> tuple[Stack, LanguageModelHead]:
    stack = Stack(config, config.embed or vocabulary, backend)
    head = compiled.head(stack.layers[-1], vocabulary, backend, DECODER)
    return stack, head


def _shapes(
    config: ModelConfig, vocabulary: int, stack: Stack, head: LanguageModelHead
) -> dict[str, tuple[int, ...]]:
    embedding = {EMBEDDING: (vocabulary, config.embed)} if config.embed else {}
    recurrent = {RNN + name: shape for name, shape in stack.shapes().items()}
    return embedding | recurrent | head.shapes()


def _restored(
    config: ModelConfig, vocabulary: int, backend: str, matmul: str, weights: np.ndarray
) -> LanguageModel:
    """Return a pickled model."""
    return LanguageModel(config, vocabulary, reopen(backend, matmul), weights)
