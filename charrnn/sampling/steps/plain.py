"""The model one symbol at a time: the cells' own equations, in arrays of a single step.

What does not depend on the state is computed once: the input product of the bottom layer, with its
bias, is a table with one column per symbol. Each layer has two views of its states, one that
reads the first and writes the second and one the other way round, so that no state is ever copied.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from charrnn.backend import Array, Backend
from charrnn.model.language import LanguageModel
from charrnn.model.layer import Layer, Staged
from charrnn.model.network import DECODER, EMBEDDING, RNN
from charrnn.model.onehot import columns
from charrnn.model.window import Window
from charrnn.sampling.steps import TABLE_ELEMENTS

_quiet = np.errstate(all="ignore")  # weights may be non-finite; the output is checked


class _LayerStep(NamedTuple):
    """One layer's operands: views into its workspace, and the output of the layer below it.

    ``below`` is None for the bottom layer, which symbols feed.
    """

    below: Array | None
    ih: Array
    bias: Array
    received: Array
    staged: Any
    view: Any
    scratch: Any


class PlainSteps:
    """Steps of N streams by the cells' own equations.

    Parameters
    ----------
    model
        Its weights are read now.
    window
        Of one step of N streams: its states.

    Attributes
    ----------
    current
        The index of the current state in the window's states.
    """

    @_quiet
    def __init__(self, model: LanguageModel, window: Window) -> None:
        self.model, self.current = model, 0
        streams = self.streams = window.streams
        stack, xp = model.stack, model.backend.xp
        self._forward = stack.cell.forward
        self._dense = xp.empty((model.config.embed, streams), np.dtype(model.config.dtype))
        self._plans: tuple[list[_LayerStep], list[_LayerStep]] = ([], [])
        self._tops: list[Array] = []
        staged = []
        for i, layer in enumerate(stack.layers):
            mine = stack.of_layer(model.weights, i, RNN)
            staged.append(layer.stage(mine, None, dense=i > 0 or bool(model.config.embed)))
        decoder = model.weights[DECODER + "weight"]
        if streams == 1:
            staged = [_by_columns(model.backend, each) for each in staged]
            decoder = xp.asfortranarray(decoder)
        self._decoder, self._decoder_bias = decoder, model.weights[DECODER + "bias"][:, None]
        self._logits = xp.empty((model.V, streams), np.dtype(model.config.dtype))
        for phase in (0, 1):
            below = None
            for layer, ws, weights in zip(stack.layers, window.layers, staged, strict=True):
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
            self._tops.append(below)
        self._feed = self._first_product(stack.layers[0], staged[0])

    @_quiet
    def advance(self, ids: Array) -> Array:
        """Let stream n read the symbol ``ids[n]``; return the logits of what follows, (V, N).

        Both are on the backend; the next step overwrites the logits.
        """
        xp, forward = self.model.backend.xp, self._forward
        plan = self._plans[self.current]
        self._feed(ids)
        for below, ih, bias, received, staged, view, scratch in plan:
            if below is not None:
                xp.matmul(ih, below, out=received)
                xp.add(received, bias, out=received)
            forward(xp, staged, view, scratch)
        top = self._tops[self.current]
        self.current ^= 1
        logits = self._logits
        xp.matmul(self._decoder, top, out=logits)
        xp.add(logits, self._decoder_bias, out=logits)
        return logits

    def _first_product(self, layer: Layer, weights: Staged) -> Callable[[Array], None]:
        """Return the function that writes ``weight_ih x + bias`` of the bottom layer for symbols.

        It takes symbols (N,) on the backend.
        """
        model, xp = self.model, self.model.backend.xp
        received, bias, dense = self._plans[0][0].received, weights.bias, self._dense
        embedding = model.weights[EMBEDDING] if model.config.embed else None

        def from_table(ids: Array) -> None:
            columns(xp, table, ids[None], received[None])

        def from_row(ids: Array) -> None:
            alone[...] = rows[ids[0]]

        def from_columns(ids: Array) -> None:
            layer.receive_symbols(weights, ids[None], received[None])

        def from_embedding(ids: Array) -> None:
            dense[...] = xp.take(embedding, ids, axis=0).T
            xp.matmul(weights.ih, dense, out=received)
            xp.add(received, bias, out=received)

        if model.V * bias.shape[0] > TABLE_ELEMENTS:
            return from_columns if embedding is None else from_embedding
        table = layer.table(weights) if embedding is None else weights.ih @ embedding.T + bias
        if self.streams > 1 or not model.backend.synchronous:
            return from_table
        alone, rows = received[:, 0], np.ascontiguousarray(table.T)
        return from_row


def _by_columns(backend: Backend, weights: Staged) -> Staged:
    """Store matrices column by column, so that a product with one vector adds up columns.

    At H = 128 this is a quarter faster than a dot product for each row, and it is never slower.
    """

    def turned(array: Array | None) -> Array | None:
        matrix = array is not None and array.shape[1] > 1
        return backend.xp.asfortranarray(array) if matrix else array

    cell = type(weights.cell)(*map(turned, weights.cell))
    if weights.ih is None:  # symbols choose columns: on a GPU, of a matrix that lies by rows
        if not backend.synchronous:
            return weights._replace(cell=cell)
        return weights._replace(cell=cell, weight_ih=turned(weights.weight_ih))
    return weights._replace(cell=cell, ih=turned(weights.ih))
