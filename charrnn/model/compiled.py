"""Layers and the language model's head by the compiled core (:mod:`charrnn.backend.native`).

They compute what :class:`~charrnn.model.layer.Layer` and
:class:`~charrnn.model.head.LanguageModelHead` define, up to rounding. Sequences (T, F, N) are views
of arrays (T, N, F): the features of a stream lie side by side.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from charrnn.backend import Array, Backend
from charrnn.backend.native import jobs
from charrnn.backend.native.core import Core, address, empty, rows, rows_of, sequence
from charrnn.cells.base import Cell, MatrixGradient, Workspace
from charrnn.model.head import LanguageModelHead
from charrnn.model.layer import Layer, whole
from charrnn.model.parameters import Parameters
from charrnn.model.resets import Resets

STREAMS = 8
"""Streams that are worth a thread of their own in a recurrence; FEW_STREAMS in ``recurrence.h``."""


def layer(cell: Cell, inputs: int, hidden: int, backend: Backend, dtype: str) -> Layer:
    """Return a layer, compiled if the backend has a core and the core knows the cell."""
    kind = CompiledLayer if backend.core is not None and fits(cell, dtype) else Layer
    return kind(cell, inputs, hidden, backend)


def fits(cell: Cell, dtype: str) -> bool:
    """Return whether a compiled core can compute such layers."""
    return cell.compiled is not None and dtype == "float32"


def head(top: Layer, vocabulary: int, backend: Backend, prefix: str) -> LanguageModelHead:
    """Return the language-model head for this top layer; compiled if the layer is."""
    kind = CompiledHead if top.compiled else LanguageModelHead
    return kind(top.width, vocabulary, backend, prefix)


class Packed(NamedTuple):
    """A layer's weights as the compiled functions read them; what is not needed is None.

    Attributes
    ----------
    forth, back
        Panels of the recurrent matrix and of its transpose.
    ih, ih_back
        Panels of the input matrix and of its transpose, for dense inputs.
    table
        (V, G·H): input product and bias of every symbol, for symbols.
    bias
        The bias of the input product, (G·H,).
    extra
        A bias inside the recurrence, (H,).
    """

    forth: Array
    back: Array | None
    ih: Array | None
    ih_back: Array | None
    table: Array | None
    bias: Array
    extra: Array | None


class CompiledLayer(Layer):
    """A layer in float32 whose cell the compiled core knows."""

    compiled = True

    def __init__(self, cell: Cell, inputs: int, hidden: int, backend: Backend) -> None:
        super().__init__(cell, inputs, hidden, backend)
        assert backend.core is not None
        assert cell.compiled is not None
        assert len(cell.saved) <= 1  # the structure has one pointer for them
        self._core, self._functions = backend.core, cell.compiled

    def sequence(self, dtype: Any, T: int, F: int, N: int) -> Array:
        return sequence(T, F, N)

    def workspace(self, dtype: Any, T: int, N: int) -> Workspace:
        cell, H = self.cell, self.H
        ws = Workspace(
            work=sequence(T, cell.blocks * H, N),
            states={name: sequence(T + 1, H, N) for name in cell.states},
            saved={name: sequence(T, H, N) for name in cell.saved},
            gradients={name: sequence(1, H, N)[0] for name in cell.states},
        )
        for array in (*ws.states.values(), *ws.gradients.values()):
            array[...] = 0.0
        room = ws.staging["room"] = empty(N, H)
        job = ws.scratch = jobs.Recurrence(N=N, H=H, kind=self._functions.kind, room=address(room))
        for name, gradient in ws.gradients.items():
            setattr(job, f"d{name}", address(gradient))
        return ws

    def stage(self, weights: Mapping[str, Array], ws: Workspace | None, dense: bool = False) -> Any:
        core, H, D, G = self._core, self.H, self.D, len(self.cell.gates)
        kept: dict[str, Array] = {} if ws is None else ws.staging

        def panels(name: str, columns: int, K: int, groups: int = 1) -> Array:
            if name not in kept:
                kept[name] = core.panels(columns, K, groups)
            return kept[name]

        hh, ih = weights["weight_hh"], weights["weight_ih"]
        bias = self.cell.input_bias(self.xp, weights)
        forth = core.pack(hh, G, panels("forth", H, H, G))
        back = ih_forth = ih_back = table = None
        if ws is not None:
            back, start = panels("back", H, H, G), 0
            for first, last, begin in self._functions.products:
                matrix = hh[first * H : last * H]
                core.pack_transposed(matrix, back[start:], last - first, begin)
                start += (last - first) * core.panels_size(H, H)
        if dense:
            ih_forth = core.pack(ih, 1, panels("ih", G * H, D))
            if ws is not None:
                ih_back = core.pack_transposed(ih, panels("ih_back", D, G * H))
        else:
            if "table" not in kept:
                kept["table"] = empty(D, G * H)
            table = kept["table"]
            core.transpose(ih, bias, table)
        extra = weights[self._functions.extra][-H:] if self._functions.extra else None
        return Packed(forth, back, ih_forth, ih_back, table, bias, extra)

    def forward(
        self,
        staged: Any,
        ws: Workspace,
        x: Array,
        part: slice,
        resets: Resets | None = None,
    ) -> None:
        table = ids = None
        if x.ndim == 3:
            received = ws.work[: len(x), self.cell.input_rows(self.H)]
            self._core.product(rows(x), staged.ih, rows_of(received))
        else:
            ids, table = np.ascontiguousarray(x, np.int32), staged.table
            ws.staging["ids"] = ids
        for start, stop, kept in resets.runs(part) if resets else whole(part):
            if kept is not None:
                for states in ws.states.values():
                    self.xp.multiply(states[start], kept, out=states[start])
            self.point(staged, ws, start, stop, ids, table)
            self._run("forward", ws.scratch)

    def point(
        self,
        staged: Any,
        ws: Workspace,
        start: int,
        stop: int,
        ids: Array | None = None,
        table: Array | None = None,
    ) -> None:
        """Point the workspace's C structure at steps ``start`` to ``stop`` of its window.

        They look up the symbols ``ids`` (T, N) in ``table``; without these, ``ws.work`` holds the
        input products.
        """
        job = ws.scratch
        job.T, job.work = stop - start, address(ws.work[start:])
        for name, states in ws.states.items():  # the structure has their names
            setattr(job, name, address(states[start:]))
        for array in ws.saved.values():
            job.saved = address(array[start:])
        job.forth, job.back, job.extra = map(address, (staged.forth, staged.back, staged.extra))
        job.bias, job.table = address(staged.bias), address(table)
        job.ids = None if ids is None else address(ids[start:])

    def backward(
        self,
        staged: Any,
        ws: Workspace,
        d_out: Array,
        dx: Array | None,
        part: slice,
        resets: Resets | None = None,
    ) -> None:
        d_rows, N = rows(d_out), d_out.shape[2]
        for start, stop, kept in reversed(list(resets.runs(part)) if resets else whole(part)):
            self.point(staged, ws, start, stop)
            ws.scratch.d_out = address(d_rows[start * N :])
            self._run("backward", ws.scratch)
            if kept is not None:
                for gradient in ws.gradients.values():
                    self.xp.multiply(gradient, kept, out=gradient)
        if dx is not None:
            received = ws.work[part, self.cell.input_rows(self.H)]
            self._core.product(rows_of(received), staged.ih_back, rows_of(dx))

    def _run(self, direction: str, job: Any) -> None:
        operations = 2.0 * job.T * job.N * len(self.cell.gates) * job.H**2
        most = -(-job.N // STREAMS)
        self._core.call(f"{self._functions.name}_{direction}", job, operations, most)

    def accumulate(
        self,
        staged: Any,
        ws: Workspace,
        x: Array,
        steps: int,
        grads: Mapping[str, Array],
        dx: Array | None,
    ) -> None:
        core, work = self._core, rows_of(ws.work[:steps])
        inputs = self.cell.input_rows(self.H)
        received, bias = work[:, inputs], grads["bias_ih"]
        factors: list[tuple[Array, Array]] = []  # of the products with what the bias sums
        if x.ndim == 3:
            factors.append((rows(x), grads["weight_ih"]))
        else:
            if "sums" not in ws.staging:
                ws.staging["sums"] = empty(*grads["weight_ih"].shape[::-1])
            sums = ws.staging["sums"]
            core.symbol_sums(received, ws.staging["ids"], sums)
            core.transpose(sums, None, grads["weight_ih"])
        for term in self._terms:
            out, delta = grads[term.parameter][term.rows], work[:, term.source]
            if not isinstance(term, MatrixGradient):
                core.sum(delta, out)
                continue
            factor = rows(ws.operand(term.operand, steps)), out
            if term.source == inputs:
                factors.append(factor)
            else:
                core.outer(delta, [factor])
        if factors:
            core.outer(received, factors, bias)
        else:
            core.sum(received, bias)


class CompiledHead(LanguageModelHead):
    """The head of a language model whose layers the compiled core computes."""

    def __init__(self, hidden: int, vocabulary: int, backend: Backend, prefix: str) -> None:
        super().__init__(hidden, vocabulary, backend, prefix)
        assert backend.core is not None
        self._core: Core = backend.core

    def surprisal(self, weights: Parameters, top: Array, targets: Array) -> Array:
        core, weight = self._core, weights[self._weight]
        forth = core.pack(weight, 1, core.panels(*weight.shape))
        ids, nats = np.ascontiguousarray(targets, np.int32), np.empty(targets.size)
        job = self._job(weights, rows(top), ids, forth, nats)
        core.call("loss", job, 2.0 * ids.size * weight.size)
        return nats.reshape(targets.shape).astype(top.dtype)

    def loss(
        self,
        weights: Parameters,
        top: Array,
        targets: Array,
        grads: Parameters,
        d_top: Array,
        buffers: dict[str, Array],
        *,
        mask: Array | None = None,
        symbols: int | None = None,
        added: Array | None = None,
    ) -> Array:
        if added is not None:  # the core knows no further logits
            given: dict[str, Any] = {"mask": mask, "symbols": symbols, "added": added}
            return super().loss(weights, top, targets, grads, d_top, buffers, **given)
        outputs, below = rows(top), rows_of(d_top)
        ids = np.ascontiguousarray(targets, np.int32).reshape(-1)
        if mask is None:
            return self._loss(weights, outputs, ids, grads, below, buffers, symbols or ids.size)
        counted = np.flatnonzero(mask)
        d_counted = empty(counted.size, self.H)
        count = symbols or counted.size
        loss = self._loss(weights, outputs[counted], ids[counted], grads, d_counted, buffers, count)
        below[...] = 0.0
        below[counted] = d_counted
        return loss

    def _loss(
        self,
        weights: Parameters,
        outputs: Array,
        ids: Array,
        grads: Parameters,
        below: Array,
        buffers: dict[str, Array],
        count: int,
    ) -> Array:
        """Compute the loss of rows of outputs (M, H), some at a time, and its gradients."""
        core, weight = self._core, weights[self._weight]
        V, H = weight.shape
        forth, back, room, nats = self._buffers(buffers, ids.size)
        core.pack(weight, 1, forth)
        core.pack_transposed(weight, back)
        d_weight, d_bias = grads[self._weight], grads[self._bias]
        if not ids.size:
            d_weight[...], d_bias[...] = 0.0, 0.0
        for start in range(0, ids.size, len(room)):
            part = slice(start, start + len(room))
            d_logits = room[: ids[part].size]
            job = self._job(weights, outputs[part], ids[part], forth, nats[part])
            job.back, job.scale = address(back), 1.0 / count
            job.d_logits, job.d_top = address(d_logits), address(below[part])
            core.call("loss", job, 4.0 * len(d_logits) * V * H)
            core.outer(d_logits, [(outputs[part], d_weight)], d_bias, start > 0)
        total = np.add.accumulate(nats[: ids.size])[-1] if ids.size else 0.0  # in a fixed order
        return np.float32(total / count)

    def _buffers(self, buffers: dict[str, Array], M: int) -> tuple[Array, ...]:
        """Return panels of the decoder both ways, room for d_logits, and the nats of M rows."""
        core, V, H = self._core, self.V, self.H
        if "decoder" not in buffers or buffers["nats"].size < M:
            buffers["decoder"], buffers["decoder_T"] = core.panels(V, H), core.panels(H, V)
            buffers["d_logits"] = empty(self._steps_at_once(M, 1), V)
            buffers["nats"] = np.empty(M)
        return tuple(buffers[name] for name in ("decoder", "decoder_T", "d_logits", "nats"))

    def _job(
        self, weights: Parameters, outputs: Array, ids: Array, forth: Array, nats: Array
    ) -> Any:
        """Return the C structure to compute the surprisal of each row of outputs, no gradients."""
        return jobs.Loss(
            rows=len(outputs),
            H=self.H,
            V=self.V,
            top=address(outputs),
            top_ld=outputs.strides[0] // outputs.itemsize,
            forth=address(forth),
            bias=address(weights[self._bias]),
            targets=address(ids),
            nats=address(nats),
        )
