"""One recurrent layer over a window of steps: the one time loop of the whole project.

Input products and weight gradients are taken for all steps at once; only the recurrent product and
the pointwise equations, which the cell knows, run step by step. Backward is exact backpropagation
through the window (Werbos 1990); what makes it truncated is only that no gradient is asked for
before the window's first step (Williams and Peng 1990).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from charrnn.backend import Array, Backend
from charrnn.cells.base import Cell, Workspace
from charrnn.model.onehot import column_sums, columns

ROWS = 64
"""Of a block (see :class:`Backend`), where it is the operand of a product over several steps."""


class Staged(NamedTuple):
    """A layer's weights for one window: the cell's own form, input weights and their bias (G·H, 1).

    ``bias``, and ``ih`` where the input is dense, have the rows of logistic gates halved; ``whole``
    is ``weight_ih`` as it is.
    """

    cell: Any
    ih: Array
    bias: Array
    whole: Array


class Layer:
    """One layer of H units of the given cell, reading D inputs.

    An input is either a dense sequence (T, D, N) or symbols (T, N), which stand for one-hot
    vectors: their product with ``weight_ih`` is a choice of columns.
    """

    def __init__(self, cell: Cell, inputs: int, hidden: int, backend: Backend) -> None:
        self.cell = cell
        self.D = inputs
        self.H = hidden
        self.xp = backend.xp
        self.block = backend.block
        self.batched = backend.batched

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the layer's parameters, without layer suffix, and their shapes."""
        gates = len(self.cell.gates) * self.H
        shapes: dict[str, tuple[int, ...]] = {"weight_ih": (gates, self.D)}
        recurrent = self.cell.parameters(self.H)
        shapes["weight_hh"] = recurrent.pop("weight_hh")
        shapes["bias_ih"] = (gates,)
        return shapes | recurrent

    def workspace(self, dtype: Any, T: int, N: int) -> Workspace:
        """Allocate the arrays for windows of at most T steps of N streams."""
        return self.cell.workspace(self.xp, dtype, T, N, self.H)

    def stage(self, weights: dict[str, Array], ws: Workspace | None, dense: bool = False) -> Staged:
        """Prepare the weights for one window.

        ``ws`` is None if backward will not follow; ``dense`` tells that the inputs are no symbols.
        """
        xp, cell, H = self.xp, self.cell, self.H
        room, whole = None if ws is None else ws.room, weights["weight_ih"]
        staged = cell.stage(xp, weights, room)
        bias = cell.halved(xp, cell.input_bias(xp, weights), H, room, "bias")[:, None]
        ih = cell.halved(xp, whole, H, room, "ih") if dense else whole
        return Staged(staged, ih, bias, whole)

    def table(self, weights: Staged) -> Array:
        """Return what each symbol feeds into the layer, (G·H, V): a column of it, with the bias."""
        return self.cell.halve(weights.ih.copy(), self.H) + weights.bias

    def forward(
        self, weights: Staged, ws: Workspace, x: Array, steps: int, start: int = 0
    ) -> Array:
        """Run the steps from ``start`` to ``steps``, from the states at index ``start`` of ``ws``.

        ``x`` is the sequence from the window's first step on. Returns h_1 … h_steps, a view
        (steps, H, N) into the workspace.
        """
        xp, cell = self.xp, self.cell
        rows = cell.input_rows(self.H)
        if x.ndim == 3:
            self._receive(weights, ws.work[start:steps, rows], x[start:steps])
        elif not start:  # all symbols at once
            self._receive(weights, ws.work[: len(x), rows], x)
        staged, scratch = weights.cell, ws.scratch
        for step in ws.steps[start:steps]:
            cell.forward(xp, staged, step, scratch)
        return ws.states[cell.states[0]][1 : steps + 1]

    def _receive(self, weights: Staged, inputs: Array, x: Array) -> None:
        """Write ``weight_ih · x`` + bias for all steps to ``inputs`` (T, G·H, N)."""
        xp = self.xp
        T, F, N = inputs.shape
        if x.ndim == 2:
            small = weights.ih.shape[1] <= T * N  # then the columns are made before they are chosen
            if small:
                columns(xp, self.table(weights), x, inputs)
                return
            some = max(1, self.block // (F * N))
            for start in range(0, T, some):
                part = inputs[start : start + some]
                columns(xp, weights.ih, x[start : start + some], part)
                self.cell.halve(part.transpose(1, 0, 2), self.H)
                xp.add(part, weights.bias, out=part)
            return
        if self.batched:
            xp.matmul(weights.ih, x, out=inputs)
            xp.add(inputs, weights.bias, out=inputs)
            return
        some = max(1, self.block // (ROWS * N))
        for start in range(0, T, some):  # several steps side by side: narrow products are slow
            part = x[start : start + some].transpose(1, 0, 2)
            product = xp.matmul(weights.ih, part.reshape(self.D, -1)).reshape(F, -1, N)
            xp.add(product.transpose(1, 0, 2), weights.bias, out=inputs[start : start + some])

    def backward(
        self, weights: Staged, ws: Workspace, d_out: Array, steps: int, start: int = 0
    ) -> None:
        """Undo :meth:`forward`, back to the pre-activations.

        ``d_out`` (T, H, N) is ∂L/∂h_t as it arrives from above and ``ws.gradients`` what arrives
        from after step ``steps``. Afterwards ``d_out`` holds the total ∂L/∂h_t, ``ws.gradients``
        ∂L/∂(states before ``start``), and ``ws.work`` the gradients of the pre-activations.
        """
        xp, cell = self.xp, self.cell
        gradients, staged, scratch = ws.gradients, weights.cell, ws.scratch
        for t in range(steps - 1, start - 1, -1):
            cell.backward(xp, staged, ws.steps[t], d_out[t], gradients, scratch)

    def pass_down(self, weights: Staged, ws: Workspace, dx: Array, part: slice) -> None:
        """Write ∂L/∂x of a part that :meth:`backward` has undone to that of ``dx`` (T, D, N)."""
        received = ws.work[part, self.cell.input_rows(self.H)]
        self.xp.matmul(weights.whole.T, received, out=dx[part])

    def accumulate(
        self,
        weights: Staged,
        ws: Workspace,
        x: Array,
        steps: int,
        grads: dict[str, Array],
        room: dict[str, Array],
        dx: Array | None,
    ) -> None:
        """Write the weight gradients of the window that :meth:`backward` has just undone.

        ``room`` holds flattened sequences; it may be shared by all layers. ``dx`` (steps, D, N), if
        asked for, receives ∂L/∂x.
        """
        xp, cell = self.xp, self.cell
        work = flatten(xp, ws.work[:steps], room, "work")
        rows = work[cell.input_rows(self.H)]
        if x.ndim == 2:
            column_sums(xp, rows, x, grads["weight_ih"])
            # each step of each stream is in exactly one column: their sum is the bias's gradient
            xp.sum(grads["weight_ih"], axis=1, out=grads["bias_ih"])
        else:
            xp.matmul(rows, flatten(xp, x, room, "operand").T, out=grads["weight_ih"])
            xp.sum(rows, axis=1, out=grads["bias_ih"])
        if dx is not None:
            below = xp.matmul(weights.whole.T, rows).reshape(self.D, steps, -1)
            dx[...] = below.transpose(1, 0, 2)
        last = ""
        for piece in cell.pieces(self.H):
            if piece.operand != last:
                operand = flatten(xp, ws.operand(piece.operand, steps), room, "operand").T
                last = piece.operand
            xp.matmul(work[piece.at], operand, out=grads["weight_hh"][piece.rows])
            if "bias_hh" in grads:
                xp.sum(work[piece.at], axis=1, out=grads["bias_hh"][piece.rows])


def flatten(xp: Any, sequence: Array, room: dict[str, Array], name: str) -> Array:
    """Return (T, F, N) as (F, T·N), contiguous: all steps and streams side by side.

    The array is kept under ``name`` in ``room`` and overwritten by the next call for that name.
    """
    T, F, N = sequence.shape
    size = T * F * N
    if name not in room or room[name].size < size:
        room[name] = xp.empty(size, sequence.dtype)
    out = room[name][:size].reshape(F, T, N)
    out[...] = sequence.transpose(1, 0, 2)
    return out.reshape(F, T * N)
