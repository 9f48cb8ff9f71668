"""What all networks have: symbols → (embedding) → stack, and a head on top.

Parameters in one flat vector, named as a PyTorch model of ``embedding``, ``rnn`` and ``decoder``
names them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, Self

import numpy as np

from charrnn import cells
from charrnn.backend import Array, Backend, numpy_backend, reopen
from charrnn.backend.threads import MAX_MATRIX, Threads
from charrnn.config import ModelConfig
from charrnn.model import compiled, initialise
from charrnn.model.dropout import Masks
from charrnn.model.layer import flatten
from charrnn.model.onehot import column_sums
from charrnn.model.parameters import Parameters
from charrnn.model.sequences.padding import Padding
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

    kind: ClassVar[str]
    """The name under which a checkpoint records the network."""
    boundaries: ClassVar[int] = 0
    """The symbols that the stack reads besides the V: those that begin or end a sequence."""
    beside: ClassVar[int] = 0
    """The features that the lowest layer reads beside those of a symbol."""
    dense: int
    """The features of a dense input; 0 if the lowest layer reads symbols."""

    def __init__(
        self,
        config: ModelConfig,
        vocabulary: int,
        backend: Backend | None = None,
        weights: np.ndarray | None = None,
        *,
        outputs: int | None = None,
    ) -> None:
        self._build(config, vocabulary, outputs or vocabulary, backend or numpy_backend())
        dtype = np.dtype(config.dtype)
        if weights is None:
            self.weights = Parameters.zeros(self.shapes(), self.backend.xp, dtype)
        else:
            self.weights = Parameters(self.shapes(), self.backend.put(weights, dtype))

    def _build(self, config: ModelConfig, vocabulary: int, outputs: int, backend: Backend) -> None:
        """Make everything but the weights."""
        self.config, self.V, self.outputs, self.backend = config, vocabulary, outputs, backend
        self.symbols = vocabulary + self.boundaries
        self.dense = config.embed
        self.stack = Stack(config, (config.embed or self.symbols) + self.beside, backend)
        self.head = compiled.head(self.stack.layers[-1], outputs, backend, DECODER)

    @classmethod
    def plan(
        cls,
        config: ModelConfig,
        vocabulary: int,
        outputs: int | None,
        backend: Backend | None = None,
    ) -> Self:
        """Return such a model without weights: for its shapes, and to draw initial weights."""
        model = object.__new__(cls)
        model._build(config, vocabulary, outputs or vocabulary, backend or numpy_backend())
        return model

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
        plan = cls.plan(config, vocabulary, outputs)
        host = Parameters.zeros(plan.shapes(), np, np.float64)
        plan.draw(host, seed)
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
        config, size = self.config, self.weights.trained.flat.size
        return (
            f"{type(self).__name__}(cell={config.cell!r}, layers={config.layers}, "
            f"hidden={config.hidden}, vocabulary={self.V}, parameters={size})"
        )

    @classmethod
    def describe(
        cls, config: ModelConfig, vocabulary: int, outputs: int | None = None
    ) -> dict[str, tuple[int, ...]]:
        """Return names and shapes of the parameters that such a model has; allocates nothing."""
        return cls.plan(config, vocabulary, outputs).shapes()

    def at(self, weights: Parameters) -> Self:
        """Return the same model at other weights of the same shapes, on the same backend."""
        model = object.__new__(type(self))
        model.__dict__ |= {**vars(self), "weights": weights}
        return model

    def stacks(self) -> dict[str, tuple[str, Stack]]:
        """Return the stacks, each with the prefix of its parameters, by what they are called."""
        return {"": (RNN, self.stack)}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return names and shapes of all parameters."""
        return self._input_shapes() | self.head.shapes()

    def _input_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return names and shapes of the parameters of embedding and stack."""
        embedding = {EMBEDDING: (self.symbols, self.config.embed)} if self.config.embed else {}
        return embedding | {RNN + name: shape for name, shape in self.stack.shapes().items()}

    def draw(self, host: Parameters, seed: int) -> None:
        """Fill host parameters with initial weights."""
        self._draw_input(host, seed)
        self.head.draw(host, generator(seed, Purpose.INIT, layer=self.config.layers))

    def _draw_input(self, host: Parameters, seed: int) -> None:
        """Fill the host parameters of embedding and stack."""
        self.stack.draw(host, seed, RNN)
        rng = generator(seed, Purpose.INIT, layer=self.config.layers + 1)
        draw_input(self.stack, host, EMBEDDING, RNN, rng, self.symbols)

    def window(self, steps: int, streams: int, backward: bool = True) -> Window:
        """Allocate a window of at most ``steps`` steps of ``streams`` streams, with zero states."""
        return self.stack.workspace(steps, streams, backward)

    def stage(self, window: Window, *, backward: bool) -> list[Any]:
        """Return the layers' weights as a pass over a window uses them."""
        dense = bool(self.dense)
        return self.stack.stage(self.weights, window, RNN, dense=dense, backward=backward)

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
        x = embedded(self.stack, self.weights[EMBEDDING], ids) if self.config.embed else ids
        return self.stack.forward(
            self.weights, window, x, prefix=RNN, backward=backward, masks=dropout_masks
        )

    def backward(
        self,
        window: Window,
        ids: Array,
        d_top: Array,
        grads: Parameters,
        d_final: Mapping[str, Array] | None = None,
    ) -> None:
        """Write the gradients of stack and embedding, given ∂L/∂top (T, F, N).

        ``d_final`` is that of the final states, as for :meth:`Stack.backward`.
        """
        embed = bool(self.config.embed)
        dx = self.stack.backward(window, d_top, grads, prefix=RNN, dx=embed, d_final=d_final)
        if dx is not None:
            embedding_gradient(self.backend.xp, dx, ids, window, grads[EMBEDDING])

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


