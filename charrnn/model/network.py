"""What all networks have: symbols → (embedding) → stack, and a head on top.

Parameters in one flat vector, named as a PyTorch model of ``embedding``, ``rnn`` and ``decoder``
names them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Self

import numpy as np

from charrnn import cells
from charrnn.backend import Array, Backend, numpy_backend, reopen
from charrnn.backend.threads import MAX_MATRIX, Threads
from charrnn.config import ModelConfig
from charrnn.model import compiled, initialise
from charrnn.model.dropout import Masks
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


class Network:
    """Weights and the computations that all networks share.

    Parameters
    ----------
    config
        The architecture.
    vocabulary
        V, the number of symbols that it reads.
    backend
        The backend to compute on; NumPy by default.
    weights
        Flat host vector of parameters; zeros if not given.
    outputs
        The number of classes among which the head chooses; by default the V symbols.
    """

    def __init__(
        self,
        config: ModelConfig,
        vocabulary: int,
        backend: Backend | None = None,
        weights: np.ndarray | None = None,
        *,
        outputs: int | None = None,
    ) -> None:
        self.config = config
        self.V = vocabulary
        self.outputs = outputs or vocabulary
        self.backend = backend or numpy_backend()
        self.stack, self.head = _parts(config, vocabulary, self.outputs, self.backend)
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
        cls,
        config: ModelConfig,
        vocabulary: int,
        seed: int,
        backend: Backend | None = None,
        *,
        outputs: int | None = None,
    ) -> Self:
        """Return a model with initial weights drawn from ``seed``, the same on every backend."""
        stack, head = _parts(config, vocabulary, outputs or vocabulary, numpy_backend())
        host = Parameters.zeros(_shapes(config, vocabulary, stack, head), np, np.float64)
        stack.draw(host, seed, RNN)
        rng = generator(seed, Purpose.INIT, layer=config.layers + 1)
        if config.embed:
            initialise.embedding(host[EMBEDDING], rng)
        else:
            for name in stack.input_weights():
                initialise.one_hot_input(host[RNN + name], config.init, rng)
        head.draw(host, generator(seed, Purpose.INIT, layer=config.layers))
        return cls(config, vocabulary, backend, host.flat, outputs=outputs)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        weights = self.backend.get(self.weights.flat).copy()
        return type(self)(self.config, self.V, self.backend, weights, outputs=self.outputs)

    def __copy__(self) -> Self:
        return self.__deepcopy__({})

    def __reduce__(self) -> tuple[Any, ...]:
        weights, backend = self.backend.get(self.weights.flat), self.backend
        sizes = (self.V, self.outputs)
        return _restored, (type(self), self.config, sizes, backend.name, backend.matmul, weights)

    def __repr__(self) -> str:
        config, size = self.config, self.weights.flat.size
        return (
            f"{type(self).__name__}(cell={config.cell!r}, layers={config.layers}, "
            f"hidden={config.hidden}, vocabulary={self.V}, parameters={size})"
        )

    @staticmethod
    def describe(
        config: ModelConfig, vocabulary: int, outputs: int | None = None
    ) -> dict[str, tuple[int, ...]]:
        """Return names and shapes of the parameters that such a model has; allocates nothing."""
        parts = _parts(config, vocabulary, outputs or vocabulary, numpy_backend())
        return _shapes(config, vocabulary, *parts)

    def at(self, weights: Parameters) -> Self:
        """Return the same model at other weights of the same shapes, on the same backend."""
        model = object.__new__(type(self))
        model.__dict__ |= {**vars(self), "weights": weights}
        return model

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return names and shapes of all parameters."""
        return _shapes(self.config, self.V, self.stack, self.head)

    def window(self, steps: int, streams: int, backward: bool = True) -> Window:
        """Allocate a window of at most ``steps`` steps of ``streams`` streams, with zero states."""
        return self.stack.workspace(steps, streams, backward)

    def masks(self, steps: int, streams: int) -> Masks:
        """Allocate the dropout masks of a window."""
        return self.stack.masks(steps, streams)

    def forward(
        self,
        window: Window,
        ids: Array,
        *,
        backward: bool = False,
        dropout_masks: Sequence[Array] | None = None,
    ) -> Array:
        """Read symbols (T, N) from the window's states; return the top output (T, F, N)."""
        x = self._embed(ids) if self.config.embed else ids
        return self.stack.forward(
            self.weights, window, x, prefix=RNN, backward=backward, masks=dropout_masks
        )

    def backward(self, window: Window, ids: Array, d_top: Array, grads: Parameters) -> None:
        """Write the gradients of stack and embedding, given ∂L/∂top (T, F, N)."""
        embed = bool(self.config.embed)
        dx = self.stack.backward(window, d_top, grads, prefix=RNN, dx=embed)
        if dx is not None:
            xp = self.backend.xp
            by_symbol = xp.empty((self.config.embed, self.V), dx.dtype)
            column_sums(xp, flatten(xp, dx, window.buffers, "operand"), ids, by_symbol)
            grads[EMBEDDING][...] = by_symbol.T

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
    config: ModelConfig, vocabulary: int, outputs: int, backend: Backend
) -> tuple[Stack, LanguageModelHead]:
    stack = Stack(config, config.embed or vocabulary, backend)
    head = compiled.head(stack.layers[-1], outputs, backend, DECODER)
    return stack, head


def _shapes(
    config: ModelConfig, vocabulary: int, stack: Stack, head: LanguageModelHead
) -> dict[str, tuple[int, ...]]:
    embedding = {EMBEDDING: (vocabulary, config.embed)} if config.embed else {}
    recurrent = {RNN + name: shape for name, shape in stack.shapes().items()}
    return embedding | recurrent | head.shapes()


def _restored(
    kind: type[Network],
    config: ModelConfig,
    sizes: tuple[int, int],
    backend: str,
    matmul: str,
    weights: np.ndarray,
) -> Network:
    """Return a pickled model."""
    vocabulary, outputs = sizes
    return kind(config, vocabulary, reopen(backend, matmul), weights, outputs=outputs)
