"""A target one symbol at a time, for K hypotheses of each source."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.backend import Array
from charrnn.model.transducer.decoder import RNN
from charrnn.model.transducer.sources import Sources

if TYPE_CHECKING:
    from charrnn.model.transducer.model import Transducer

_quiet = np.errstate(all="ignore")  # weights may be non-finite; the output is checked


class Outlook(NamedTuple):
    """What may follow in each row.

    Attributes
    ----------
    logits
        (R, V), on the host.
    attention
        α of the step, (R, S), on the host, S counting the padding before the sources, too; None
        without attention.
    """

    logits: NDArray[np.floating]
    attention: NDArray[np.floating] | None


class Stepping:
    """The decoder at K rows for each of N sources, row n·K + k for hypothesis k of source n.

    Parameters
    ----------
    model
        Its weights are read now; make a new object if they change.
    sources
        Are read now.
    hypotheses
        K.
    """

    @_quiet
    def __init__(self, model: Transducer, sources: Sources, hypotheses: int = 1) -> None:
        S, N = sources.ids.shape
        backend, decoder, self.rows = model.backend, model.decoder, N * hypotheses
        self._model, self._backend, self._decoder = model, backend, decoder
        with model.inference(N):
            window = model.stack.workspace(S, N, backward=False)
            crossed, memory = model.encode(window, sources)
        pairs = backend.put(np.repeat(np.arange(N), hypotheses))
        self._memory = memory and memory.of(backend.xp, pairs)
        self._window = decoder.stack.workspace(1, self.rows, backward=False)
        states = {n: backend.xp.take(s, pairs, axis=1) for n, s in crossed.states.items()}
        decoder.begin(self._window, states)
        dense = bool(decoder.config.embed)
        self._staged = decoder.stack.stage(
            model.weights, self._window, RNN, dense=dense, backward=False
        )

    @_quiet
    def step(self, ids: NDArray[np.integer]) -> Outlook:
        """Let row r read the symbol ``ids[r]`` (host); return what may follow."""
        model, decoder, window = self._model, self._decoder, self._window
        with model.inference(self.rows):
            symbols = self._backend.put(ids[None])
            x: Array = decoder.embedded(model.weights, symbols) if decoder.config.embed else symbols
            for layer, ws, staged in zip(
                decoder.stack.layers, window.layers, self._staged, strict=True
            ):
                layer.forward(staged, ws, x, slice(0, 1))
                x = layer.output(ws, 1)
            vectors, attended = decoder.attend(model.weights, x, self._memory)
            logits = decoder.head.logits(model.weights, vectors)[0]
        window.used = 1
        window.carry()
        attention = None if attended is None else self._backend.get(attended.attention[:, 0])
        return Outlook(self._backend.get(logits).T, attention)

    def follow(self, rows: NDArray[np.integer]) -> None:
        """Let row r continue from the state of row ``rows[r]`` (host), of the same source."""
        index = self._backend.put(rows)
        for _, states in self._window.states():
            states[0] = self._backend.xp.take(states[0], index, axis=1)
