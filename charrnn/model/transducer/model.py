"""The transducer: reads a source, then writes a target (Sutskever, Vinyals and Le 2014).

    encoder   m_s = stack(x_s, …)          (embedding →) stack, in one direction or both
    bridge    the decoder's initial states from the encoder's final ones
    decoder   p(y_t | y_1 … y_{t-1}, x)    with attention to m, or without

The loss is the mean of -ln p(y_t | …) over the symbols of all targets, the end included, in nats.
Its gradient goes from the decoder into the encoder by two ways: through attention to every step of
the source, and through the initial states. The encoder's parameters have the names of every other
network's, so that it can start from the weights of one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.backend import Array, Backend
from charrnn.config import ModelConfig
from charrnn.model.dropout import Masks
from charrnn.model.network import RNN, Divisible
from charrnn.model.parameters import Parameters
from charrnn.model.resets import Resets
from charrnn.model.sequences.padding import Padding
from charrnn.model.stack import Stack
from charrnn.model.transducer.attention import Memory
from charrnn.model.transducer.bridge import Crossed
from charrnn.model.transducer.decoder import RNN as TARGET_RNN
from charrnn.model.transducer.decoder import Decoder
from charrnn.model.transducer.sources import Sources, aligned
from charrnn.model.window import Carried, Window


@dataclass
class Space(Carried):
    """The windows of encoder and decoder for N pairs. Nothing is carried from one to the next."""

    source: Window
    target: Window
    resets: Resets | None = None  # a pair has its own

    @property
    def steps(self) -> int:
        """The largest number of symbols of a source, or of a target."""
        return self.source.steps

    def states(self) -> Iterator[tuple[str, Array]]:
        """Yield nothing."""
        yield from ()

    def carry(self) -> None:
        """Do nothing."""


class Encoded(NamedTuple):
    """What the decoder gets: its initial states, and the memory that it attends to, if it does."""

    crossed: Crossed
    memory: Memory | None


class Transducer(Divisible):
    """Encoder, bridge and decoder: loss and gradient, surprisal.

    It reads one symbol more than the V of the sources, :attr:`source_end`, which ends each source,
    and its decoder one more than the ``outputs`` of the targets, :attr:`end`: read, it begins a
    target, and predicted, it ends it.
    """

    kind = "transducer"
    boundaries = 1
    decoder: Decoder

    def _build(self, config: ModelConfig, vocabulary: int, outputs: int, backend: Backend) -> None:
        super()._build(config, vocabulary, outputs, backend)
        self.decoder = Decoder(config, outputs + 1, self.stack.layers[-1].width, backend)
        self.head = self.decoder.head

    @property
    def source_end(self) -> int:
        """The symbol that ends each source."""
        return self.V

    @property
    def end(self) -> int:
        """The symbol that begins and ends each target."""
        return self.outputs

    def stacks(self) -> dict[str, tuple[str, Stack]]:
        """Return encoder and decoder."""
        return {"encoder": (RNN, self.stack), "decoder": (TARGET_RNN, self.decoder.stack)}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return names and shapes of all parameters."""
        return self._input_shapes() | self.decoder.shapes()

    def draw(self, host: Parameters, seed: int) -> None:
        """Fill host parameters with initial weights."""
        self._draw_input(host, seed)
        self.decoder.draw(host, seed)

    def window(self, steps: int, streams: int, backward: bool = True) -> Any:
        """Allocate a :class:`Space` for pairs of at most ``steps`` symbols each, the ends included.

        They are ``streams`` pairs.
        """
        return Space(
            self.stack.workspace(steps, streams, backward),
            self.decoder.stack.workspace(steps, streams, backward),
        )

    def stage(self, window: Any, *, backward: bool) -> list[Any]:
        """Return the layers' weights as a pass over a :class:`Space` uses them."""
        stack, dense = self.decoder.stack, bool(self.config.embed)
        mine = super().stage(window.source, backward=backward)
        how = {"dense": dense, "backward": backward}
        return mine + stack.stage(self.weights, window.target, TARGET_RNN, **how)

    def masks(self, steps: int, streams: int) -> Masks:
        """Allocate the dropout masks of the encoder's layers, and of the decoder's and h̃."""
        rate, dtype = self.config.dropout, np.dtype(self.config.dtype)
        layers = [*self.stack.layers, *self.decoder.stack.layers] if rate else []
        arrays = [layer.sequence(dtype, steps, layer.width, streams) for layer in layers]
        return Masks(self.backend, rate, arrays)

    def sources(self, ids: NDArray[Any], lengths: NDArray[Any]) -> Sources:
        """Return the sources of a batch, (S, N) on the host, for the encoder.

        They are padded at the end; ``lengths`` (N,) includes their own end.
        """
        put, lengths = self.backend.put, np.maximum(lengths, 1)
        padding = Padding(lengths, len(ids), self.backend, first=True)
        dtype = np.dtype(self.config.dtype)
        return Sources(put(aligned(ids, lengths)), padding, self.backend, dtype)

    def encode(
        self,
        window: Window,
        sources: Sources,
        *,
        backward: bool = False,
        masks: Sequence[Array] | None = None,
    ) -> Encoded:
        """Read the sources, from zero states."""
        xp, decoder = self.backend.xp, self.decoder
        window.padding, window.resets = sources.padding, sources.resets
        top = self.forward(window, sources.ids, backward=backward, dropout_masks=masks)
        final = {name: states[window.used] for name, states in window.states()}
        crossed = decoder.bridge.forward(self.weights, final)
        if decoder.attention is None:
            return Encoded(crossed, None)
        values = xp.ascontiguousarray(top.transpose(2, 0, 1))
        return Encoded(crossed, decoder.attention.memory(self.weights, values, sources.real))

    def loss_and_gradient(
        self,
        window: Any,
        ids: Array,
        targets: Array,
        grads: Parameters,
        dropout_masks: Sequence[Array] | None = None,
        *,
        mask: Array | None = None,
        padding: Padding | None = None,
        symbols: int | None = None,
    ) -> Array:
        """Return the mean loss in nats (0-d) and write all gradients to ``grads``.

        Parameters
        ----------
        window
            The :class:`Space`.
        ids, targets
            The sources (S, N), padded at the beginning, and the targets (T, N), at the end; both
            include their ends.
        dropout_masks
            The result of drawing :meth:`masks`; None for no dropout.
        mask, symbols
            Which targets count, (T, N), and how many in the whole update.
        padding
            Where the sources are.
        """
        assert padding is not None
        assert mask is not None
        S, T, split = len(ids), len(targets), len(self.stack.layers)
        kept = [m[:S] for m in dropout_masks[:split]] if dropout_masks else None
        after = [m[:T] for m in dropout_masks[split:]] if dropout_masks else None
        sources = Sources(ids, padding, self.backend, self.weights.flat.dtype)
        crossed, memory = self.encode(window.source, sources, backward=True, masks=kept)
        self.decoder.begin(window.target, crossed.states)
        loss, d_memory = self.decoder.loss_and_gradient(
            self.weights,
            window.target,
            self.before(targets),
            targets,
            memory,
            grads,
            mask=mask,
            symbols=symbols or int(mask.sum()),
            masks=after,
        )
        d_states = window.target.state_gradients
        d_final = self.decoder.bridge.backward(self.weights, crossed, d_states, grads)
        d_top = self._d_top(window.source, d_memory)
        self.backward(window.source, ids, d_top, grads, d_final)
        return loss

    def before(self, targets: Array) -> Array:
        """Return what the decoder reads at each step of the targets (T, N): the symbol before."""
        read = self.backend.xp.empty_like(targets)
        read[0], read[1:] = self.end, targets[:-1]
        return read

    def _d_top(self, window: Window, d_memory: Array | None) -> Array:
        """Return ∂L/∂(encoder's output), (S, M, N); 0 if nothing attends to it."""
        if d_memory is not None:
            return d_memory.transpose(1, 2, 0)
        d_top = window.d_top
        d_top[...] = 0.0
        return d_top

    @np.errstate(all="ignore")  # non-finite weights are allowed; they show in the result
    def surprisal(self, space: Space, sources: Sources, targets: Array) -> Array:
        """Return -ln p(target), (T, N), in nats; what stands for padding is to be left out."""
        with self.inference(space.target.streams):
            crossed, memory = self.encode(space.source, sources)
            self.decoder.begin(space.target, crossed.states)
            read = self.before(targets)
            vectors = self.decoder.forward(self.weights, space.target, read, memory).vectors
            return self.head.surprisal(self.weights, vectors, targets)
