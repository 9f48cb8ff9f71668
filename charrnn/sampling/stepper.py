"""The model one symbol at a time: the cells' own equations without the room for gradients.

What does not depend on the state is computed once: the input product of the bottom layer, with its
bias, is a table with a column for each symbol. Each layer has two views of its states, one that
reads the first and writes the second and one the other way round, so that no state is ever copied.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.backend import Array
from charrnn.model.language import EMBEDDING, RNN, LanguageModel
from charrnn.model.layer import Staged

READ_STEPS = 256
"""Symbols of a prime that are read at a time."""
TABLE_ELEMENTS = 1 << 24
"""The largest table of input products that is worth its memory."""


class _LayerStep(NamedTuple):
    """One layer's operands: views into its workspace, and the output of the layer below it."""

    below: Array
    ih: Array
    bias: Array
    received: Array
    staged: Any
    view: Any
    scratch: Any


class Stepper:
    """N streams of a model, from a zero state, one symbol of each at a time.

    The weights are taken as they are now; a later change of the model's weights does not count.

    Parameters
    ----------
    model
        The model.
    streams
        N.
    """

    def __init__(self, model: LanguageModel, streams: int = 1) -> None:
        self.model = model
        self.streams = streams
        stack, xp = model.stack, model.backend.xp
        self._forward = stack.cell.forward
        self._window = model.window(1, streams, backward=False)
        self._dense = xp.empty((model.config.embed, streams), np.dtype(model.config.dtype))
        self._plans: tuple[list[_LayerStep], list[_LayerStep]] = ([], [])
        self._tops: list[Array] = []
        staged = [
            layer.stage({p: model.weights[RNN + stack.name(p, i)] for p in layer.shapes()}, None)
            for i, layer in enumerate(stack.layers)
        ]
        for phase in (0, 1):
            below = self._dense
            for layer, ws, weights in zip(stack.layers, self._window.layers, staged, strict=True):
                turned = {
                    name: array[::-1] if phase else array for name, array in ws.states.items()
                }
                view = stack.cell.view(replace(ws, states=turned), 0, layer.H)
                received = ws.work[0, stack.cell.input_rows(layer.H)]
                self._plans[phase].append(
                    _LayerStep(
                        below, weights.ih, weights.bias, received, weights.cell, view, ws.scratch
                    )
                )
                below = turned[stack.cell.states[0]][1]
            self._tops.append(below[None])
        self._feed = self._first_product(staged[0])
        self._phase = 0

    def read(self, ids: NDArray[Any]) -> None:
        """Let every stream read the symbols ``ids`` (1-D, host) from a zero state."""
        model = self.model
        source = model.window(min(READ_STEPS, max(1, len(ids))), 1, backward=False)
        for start in range(0, len(ids), source.steps):
            model.forward(source, model.backend.put(ids[start : start + source.steps, None]))
            source.carry()
        for (_, mine), (_, read) in zip(self._window.states(), source.states(), strict=True):
            mine[0] = read[0]
        self._phase = 0

    def step(self, ids: NDArray[Any]) -> NDArray[Any]:
        """Let stream n read the symbol ``ids[n]``; return the logits of what follows, (N, V).

        Both are on the host.
        """
        xp, forward = self.model.backend.xp, self._forward
        plan = self._plans[self._phase]
        self._feed(self.model.backend.put(ids))
        first = True
        for below, ih, bias, received, staged, view, scratch in plan:
            if not first:
                xp.matmul(ih, below, out=received)
                xp.add(received, bias, out=received)
            first = False
            forward(xp, staged, view, scratch)
        top = self._tops[self._phase]
        self._phase ^= 1
        logits = self.model.head.logits(self.model.weights, top)[0]
        return self.model.backend.get(logits).T

    def _first_product(self, weights: Staged) -> Callable[[Array], None]:
        """Return what writes ``weight_ih x + bias`` of the bottom layer for given symbols."""
        model, xp = self.model, self.model.backend.xp
        received, bias, dense = self._plans[0][0].received, weights.bias, self._dense
        embedding = model.weights[EMBEDDING] if model.config.embed else None

        def from_table(ids: Array) -> None:
            xp.take(table, ids, axis=1, out=received, **unbuffered)

        def from_columns(ids: Array) -> None:
            xp.take(weights.ih, ids, axis=1, out=received, **unbuffered)
            xp.add(received, bias, out=received)

        def from_embedding(ids: Array) -> None:
            dense[...] = xp.take(embedding, ids, axis=0).T
            xp.matmul(weights.ih, dense, out=received)
            xp.add(received, bias, out=received)

        # NumPy's default mode copies through a buffer; CuPy has but one mode.
        unbuffered: dict[str, Any] = {"mode": "clip"} if xp.__name__ == "numpy" else {}
        if model.V * weights.ih.shape[0] > TABLE_ELEMENTS:
            return from_columns if embedding is None else from_embedding
        table = (weights.ih if embedding is None else weights.ih @ embedding.T) + bias
        return from_table
