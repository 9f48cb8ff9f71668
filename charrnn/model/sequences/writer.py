"""A writer: a recurrent language model given the label, as a third opinion on it.

Where the network reads a text and names its label, the writer says how likely a label's texts are
to be this one. It is a generator (:mod:`charrnn.model.sequences.generator`) of one layer and N
units with weights of its own, which learns from the same batches: to the loss of an update comes

    L_w = 1 / (64 M) Σ_texts Σ_t -ln p(y_t | y_1 … y_{t-1}, label)

with M texts and y the symbols of each and its end, as they were before any was replaced (an update
has both as one number: :func:`both`). It shares no weights with the network: what it
learns changes nothing there, nor the other way round, but for clipping by the norm of the whole
gradient. With the logits z of network and counts
(:mod:`charrnn.model.sequences.counts`), the decision is

    logits = (1 - w) z + w (τ ln p(text | c) + ln P(c)),   w = 0.3, τ = min(1, 3 / √T)

with τ and P(c) those of the counts: again a product of discriminative and generative classifiers
(Raina et al. 2003). That a recurrent one needs fewer texts than one that discriminates is known
(Yogatama et al. 2017, "Generative and discriminative text classification with recurrent neural
networks"). A text is read once for each of the 5 labels with the largest z; of the others, which
hardly ever win, the term in parentheses is the smallest of those 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.backend import Array, Backend
from charrnn.config import ModelConfig
from charrnn.model.parameters import Parameters, Shapes
from charrnn.model.sequences.counts import CERTAINTY, temperature
from charrnn.model.sequences.generator import Generator
from charrnn.model.sequences.padding import Padding
from charrnn.model.window import Window

PREFIX = "writer."
SHARE = 0.3
"""w."""
READ = 5
"""The most labels for which a text is read."""
SPAN = 64
"""The loss of a text is divided by it, so that the network's remains the larger part."""
EMBED = 32


