"""The model one symbol at a time, by the compiled core.

One call computes all layers and the logits of one step, or draws the symbols of many steps.
"""

from __future__ import annotations

from ctypes import addressof, c_void_p, cast, pointer
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.backend import Array
from charrnn.backend.native import jobs
from charrnn.backend.native.core import address, rows_of
from charrnn.model.counted import READ
from charrnn.model.language import LanguageModel
from charrnn.model.network import DECODER, EMBEDDING, RNN
from charrnn.model.window import Window
from charrnn.sampling.options import SampleOptions
from charrnn.sampling.steps import TABLE_ELEMENTS


class CompiledSteps:
    """Steps of N streams by the compiled core.

    Parameters
    ----------
    model
        Its weights are read now.
    window
        Of one step of N streams: its states, of which index 0 is always the current one.
    """

    def __init__(self, model: LanguageModel, window: Window) -> None:
        core = model.backend.core
        assert core is not None
        self._core, self.current, embedding = core, 0, None
        layers: list[Any] = list(model.stack.layers)
        bottom = layers[0]
        (V, H), N, G = (model.V, bottom.H), window.streams, len(bottom.cell.gates)
        self._ids = np.zeros((1, N), np.int32)
        self._logits = np.empty((N, V), np.float32)
        self._dense = np.empty((N, model.config.embed), np.float32)
        self._kept: list[Any] = []  # what the structures point to
        ih = (c_void_p * len(layers))()
        jobs_of_layers = (c_void_p * len(layers))()
        for index, (layer, ws) in enumerate(zip(layers, window.layers, strict=True)):
            weights = model.stack.of_layer(model.weights, index, RNN)
            table = None
            dense = index > 0 or bool(model.config.embed)
            staged = layer.stage(weights, None, dense)
            if not dense:
                table = staged.table
            elif index == 0 and V * G * H <= TABLE_ELEMENTS:
                table = np.empty((V, G * H), np.float32)
                core.product(model.weights[EMBEDDING], staged.ih, table)
                table += staged.bias
            elif index == 0:
                embedding = model.weights[EMBEDDING]
            layer.point(staged, ws, 0, 1, self._ids if table is not None else None, table)
            ih[index] = None if table is not None else address(staged.ih)
            jobs_of_layers[index] = cast(pointer(ws.scratch.job), c_void_p)
            self._kept += [staged, table, ws]
        weight, bias = model.weights[DECODER + "weight"], model.weights[DECODER + "bias"]
        decoder = core.pack(weight, 1, core.panels(V, H))
        rows = rows_of(window.layers[0].work)
        forward = cast(core.library[f"charrnn_{bottom.cell.compiled.name}_share"], c_void_p)
        self._job = jobs.Sample(
            layers=len(layers),
            N=N,
            H=H,
            V=V,
            D=bottom.D,
            gates=G,
            width=rows.shape[1],
            offset=bottom.cell.input_rows(H).start,
            layer=cast(jobs_of_layers, c_void_p),
            ih=cast(ih, c_void_p),
            forward=forward,
            embedding=address(embedding),
            embedded=address(self._dense),
            decoder=address(decoder),
            bias=address(bias),
            ids=address(self._ids),
            logits=address(self._logits),
        )
        if model.counted:
            lookup, share = model.counted.prepared(model.weights)
            tables, read = lookup.described(share), window.sequences[READ][0]
            self._job.counted, self._job.read = addressof(tables), address(read)
            self._kept += [lookup, tables, read]
        self._kept += [embedding, decoder, bias, jobs_of_layers, ih]
        self._work = 2.0 * N * model.weights.trained.flat.size  # of a step

    def advance(self, ids: Array) -> Array:
        """Let stream n read the symbol ``ids[n]``; return the logits of what follows, (V, N).

        The next step overwrites the logits.
        """
        self._ids[0] = ids
        self._core.call("sample", self._job, self._work)
        return self._logits.T

    def draw(
        self,
        ids: NDArray[Any],
        options: SampleOptions,
        unknown: int | None,
        temperatures: NDArray[np.float64],
        uniforms: NDArray[np.float64],
        kept: bool,
    ) -> tuple[NDArray[np.int32], NDArray[np.float32] | None]:
        """Let the streams read the symbols ``ids`` (N,), then each what is drawn for it.

        Parameters
        ----------
        options
            The filters; no rules.
        unknown
            A symbol that is never drawn.
        temperatures, uniforms
            The temperature of each of K steps, (K,), and the random numbers, (K, N).
        kept
            Whether to return the logits.

        Returns
        -------
        The symbols drawn (K, N) and, if asked for, the logits that they were drawn from, (K, N, V).
        There are fewer than K steps if the logits after them are not finite.
        """
        steps, N = uniforms.shape
        drawn = np.empty((steps, N), np.int32)
        logits = np.empty((steps, *self._logits.shape), np.float32) if kept else None
        self._ids[0] = ids
        job = jobs.Draw(
            steps=steps,
            model=addressof(self._job),
            unknown=-1 if unknown is None else unknown,
            top_k=options.top_k,
            top_p=options.top_p,
            min_p=options.min_p,
            temperature=address(temperatures),
            uniform=address(uniforms),
            drawn=address(drawn),
            logits=address(logits),
        )
        self._core.call("draw", job, self._work)
        return drawn[: job.done], None if logits is None else logits[: job.done]
