"""A layer by the compiled core.

It computes what :class:`~charrnn.model.layer.Layer` defines, up to rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from charrnn.backend import Array, Backend
from charrnn.backend.native import jobs
from charrnn.backend.native.core import address, empty, rows, rows_of, sequence
from charrnn.backend.native.routine import Routine
from charrnn.cells.base import Cell, MatrixGradient, Workspace
from charrnn.model.layer import Layer, whole
from charrnn.model.resets import Resets

STREAMS = 8
"""Streams that are worth a thread of their own in a recurrence; FEW_STREAMS in ``recurrence.h``."""


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


class Scratch:
    """What a compiled layer keeps with a window's arrays.

    Attributes
    ----------
    job
        The C structure of its recurrence.
    staged, steps
        The weights and the steps that the structure points to; None at first.
    packing, sums
        How the weights are packed, and the gradients added up.
    """

    def __init__(self, job: Any) -> None:
        self.job = job
        self.staged: Packed | None = None
        self.steps: tuple[int, int] | None = None
        self.packing, self.sums = Routine[Packed](), Routine[None]()


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
        job = jobs.Recurrence(N=N, H=H, kind=self._functions.kind, room=address(room))
        for name, gradient in ws.gradients.items():
            setattr(job, f"d{name}", address(gradient))
        ws.scratch = Scratch(job)
        return ws

    def stage(self, weights: Mapping[str, Array], ws: Workspace | None, dense: bool = False) -> Any:
        if ws is None:
            return self._pack(weights, self.cell.input_bias(self.xp, weights), {}, dense, False)
        bias = weights["bias_ih"]
        if type(self.cell).input_bias is not Cell.input_bias:
            own = bias = _room(ws.staging, "bias", bias)
            self._core.do(lambda: np.copyto(own, self.cell.input_bias(self.xp, weights)))
        pack = partial(self._pack, weights, bias, ws.staging, dense, True)
        arrays: Any = (*weights.values(), bias)
        return ws.scratch.packing.run(self._core, arrays, dense, pack)

    def _pack(
        self,
        weights: Mapping[str, Array],
        bias: Array,
        kept: dict[str, Array],
        dense: bool,
        backward: bool,
    ) -> Packed:
        """Pack the weights into arrays that are kept from one time to the next."""
        core, H, D, G = self._core, self.H, self.D, len(self.cell.gates)

        def panels(name: str, columns: int, K: int, groups: int = 1) -> Array:
            if name not in kept:
                kept[name] = core.panels(columns, K, groups)
            return kept[name]

        hh, ih = weights["weight_hh"], weights["weight_ih"]
        forth = core.pack(hh, G, panels("forth", H, H, G))
        back = ih_forth = ih_back = table = None
        if backward:
            back, start = panels("back", H, H, G), 0
            for first, last, begin in self._functions.products:
                matrix = hh[first * H : last * H]
                core.pack_transposed(matrix, back[start:], last - first, begin)
                start += (last - first) * core.panels_size(H, H)
        if dense:
            ih_forth = core.pack(ih, 1, panels("ih", G * H, D))
            if backward:
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
        if x.ndim == 3:
            received = ws.work[: len(x), self.cell.input_rows(self.H)]
            self._core.product(rows(x), staged.ih, rows_of(received))
        else:
            ids = _room(ws.staging, "ids", x, len(ws.work))[: len(x)]
            self._core.do(partial(np.copyto, ids, x, "unsafe"))
        for start, stop, kept in resets.runs(part) if resets else whole(part):
            if kept is not None:
                for states in ws.states.values():
                    self.xp.multiply(states[start], kept, out=states[start])
            self._point(staged, ws, start, stop)
            self._run("forward", ws.scratch.job)

    def _point(self, staged: Packed, ws: Workspace, start: int, stop: int) -> None:
        """Point the structure at steps ``start`` to ``stop``, unless it points there already."""
        scratch = ws.scratch
        if scratch.staged is not staged or scratch.steps != (start, stop):
            ids = None if staged.table is None else ws.staging["ids"]
            self.point(staged, ws, start, stop, ids, staged.table)
            scratch.staged, scratch.steps = staged, (start, stop)

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
        job = ws.scratch.job
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
            self._point(staged, ws, start, stop)
            ws.scratch.job.d_out = address(d_rows[start * N :])
            self._run("backward", ws.scratch.job)
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
        dense = rows(x) if x.ndim == 3 else None
        read = None if dense is None else (address(dense), dense.strides)
        add = partial(self._accumulate, ws, dense, steps, grads)
        ws.scratch.sums.run(self._core, tuple(grads.values()), (steps, read), add)

    def _accumulate(
        self,
        ws: Workspace,
        x: Array | None,
        steps: int,
        grads: Mapping[str, Array],
    ) -> None:
        """Write the gradients; ``x`` (rows, D) is what the layer read, None for symbols."""
        core, symbols = self._core, None
        work, inputs = rows_of(ws.work[:steps]), self.cell.input_rows(self.H)
        factors: list[tuple[Array, Array]] = []  # of the products with what the inputs' bias sums
        if x is not None:
            factors.append((x, grads["weight_ih"]))
        else:
            symbols = ws.staging["ids"][:steps], grads["weight_ih"]
        sums = {
            (term.source.start, term.source.stop): grads[term.parameter][term.rows]
            for term in self._terms
            if not isinstance(term, MatrixGradient)
        }
        for term in self._terms:
            if not isinstance(term, MatrixGradient):
                continue
            factor = rows_of(ws.operand(term.operand, steps)), grads[term.parameter][term.rows]
            if term.source == inputs:
                factors.append(factor)
            else:
                bias = sums.pop((term.source.start, term.source.stop), None)
                core.outer(work[:, term.source], [factor], bias)
        for (start, stop), bias in sums.items():
            core.sum(work[:, start:stop], bias)
        core.outer(work[:, inputs], factors, grads["bias_ih"], symbols)


def _room(arrays: dict[str, Array], name: str, like: Array, length: int | None = None) -> Array:
    """Return the array of that name, which is made for ``length`` rows or as many as ``like``."""
    if name not in arrays:
        kind = np.int32 if like.dtype.kind in "iu" else like.dtype
        arrays[name] = np.empty((length or len(like), *like.shape[1:]), kind)
    return arrays[name]