class Divisible(Network, ABC):
    """A network whose update can be divided by streams: see :mod:`charrnn.model.shards`."""

    @abstractmethod
    def loss_and_gradient(
        self,
        window: Window,
        ids: Array,
        targets: Array,
        grads: Parameters,
        dropout_masks: Sequence[Array] | None = None,
        *,
        mask: Array | None = None,
        padding: Padding | None = None,
        symbols: int | None = None,
    ) -> Array:
        """Return the mean loss in nats (0-d array) and write all gradients to ``grads``.

        Parameters
        ----------
        ids
            Symbols (T, N) on the backend.
        dropout_masks
            The result of drawing :meth:`masks`; None for no dropout.
        mask
            Which targets count; of a text read in windows.
        padding
            Where the streams end; of whole sequences.
        symbols
            How many targets count in all windows of the update; by default those here.
        """


def embedded(stack: Stack, table: Array, ids: Array) -> Array:
    """Return rows of ``table`` (V, D), of symbols (T, N), as the stack reads them: (T, D, N)."""
    x = stack.layers[0].sequence(table.dtype, len(ids), table.shape[1], ids.shape[1])
    x[...] = stack.backend.xp.take(table, ids, axis=0).transpose(0, 2, 1)
    return x


def embedding_gradient(xp: Any, dx: Array, ids: Array, window: Window, out: Array) -> None:
    """Write the gradient of an embedding (V, D) to ``out``, given ∂L/∂(embedded) (T, D, N)."""
    by_symbol = xp.empty(out.shape[::-1], dx.dtype)
    column_sums(xp, flatten(xp, dx, window.buffers, "operand"), ids, by_symbol)
    out[...] = by_symbol.T


def draw_input(
    stack: Stack,
    host: Parameters,
    embedding: str,
    prefix: str,
    rng: np.random.Generator,
    symbols: int,
) -> None:
    """Fill the host parameters that symbols meet first: the embedding, or the input weights."""
    if stack.config.embed:
        initialise.embedding(host[embedding], rng, stack.config.embed_scale)
        return
    for name in stack.input_weights():
        initialise.one_hot_input(host[prefix + name][:, :symbols], stack.config.init, rng)


def recurrent_bytes(config: ModelConfig) -> int:
    """Return the size of the recurrent weights of a layer, which every step multiplies by."""
    rows = len(cells.create(config).gates) * config.hidden
    return rows * config.hidden * np.dtype(config.dtype).itemsize


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
