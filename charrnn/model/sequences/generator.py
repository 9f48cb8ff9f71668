"""The generator: a language model whose text depends on a label.

The lowest layer reads the label's embedding beside the symbol, at every step:

    x_t = [E[y_{t-1}]; L[label]],   h_t, … = stack(x_t, …)
    p(y_t | y_1 … y_{t-1}, label) = softmax(W h_t + b)

E are the rows of the embedding or, without one, one-hot vectors. y_0 is the symbol that ends a
text, so that the first symbol is predicted, too. The loss is the mean of -ln p(y_t | …) over all
symbols of all texts, their ends included, in nats.

A vector that conditions the recurrent layer at every step is that of Mikolov and Zweig (2012),
"Context dependent recurrent neural network language model". With the columns of W_ih = [W_y W_l],

    W_ih x_t + b_ih = W_y E[y_{t-1}] + (b_ih + W_l L[label]),

so a label moves the bias of the lowest layer: given one, a generator is an ordinary language model,
:meth:`Generator.given`. Other ways were measured; see ``benchmarks/LOG.md``.

The label and the symbol that a step reads are one number, label · V + symbol.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.backend import Array, Backend
from charrnn.config import ModelConfig
from charrnn.model import initialise
from charrnn.model.language import LanguageModel
from charrnn.model.network import EMBEDDING, RNN, Divisible, embedding_gradient
from charrnn.model.parameters import Parameters
from charrnn.model.sequences.padding import Padding
from charrnn.model.window import Window
from charrnn.randomness import Purpose, generator

LABELS = "label_embedding.weight"
WIDTH = 32
"""Features of a label's embedding."""


class Generator(Divisible):
    """A network that predicts the next symbol of a text that has one of ``outputs`` labels."""

    kind = "generator"
    beside = WIDTH

    def _build(self, config: ModelConfig, vocabulary: int, outputs: int, backend: Backend) -> None:
        super()._build(config, vocabulary, vocabulary, backend)
        self.outputs = outputs
        self.dense = self.stack.inputs

    def _input_shapes(self) -> dict[str, tuple[int, ...]]:
        return {LABELS: (self.outputs, self.beside)} | super()._input_shapes()

    def _draw_input(self, host: Parameters, seed: int) -> None:
        super()._draw_input(host, seed)
        layer = self.config.layers + 2
        initialise.embedding(host[LABELS], generator(seed, Purpose.INIT, layer=layer))

    def inputs(self, targets: NDArray[Any], labels: NDArray[Any], start: int) -> NDArray[np.int64]:
        """Return what is read before each target (T, N), given the label of each text (N,).

        ``start`` is the symbol that is read first. All arrays are on the host.
        """
        read = np.concatenate((np.full_like(targets[:1], start), targets[:-1]))
        found: NDArray[np.int64] = labels.astype(np.int64) * self.V + read
        return found

    def forward(
        self,
        window: Window,
        ids: Array,
        *,
        backward: bool = False,
        dropout_masks: Sequence[Array] | None = None,
    ) -> Array:
        """Read :meth:`inputs` (T, N) from the window's states; return the top output (T, H, N)."""
        x = self._embedded(ids)
        return self.stack.forward(
            self.weights, window, x, prefix=RNN, backward=backward, masks=dropout_masks
        )

    def _embedded(self, ids: Array) -> Array:
        """Return what the lowest layer reads (T, D, N) for :meth:`inputs` (T, N)."""
        xp, weights, (T, N) = self.backend.xp, self.weights, ids.shape
        x = self.stack.layers[0].sequence(weights.flat.dtype, T, self.dense, N)
        symbols, labels, width = ids % self.V, ids // self.V, self.dense - self.beside
        if self.config.embed:
            x[:, :width] = xp.take(weights[EMBEDDING], symbols, axis=0).transpose(0, 2, 1)
        else:
            x[:, :width] = symbols[:, None] == xp.arange(width)[:, None]
        x[:, width:] = xp.take(weights[LABELS], labels, axis=0).transpose(0, 2, 1)
        return x

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
        ids, targets
            The :meth:`inputs`, and the symbols that follow them, (T, N).
        dropout_masks
            The result of drawing :meth:`masks`; None for no dropout.
        mask
            None: the padding says which targets count.
        padding
            Where the texts end.
        symbols
            How many targets count in all windows of the update; by default those here.
        """
        assert mask is None
        assert padding is not None
        window.reset()
        top = self.forward(window, ids, backward=True, dropout_masks=dropout_masks)
        d_top = window.d_top
        loss = self.head.loss(
            self.weights,
            top,
            targets,
            grads,
            d_top,
            window.buffers,
            mask=None if padding.real.all() else self.backend.put(padding.real),
            symbols=symbols or int(padding.lengths.sum()),
        )
        dx = self.stack.backward(window, d_top, grads, prefix=RNN)
        assert dx is not None
        xp, width = self.backend.xp, self.dense - self.beside
        if self.config.embed:
            embedding_gradient(xp, dx[:, :width], ids % self.V, window, grads[EMBEDDING])
        embedding_gradient(xp, dx[:, width:], ids // self.V, window, grads[LABELS])
        return loss

    @np.errstate(all="ignore")  # non-finite weights are allowed; they show in the result
    def surprisal(self, window: Window, ids: Array, targets: Array) -> Array:
        """Return -ln p(target), (T, N), in nats, of texts from their beginnings."""
        window.reset()
        with self.inference(window.streams):
            return self.head.surprisal(self.weights, self.forward(window, ids), targets)

    def given(self, label: int) -> LanguageModel:
        """Return the language model of one label, on the same backend; its weights are copies."""
        config = replace(self.config, task="lm", grams=0)  # no n-grams, whatever a file says
        model = LanguageModel(config, self.V, self.backend)
        (first,) = self.stack.input_weights()
        whole, width = self.weights[RNN + first], self.dense - self.beside
        for name, array in model.weights.items():
            array[...] = whole[:, :width] if name == RNN + first else self.weights[name]
        bias = model.weights[RNN + self.stack.name("bias_ih", 0)]
        bias += whole[:, width:] @ self.weights[LABELS][label]
        return model
