"""The language model: predicts each symbol of a text from all preceding ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Self

import numpy as np

from charrnn.backend import Array, Backend
from charrnn.backend.array import Computation, Recorder
from charrnn.backend.native.routine import Passes
from charrnn.config import ModelConfig
from charrnn.model.counted import ALL, READ, Counted
from charrnn.model.head import Beside, LanguageModelHead
from charrnn.model.network import Divisible
from charrnn.model.parameters import Parameters
from charrnn.model.sequences.padding import Padding
from charrnn.model.window import Window

RECORDED = 8
"""The largest number of recorded passes over one window; each needs memory."""


class LanguageModel(Divisible):
    """A network whose head predicts the next symbol: loss and gradient, and surprisal.

    Attributes
    ----------
    counted
        The n-grams beside the network (:mod:`charrnn.model.counted`); None without any. The loss
        and its gradient are of the network alone, surprisal is of both.
    """

    kind = LanguageModelHead.kind
    counted: Counted | None

    def _build(self, config: ModelConfig, vocabulary: int, outputs: int, backend: Backend) -> None:
        super()._build(config, vocabulary, outputs, backend)
        self.counted = Counted(config.grams, vocabulary, backend) if config.grams else None
        self._training_passes = backend.graphs
        if backend.core is not None and self.core is not None and not config.embed:
            self._training_passes = Passes(backend.core)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return names and shapes of all parameters."""
        return super().shapes() | (self.counted.shapes() if self.counted else {})

    def draw(self, host: Parameters, seed: int) -> None:
        """Fill host parameters with initial weights, and no n-grams."""
        super().draw(host, seed)
        if self.counted:
            self.counted.clear(host)

    def alone(self) -> Self:
        """Return the network without its counted n-grams, over the same weights."""
        if self.counted is None:
            return self
        model = self.at(self.weights.trained)
        model.config, model.counted = replace(self.config, grams=0), None
        return model

    def window(self, steps: int, streams: int, backward: bool = True) -> Window:
        """Allocate a window of at most ``steps`` steps of ``streams`` streams, with zero states.

        If it is not for a backward pass, it remembers the last symbols for the n-grams.
        """
        window = super().window(steps, streams, backward)
        if self.counted and not backward:
            read = self.counted.state(steps, streams, self.weights.flat.dtype)
            window.sequences = {**window.sequences, READ: read}
            window.carried |= {READ}
        return window

    def forward(
        self,
        window: Window,
        ids: Array,
        *,
        backward: bool = False,
        dropout_masks: Sequence[Array] | None = None,
    ) -> Array:
        """Read symbols (T, N) from the window's states; return the top output (T, F, N)."""
        top = super().forward(window, ids, backward=backward, dropout_masks=dropout_masks)
        if self.counted and READ in window.sequences:
            self.counted.remember(window.sequences[READ], ids)
        return top

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
        recorder = self._training_passes
        if recorder is None or mask is not None or window.resets is not None:
            return compute(ids, targets)
        key = (id(grads), id(dropout_masks), symbols)
        touched = grads, dropout_masks
        return self._recorded(recorder, window, key, compute, touched, ids, targets)

    def _recorded(
        self,
        recorder: Recorder,
        window: Window,
        key: Any,
        compute: Computation,
        touched: Any,
        *arrays: Array,
    ) -> Array:
        """Compute by the recording of this window, these weights and shapes.

        ``touched`` holds everything else that the computation reads or writes; the recording keeps
        it alive.
        """
        key = (key, id(self.weights), *((array.shape, array.dtype) for array in arrays))
        if key not in window.recorded:
            if len(window.recorded) == RECORDED:
                return compute(*arrays)
            weights = self.weights

            def held() -> Any:
                kept = [(dict(ws.staging), dict(ws.buffers)) for ws in window.layers]
                return weights, touched, dict(window.buffers), kept

            window.recorded[key] = recorder.record(compute, held)
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
        graphs = self.backend.graphs
        if graphs is None or window.resets is not None or self.counted:
            with self.inference(window.streams):
                return self._surprisal(window, ids, targets)
        compute = partial(self._surprisal, window)
        return self._recorded(graphs, window, "surprisal", compute, None, ids, targets)

    def _surprisal(self, window: Window, ids: Array, targets: Array) -> Array:
        top = self.forward(window, ids)
        if self.counted is None:
            return self.head.surprisal(self.weights, top, targets)
        nats = self.backend.xp.empty(targets.shape, top.dtype)
        read = self.counted.read(window.sequences[READ][0], ids)
        for part in self.head.slabs(*targets.shape):
            beside = self.counted.beside(self.weights, read, part)
            nats[part] = self.head.surprisal(self.weights, top[part], targets[part], beside)
        return nats

    def mixture(self, window: Window, ids: Array, part: slice = ALL) -> Beside | None:
        """Return what logits are mixed with after some of the steps in which ``ids`` were read.

        The window still has the states before them. None without counted n-grams.
        """
        if self.counted is None:
            return None
        read = self.counted.read(window.sequences[READ][0], ids)
        return self.counted.beside(self.weights, read, part)
