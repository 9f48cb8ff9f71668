"""The tagger: a label at steps of a sequence.

    y = stack(x),   p_t(label) = softmax(W y_t + b)

The loss is the mean of -ln p_t(label_t) over the steps of a batch that are labelled. Other steps,
and the padding, have no loss, and so no gradient enters the stack there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.backend import Array
from charrnn.model.head import SLAB_ELEMENTS
from charrnn.model.network import Divisible
from charrnn.model.parameters import Parameters
from charrnn.model.sequences.padding import Padding
from charrnn.model.sequences.reading import log_softmax, read_whole
from charrnn.model.window import Window


class Tags(NamedTuple):
    """The likeliest labels at each step, (T, N) each, on the host.

    Attributes
    ----------
    best, log_p
        Their numbers, and ln p of them.
    nats
        -ln p of the right labels; zeros if none were given.
    """

    best: NDArray[np.int32]
    log_p: NDArray[np.float64]
    nats: NDArray[np.float64]


class Tagger(Divisible):
    """A network that reads whole sequences and chooses among ``outputs`` labels at each step."""

    kind = "tagger"

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
            The sequences, (T, N).
        targets
            The labels, (T, N); where there is none, any.
        dropout_masks
            The result of drawing :meth:`masks`; None for no dropout.
        mask
            (T, N): which steps are labelled; none of the padding is.
        padding
            Where the sequences end.
        symbols
            How many labelled steps there are in all windows of the update; by default those here.
        """
        assert mask is not None
        assert padding is not None
        top = read_whole(self, window, ids, padding, dropout_masks or ())
        d_top = window.d_top
        loss = self.head.loss(
            self.weights,
            top,
            targets,
            grads,
            d_top,
            window.buffers,
            mask=mask,
            symbols=symbols,
        )
        self.backward(window, ids, d_top, grads)
        return loss

    @np.errstate(all="ignore")  # non-finite weights are allowed; they show in the result
    def tags(
        self, window: Window, ids: Array, padding: Padding, labels: np.ndarray | None = None
    ) -> Tags:
        """Return the likeliest label at each step of sequences (T, N); no gradient is kept.

        Parameters
        ----------
        labels
            (T, N), on the host: the right labels, of which the surprisal is wanted.
        """
        T, N = ids.shape
        found = Tags(np.empty((T, N), np.int32), np.empty((T, N)), np.zeros((T, N)))
        with self.inference(window.streams):
            top = read_whole(self, window, ids, padding, None)
            steps = max(1, SLAB_ELEMENTS // (self.outputs * N))
            for part in (slice(t, min(T, t + steps)) for t in range(0, T, steps)):
                logits = self.backend.get(self.head.logits(self.weights, top[part]))
                log_p = log_softmax(logits, axis=1)
                best = log_p.argmax(axis=1)
                found.best[part] = best
                found.log_p[part] = np.take_along_axis(log_p, best[:, None], axis=1)[:, 0]
                if labels is not None:
                    right = np.minimum(labels[part], self.outputs - 1)[:, None].astype(np.int64)
                    found.nats[part] = -np.take_along_axis(log_p, right, axis=1)[:, 0]
        return found
