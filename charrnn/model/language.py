"""The language model: predicts each symbol of a text from all preceding ones."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from charrnn.backend import Array
from charrnn.backend.array import Computation
from charrnn.model.head import LanguageModelHead
from charrnn.model.network import Divisible
from charrnn.model.parameters import Parameters
from charrnn.model.sequences.padding import Padding
from charrnn.model.window import Window

RECORDED = 8
"""The largest number of recorded passes over one window; each needs memory."""


class LanguageModel(Divisible):
    """A network whose head predicts the next symbol: loss and gradient, and surprisal."""

    kind = LanguageModelHead.kind

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
            Symbols (T, N) on the backend.
        dropout_masks
            The result of :meth:`charrnn.model.dropout.Masks.draw`; None for no dropout.
        mask, symbols
            Which targets count, and how many there are in all windows of the update (see
            :meth:`charrnn.model.head.Head.loss`).
        padding
            None: a text has none.
        """
        assert padding is None
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
        self.backward(window, ids, d_top, grads)
        return loss

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
