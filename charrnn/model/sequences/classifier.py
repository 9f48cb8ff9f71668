"""The classifier: a label for each sequence, from one vector that stands for all its steps.

    y = stack(x),   v = pool(y),   p(label) = softmax(W v + b)

The loss is the mean of -ln p(label) over the sequences of a batch. The gradient enters the stack at
the steps from which v was made: with ``last`` at a single one, so that to learn from the beginning
of a text it must pass through all the steps between.

Dropout before the output drops features of v: one mask for a sequence, not one for each step, whose
effects a mean over the steps would cancel. With n-grams, their logits are added to W v + b
(:mod:`charrnn.model.sequences.ngrams`), and dropout drops n-grams, too. With counts, what the
network has learned is mixed with them to decide (:mod:`charrnn.model.sequences.counts`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from charrnn.backend import Array, Backend
from charrnn.config import ModelConfig
from charrnn.model.dropout import Masks
from charrnn.model.network import Divisible
from charrnn.model.parameters import Parameters
from charrnn.model.sequences.counts import PRIOR, Counts
from charrnn.model.sequences.ngrams import Found, Ngrams
from charrnn.model.sequences.padding import Padding
from charrnn.model.sequences.pooling import POOLS, Pool
from charrnn.model.sequences.reading import log_softmax, read_whole
from charrnn.model.sequences.writer import Writer, apart
from charrnn.model.window import Window


class Classifier(Divisible):
    """A network that reads whole sequences and chooses among ``outputs`` labels."""

    kind = "classifier"

    def _build(self, config: ModelConfig, vocabulary: int, outputs: int, backend: Backend) -> None:
        super()._build(config, vocabulary, outputs, backend)
        self.ngrams = Ngrams(config.ngrams, outputs, backend) if config.ngrams else None
        sizes = config.counts, outputs, vocabulary
        self.counts = Counts(*sizes, backend) if config.counts else None
        given = config, vocabulary, outputs, backend
        self.writer = Writer(*given) if config.writer and config.counts else None

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return names and shapes of all parameters."""
        writer = self.writer.shapes() if self.writer else {}
        counts = self.counts.shapes() if self.counts else {}
        return self._input_shapes() | self.shapes_above() | writer | counts

    def draw(self, host: Parameters, seed: int) -> None:
        """Fill host parameters with initial weights."""
        super().draw(host, seed)
        if self.writer:
            self.writer.draw(host, seed)

    def window(self, steps: int, streams: int, backward: bool = True) -> Window:
        """Allocate a window, with that of the writer beside it."""
        window = super().window(steps, streams, backward)
        if self.writer:
            window.beside = self.writer.window(steps, streams, backward)
        return window

    def stage(self, window: Window, *, backward: bool) -> list[Any]:
        """Return the weights of layers and writer as a pass over a window uses them."""
        mine = super().stage(window, backward=backward)
        if self.writer and window.beside:
            mine += self.writer.stage(self.weights, window.beside, backward=backward)
        return mine

    def shapes_above(self) -> dict[str, tuple[int, ...]]:
        """Return names and shapes of the parameters that make logits: of head and n-grams."""
        return self.head.shapes() | (self.ngrams.shapes() if self.ngrams else {})

    @property
    def pool(self) -> Pool:
        """How one vector is made of the steps."""
        return POOLS[self.config.pool](self.config.hidden, self.backend)

    def masks(self, steps: int, streams: int) -> Masks:
        """Allocate the dropout masks: of the layers below the top one, the vector, and others.

        These are n-grams and writer.
        """
        masks, dtype = self.stack.masks(steps, streams, top_steps=1), self.weights.flat.dtype
        if self.ngrams and self.config.dropout:
            masks = masks.and_of(self.ngrams.masks(steps, streams, dtype))
        if self.writer and self.config.dropout:
            masks = masks.and_of(self.writer.mask(steps, streams, dtype))
        return masks

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
            The sequences, (T, N), or what is read and written, as a writer's ``both`` gives it.
        targets
            The labels, (N,).
        dropout_masks
            The result of drawing :meth:`masks`; None for no dropout.
        mask
            None: each sequence has one label, which counts.
        padding
            Where the sequences end.
        symbols
            How many sequences there are in all windows of the update; by default those here.
        """
        assert mask is None
        assert padding is not None
        kept, written = None, ids
        if self.writer:
            ids, written = apart(ids, self.V, self.backend.xp)
            if dropout_masks:
                *dropout_masks, kept = dropout_masks
        loss = self.loss_at_top(
            window, ids, targets, grads, padding, symbols=symbols, dropout_masks=dropout_masks
        )
        self.backward(window, ids, window.d_top, grads)
        if self.writer and window.beside:
            texts = symbols or int((padding.lengths > 0).sum())
            learned = window.beside, written, targets, grads, padding, kept, texts
            loss = loss + self.writer.loss_and_gradient(self.weights, *learned)
        grads.flat[grads.trained.flat.size :] = 0.0
        return loss

    def loss_at_top(
        self,
        window: Window,
        ids: Array,
        targets: Array,
        grads: Parameters,
        padding: Padding,
        *,
        symbols: int | None = None,
        dropout_masks: Sequence[Array] | None = None,
    ) -> Array:
        """Return the loss (0-d), with its gradient as far as the stack's output.

        ∂L/∂top is left in ``window.d_top``, and the head's gradients in ``grads``. Parameters are
        those of :meth:`loss_and_gradient`.
        """
        below, kept, kept_ngrams = self._split(dropout_masks)
        top = read_whole(self, window, ids, padding, below)
        vectors = self._vectors(top, padding)
        if kept is not None:
            vectors *= kept
        d_vectors = self.stack.layers[-1].sequence(top.dtype, *vectors.shape)
        present = padding.lengths > 0
        found, added = self._ngrams(ids, padding, kept_ngrams)
        loss = self.head.loss(
            self.weights,
            vectors,
            targets[None],
            grads,
            d_vectors,
            window.buffers,
            mask=None if present.all() else self.backend.put(present)[None],
            symbols=symbols or int(present.sum()),
            added=added,
        )
        if found is not None and added is not None:
            found.backward(added[0], grads)
        if kept is not None:
            d_vectors *= kept
        self.pool.backward(top, padding, d_vectors[0], window.d_top)
        return loss

    @np.errstate(all="ignore")  # non-finite weights are allowed; they show in the result
    def log_p(
        self, window: Window, ids: Array, padding: Padding, alone: bool = False
    ) -> np.ndarray:
        """Return ln p of every label, (labels, N), on the host; no gradient is kept.

        ``alone`` leaves out the counts, which say too much of texts that were counted.
        """
        with self.inference(window.streams):
            vectors = self._vectors(read_whole(self, window, ids, padding, None), padding)
            logits = self.head.logits(self.weights, vectors)
            _, added = self._ngrams(ids, padding, None)
            logits = (logits if added is None else logits + added)[0]
            if self.counts and not alone:
                logits = self.counts.mix(logits, self.weights, ids, padding)
                if self.writer and window.beside:
                    read = self.weights, window.beside, ids, padding
                    logits = self.writer.mix(logits, self.weights[PRIOR], *read)
        return log_softmax(self.backend.get(logits), axis=0)

    def _vectors(self, top: Array, padding: Padding) -> Array:
        """Return one vector for each sequence, as a sequence of one step (1, F, N)."""
        _, features, streams = top.shape
        vectors: Any = self.stack.layers[-1].sequence(top.dtype, 1, features, streams)
        vectors[0] = self.pool.forward(top, padding)
        return vectors

    def _split(
        self, masks: Sequence[Array] | None
    ) -> tuple[tuple[Array, ...], Array | None, Array | None]:
        """Return the dropout masks of the layers below the top one, the vector, the n-grams."""
        if not masks:
            return (), None, None
        *first, last = masks
        if not self.ngrams:
            return tuple(first), last[0], None
        return tuple(first[:-1]), first[-1][0], last

    def _ngrams(
        self, ids: Array, padding: Padding, kept: Array | None
    ) -> tuple[Found, Array] | tuple[None, None]:
        """Return the n-grams of sequences and their logits (1, labels, N); None without them."""
        if not self.ngrams:
            return None, None
        found = self.ngrams.of(ids, padding, self.weights.flat.dtype, kept)
        return found, found.logits(self.weights)[None]
