"""The decoder: writes the target, one symbol at a time, from what the encoder has read.

    h_t, … = stack(y_{t-1}, …)       from the states of the bridge; y_0 is the start symbol
    h̃_t    = attention(h_t, memory)  or h_t itself without attention
    p(y_t | y_1 … y_{t-1}, source) = softmax(W h̃_t + b)

In training y_{t-1} is the target's own symbol (teacher forcing, Williams and Zipser 1989), so all
steps are one window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from charrnn.backend import Array, Backend
from charrnn.config import ModelConfig
from charrnn.model import compiled
from charrnn.model.network import DECODER, draw_input, embedded, embedding_gradient
from charrnn.model.parameters import Parameters
from charrnn.model.stack import Stack
from charrnn.model.transducer.attention import Attended, Attention, Memory
from charrnn.model.transducer.bridge import Bridge, States
from charrnn.model.transducer.products import products
from charrnn.model.transducer.scores import ATTENTIONS
from charrnn.model.window import Window
from charrnn.randomness import Purpose, generator

EMBEDDING = "target_embedding.weight"
RNN = "target_rnn."
ATTENTION = "attention."
BRIDGE = "bridge."


class Predicted(NamedTuple):
    """What precedes the logits, as the backward pass needs it.

    Attributes
    ----------
    vectors
        h̃ after its dropout, (T, H, N).
    attended
        What attention computed; None without it.
    mask
        The dropout mask of h̃; None without dropout.
    """

    vectors: Array
    attended: Attended | None
    mask: Array | None


class Decoder:
    """A stack of the configuration's cell over the target's symbols, attention, and the head.

    Parameters
    ----------
    config
        The architecture; the decoder itself reads in one direction.
    symbols
        V of the target, with the symbol that begins and ends it.
    memory
        M: features of the encoder's output.
    """

    def __init__(self, config: ModelConfig, symbols: int, memory: int, backend: Backend) -> None:
        self.V, self.backend = symbols, backend
        self.config = replace(config, bidirectional=False)
        self.stack = Stack(self.config, config.embed or symbols, backend)
        top = self.stack.layers[-1]
        self.head = compiled.head(top, symbols, backend, DECODER)
        rows, self._xp = products(backend, top.compiled), backend.xp
        kind = ATTENTIONS.get(config.attention)
        self.attention: Attention | None = (
            None if kind is None else kind(top.H, memory, backend, rows, ATTENTION)
        )
        output = self.stack.cell.states[0]
        names = {
            layer.full_name(state, index): state == output
            for index, layer in enumerate(self.stack.layers)
            for state in self.stack.cell.states
        }
        self.bridge = Bridge(names, top.H, config.bidirectional, backend.xp, rows, BRIDGE)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return names and shapes of all parameters of the decoder."""
        embed = self.config.embed
        embedding = {EMBEDDING: (self.V, embed)} if embed else {}
        recurrent = {RNN + name: shape for name, shape in self.stack.shapes().items()}
        attention = self.attention.shapes() if self.attention else {}
        bridge = self.bridge.shapes()
        return {**bridge, **embedding, **recurrent, **attention, **self.head.shapes()}

    def draw(self, host: Parameters, seed: int) -> None:
        """Fill the host parameters with initial weights; the encoder draws from other layers."""
        layers = self.config.layers
        draw = generator(seed, Purpose.INIT, layer=2 * layers + 2)
        self.stack.draw(host, seed, RNN, first=layers + 2)
        draw_input(self.stack, host, EMBEDDING, RNN, draw, self.V)
        self.bridge.draw(host, draw)
        if self.attention:
            self.attention.draw(host, draw)
        self.head.draw(host, draw)

    def begin(self, window: Window, states: States) -> None:
        """Let the next pass over a window start from the given states."""
        for name, sequence in window.states():
            sequence[0] = states[name]

    def forward(
        self,
        weights: Parameters,
        window: Window,
        ids: Array,
        memory: Memory | None,
        *,
        backward: bool = False,
        masks: Sequence[Array] | None = None,
    ) -> Predicted:
        """Read the symbols before each step, ``ids`` (T, N), from the window's states.

        ``masks`` are dropout masks (T, H, N): of the layers but the top one, whose output attention
        reads whole, and of h̃.
        """
        x = self.embedded(weights, ids) if self.config.embed else ids
        below = masks[:-1] if masks else None
        top = self.stack.forward(weights, window, x, prefix=RNN, backward=backward, masks=below)
        vectors, attended = self.attend(weights, top, memory)
        mask = masks[-1] if masks else None
        if mask is not None:
            dropped = self._sequence(top.shape)
            vectors = self._xp.multiply(vectors, mask, out=dropped)
        return Predicted(vectors, attended, mask)

    def attend(
        self, weights: Parameters, top: Array, memory: Memory | None
    ) -> tuple[Array, Attended | None]:
        """Return h̃ (T, H, N) for the stack's output h (T, H, N)."""
        if self.attention is None or memory is None:
            return top, None
        queries = self._xp.ascontiguousarray(top.transpose(2, 0, 1))
        attended = self.attention.forward(weights, memory, queries)
        vectors = self._sequence(top.shape)
        vectors[...] = attended.vectors.transpose(1, 2, 0)
        return vectors, attended

    def loss_and_gradient(
        self,
        weights: Parameters,
        window: Window,
        ids: Array,
        targets: Array,
        memory: Memory | None,
        grads: Parameters,
        *,
        mask: Array,
        symbols: int,
        masks: Sequence[Array] | None = None,
    ) -> tuple[Array, Array | None]:
        """Return the loss (0-d) and ∂L/∂memory (N, S, M), which is None without attention.

        The gradients of the decoder's parameters are written to ``grads``, those of its initial
        states are left in ``window.state_gradients``.
        """
        how: Any = {"mask": mask, "symbols": symbols, "masks": masks}
        loss, d_top, d_memory = self.loss_at_top(
            weights, window, ids, targets, memory, grads, **how
        )
        embed = self.config.embed
        dx = self.stack.backward(window, d_top, grads, prefix=RNN, dx=bool(embed))
        if dx is not None:
            embedding_gradient(self._xp, dx, ids, window, grads[EMBEDDING])
        return loss, d_memory

    def loss_at_top(
        self,
        weights: Parameters,
        window: Window,
        ids: Array,
        targets: Array,
        memory: Memory | None,
        grads: Parameters,
        *,
        mask: Array,
        symbols: int,
        masks: Sequence[Array] | None = None,
    ) -> tuple[Array, Array, Array | None]:
        """Return the loss (0-d), ∂L/∂(stack's output) (T, H, N), and ∂L/∂memory.

        The gradients of head and attention are written to ``grads``.
        """
        xp = self._xp
        said = self.forward(weights, window, ids, memory, backward=True, masks=masks)
        d_top = self._sequence(said.vectors.shape)
        loss = self.head.loss(
            weights, said.vectors, targets, grads, d_top, window.buffers, mask=mask, symbols=symbols
        )
        if said.mask is not None:
            xp.multiply(d_top, said.mask, out=d_top)
        d_memory = None
        if self.attention is not None and memory is not None and said.attended is not None:
            d_vectors = xp.ascontiguousarray(d_top.transpose(2, 0, 1))
            d_queries, d_memory = self.attention.backward(
                weights, memory, said.attended, d_vectors, grads
            )
            d_top = d_queries.transpose(1, 2, 0)
        return loss, d_top, d_memory

    def embedded(self, weights: Parameters, ids: Array) -> Array:
        """Return the embedded symbols, (T, D, N), in the layout of the bottom layer."""
        return embedded(self.stack, weights[EMBEDDING], ids)

    def _sequence(self, shape: tuple[int, ...]) -> Any:
        """Allocate a sequence in the layout of the layers."""
        return self.stack.layers[-1].sequence(np.dtype(self.config.dtype), *shape)