class Writer:
    """The writer of a classifier of V symbols and some labels.

    Parameters
    ----------
    config
        The classifier's; ``writer`` are the units.
    """

    def __init__(self, config: ModelConfig, vocabulary: int, labels: int, backend: Backend) -> None:
        own: dict[str, Any] = {"task": "generate", "hidden": config.writer, "embed": EMBED}
        own |= {"layers": 1, "embed_scale": 1.0, "bidirectional": False}
        own |= {"ngrams": 0, "counts": 0.0, "writer": 0}
        self._config, self._backend = replace(config, **own), backend
        self._read, self._end = min(READ, labels), vocabulary
        self._network = Generator.plan(self._config, vocabulary + 1, labels, backend)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return names and shapes of its parameters."""
        return {PREFIX + name: shape for name, shape in self._network.shapes().items()}

    def draw(self, host: Parameters, seed: int) -> None:
        """Fill its host parameters with initial weights."""
        self._network.draw(self._own(host), seed)

    def window(self, steps: int, streams: int, backward: bool) -> Window:
        """Allocate a window for texts of at most ``steps`` symbols, to learn or to decide."""
        return self._network.window(steps + 1, streams * (1 if backward else self._read), backward)

    def stage(self, weights: Parameters, window: Window, *, backward: bool) -> list[Any]:
        """Return its weights as a pass over a window uses them."""
        return self._at(weights).stage(window, backward=backward)

    def mask(self, steps: int, streams: int, dtype: Any) -> Array:
        """Allocate the dropout mask of its outputs; the last step takes that of the first."""
        return self._backend.xp.empty((steps, self._config.hidden, streams), dtype)

    def loss_and_gradient(
        self,
        weights: Parameters,
        window: Window,
        ids: Array,
        labels: Array,
        grads: Parameters,
        padding: Padding,
        kept: Array | None,
        symbols: int,
    ) -> Array:
        """Return L_w (0-d) of texts (T, N) of labels (N,), and write its gradients.

        ``kept`` is the drawn :meth:`mask`, ``symbols`` M.
        """
        xp = self._backend.xp
        targets, ended = self._targets(ids, padding)
        masks: Sequence[Array] | None = None
        if kept is not None:
            masks = [xp.concatenate((kept, kept[:1]))[: len(targets)]]
        return self._at(weights).loss_and_gradient(
            window,
            self._inputs(targets, labels),
            targets,
            self._own(grads),
            masks,
            padding=ended,
            symbols=symbols * SPAN,
        )

    def mix(
        self,
        logits: Array,
        prior: Array,
        weights: Parameters,
        window: Window,
        ids: Array,
        padding: Padding,
    ) -> Array:
        """Return the decision (labels, N), given that of network and counts, and λ ln P(c)."""
        xp, put = self._backend.xp, self._backend.put
        targets, ended = self._targets(ids, padding)
        likely = xp.argsort(-logits, axis=0)[: self._read]
        many = xp.concatenate([targets] * self._read, axis=1)
        inputs = self._inputs(many, likely.reshape(-1))
        nats = self._at(weights).surprisal(window, inputs, many)
        nats = nats.reshape(len(targets), *likely.shape) * ended.mask(logits.dtype)[:, None]
        read = -nats.sum(axis=0) * put(temperature(padding.lengths), logits.dtype)
        read += xp.take(prior, likely) / CERTAINTY
        given: Any = xp.zeros_like(logits)
        given += read.min(axis=0)
        given[likely, xp.arange(likely.shape[1])] = read
        return logits * (1 - SHARE) + given * SHARE

    def _targets(self, ids: Array, padding: Padding) -> tuple[Array, Padding]:
        """Return texts (T, N) with their ends, (T + 1, N), and where these end."""
        xp, (steps, streams) = self._backend.xp, ids.shape
        lengths = np.where(padding.lengths > 0, padding.lengths + 1, 0)
        targets: Any = xp.full((steps + 1, streams), self._end, np.int64)
        real = self._backend.put(padding.real)
        targets[:-1] = xp.where(real, ids, self._end)
        return targets, Padding(lengths, steps + 1, self._backend)

    def _inputs(self, targets: Array, labels: Array) -> Array:
        """Return what the network reads before each target (T, N), given the labels (N,)."""
        xp = self._backend.xp
        first = xp.full((1, targets.shape[1]), self._end, np.int64)
        read = xp.concatenate((first, targets[:-1]))
        return read + labels.astype(np.int64) * (self._end + 1)

    def _at(self, weights: Parameters) -> Generator:
        return self._network.at(self._own(weights))

    def _own(self, weights: Parameters) -> Parameters:
        """Return its parameters, which are side by side among those of the classifier."""
        return weights.part(PREFIX)


def both(read: NDArray[Any], written: NDArray[Any], vocabulary: int) -> NDArray[np.int64]:
    """Return what a network of V symbols reads, and what its writer learns to write, as one."""
    found: NDArray[np.int64] = read + np.int64(vocabulary) * (written.astype(np.int64) + 1)
    return found


def apart(ids: Array, vocabulary: int, xp: Any) -> tuple[Array, Array]:
    """Return what is read and what is written; of plain symbols it is the same."""
    ids = ids.astype(xp.int64)  # V itself need not fit into a symbol's type
    return ids % vocabulary, xp.where(ids < vocabulary, ids, ids // vocabulary - 1)


def elements(shapes: Shapes, steps: int, streams: int, labels: int = 1) -> int:
    """Return the elements of the largest arrays that a writer needs at once.

    It learns from texts given one label; to decide it reads them given several of ``labels``.
    """
    V, H = shapes[PREFIX + "decoder.weight"]
    width = EMBED + shapes[PREFIX + "label_embedding.weight"][1]
    return (steps + 1) * streams * min(READ, labels) * (V + 5 * H + 2 * width)
