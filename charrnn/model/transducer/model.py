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

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from charrnn.backend import Array, Backend
from charrnn.config import ModelConfig
from charrnn.model.dropout import Masks
from charrnn.model.network import Network
from charrnn.model.parameters import Parameters
from charrnn.model.transducer.attention import Memory
from charrnn.model.transducer.bridge import Crossed
from charrnn.model.transducer.decoder import Decoder
from charrnn.model.transducer.sources import Sources
from charrnn.model.window import Window


@dataclass
class Space:
    """The arrays of a transducer for N pairs of at most S and T symbols.

    Attributes
    ----------
    source, target
        The windows of encoder and decoder.
    """

    source: Window
    target: Window


class PairMasks:
    """The dropout masks of a batch: of the encoder's layers, and of the decoder's and h̃."""

    def __init__(self, model: Transducer, S: int, T: int, N: int) -> None:
        self._source = model.stack.masks(S, N)
        rate, layers = model.config.dropout, model.decoder.stack.layers
        dtype = np.dtype(model.config.dtype)
        arrays = [layer.sequence(dtype, T, layer.width, N) for layer in layers] if rate else []
        self._target = Masks(model.backend, rate, arrays, first=len(layers))

    def draw(self, seed: int, step: int, S: int, T: int) -> Dropped | None:
        """Draw the masks of an update whose batch has S and T steps; None without dropout."""
        source = self._source.draw(seed, step, S)
        target = self._target.draw(seed, step, T)
        if source is None or target is None:
            return None
        return Dropped(source, target)


class Dropped(NamedTuple):
    """Dropout masks (steps, H, N) of the encoder's layers and of the decoder's."""

    source: Sequence[Array]
    target: Sequence[Array]


class Encoded(NamedTuple):
    """What the decoder gets: its initial states, and the memory that it attends to, if it does."""

    crossed: Crossed
    memory: Memory | None


class Transducer(Network):
    """Encoder, bridge and decoder: loss and gradient, surprisal.

    ``V`` counts the symbols of the sources, with the one that ends them, and ``outputs`` those of
    the targets, with the one that begins and ends them.
    """

    decoder: Decoder

    def _build(self, config: ModelConfig, vocabulary: int, outputs: int, backend: Backend) -> None:
        super()._build(config, vocabulary, outputs, backend)
        self.decoder = Decoder(config, outputs, self.stack.layers[-1].width, backend)
        self.head = self.decoder.head

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return names and shapes of all parameters."""
        return self._input_shapes() | self.decoder.shapes()

    def draw(self, host: Parameters, seed: int) -> None:
        """Fill host parameters with initial weights."""
        self._draw_input(host, seed)
        self.decoder.draw(host, seed)

    def space(self, S: int, T: int, N: int, backward: bool = True) -> Space:
        """Allocate arrays for N pairs with sources of at most S symbols and targets of at most T.

        Both counts include the symbol at the end.
        """
        return Space(
            self.stack.workspace(S, N, backward), self.decoder.stack.workspace(T, N, backward)
        )

    def sources(self, ids: np.ndarray, lengths: np.ndarray) -> Sources:
        """Return the sources of a batch, (S, N) padded at the end, as the encoder reads them."""
        return Sources(ids, lengths, self.backend, np.dtype(self.config.dtype))

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
        space: Space,
        sources: Sources,
        ids: Array,
        targets: Array,
        grads: Parameters,
        *,
        mask: Array,
        symbols: int,
        dropped: Dropped | None = None,
    ) -> Array:
        """Return the mean loss in nats (0-d) and write all gradients to ``grads``.

        Parameters
        ----------
        ids, targets
            (T, N) on the backend: the symbol before each step of the target, and the target.
        mask, symbols
            Which targets count (T, N), and how many there are in the whole update.
        dropped
            The result of :meth:`PairMasks.draw`.
        """
        crossed, memory = self.encode(
            space.source, sources, backward=True, masks=dropped and dropped.source
        )
        self.decoder.begin(space.target, crossed.states)
        loss, d_memory = self.decoder.loss_and_gradient(
            self.weights,
            space.target,
            ids,
            targets,
            memory,
            grads,
            mask=mask,
            symbols=symbols,
            masks=dropped and dropped.target,
        )
        d_states = space.target.state_gradients
        d_final = self.decoder.bridge.backward(self.weights, crossed, d_states, grads)
        d_top = self._d_top(space.source, d_memory)
        self.backward(space.source, sources.ids, d_top, grads, d_final)
        return loss

    def _d_top(self, window: Window, d_memory: Array | None) -> Array:
        """Return ∂L/∂(encoder's output), (S, M, N); 0 if nothing attends to it."""
        if d_memory is not None:
            return d_memory.transpose(1, 2, 0)
        d_top = window.d_top
        d_top[...] = 0.0
        return d_top

    @np.errstate(all="ignore")  # non-finite weights are allowed; they show in the result
    def surprisal(self, space: Space, sources: Sources, ids: Array, targets: Array) -> Array:
        """Return -ln p(target), (T, N), in nats; what stands for padding is to be left out."""
        with self.inference(space.target.streams):
            crossed, memory = self.encode(space.source, sources)
            self.decoder.begin(space.target, crossed.states)
            vectors = self.decoder.forward(self.weights, space.target, ids, memory).vectors
            return self.head.surprisal(self.weights, vectors, targets)
