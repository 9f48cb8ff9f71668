"""One recurrent layer over a window of steps: the one time loop of the whole project.

Input products and weight gradients are taken for all steps at once; only the recurrent product and
the pointwise equations, which the cell knows, run step by step. Backward is exact backpropagation
through the window (Werbos 1990); what makes it truncated is only that no gradient is asked for
before the window's first step (Williams and Peng 1990).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from charrnn.backend import Array, Backend
from charrnn.cells._base import Cell, Workspace
from charrnn.cells._pointwise import transposed


class Staged(NamedTuple):
    """A layer's weights for one window: the cell's own form, input weights and their bias."""

    cell: Any
    ih: Array
    ih_T: Array
    bias: Array


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

        ``ws`` is None if backward will not follow; ``dense`` tells whether ∂L/∂x may be asked for.
        """
        room, ih = None if ws is None else ws.room, weights["weight_ih"]
        cell = self.cell.stage(self.xp, weights, room)
        back = transposed(self.xp, ih, room, "ih") if dense and room is not None else None
        return Staged(cell, ih, back, weights["bias_ih"][:, None])

    def forward(self, weights: Staged, ws: Workspace, x: Array, steps: int) -> Array:
        """Run ``steps`` steps from the states at index 0 of ``ws``.

        Returns h_1 … h_steps, a view (steps, H, N) into the workspace.
        """
        xp, cell = self.xp, self.cell
        self._receive(weights, ws.work[:steps, cell.input_rows(self.H)], x)
        staged, scratch = weights.cell, ws.scratch
        for step in ws.steps[:steps]:
            cell.forward(xp, staged, step, scratch)
        return ws.states[cell.states[0]][1 : steps + 1]

    def _receive(self, weights: Staged, inputs: Array, x: Array) -> None:
        """Write ``weight_ih · x + bias_ih`` for all steps to ``inputs`` (T, G·H, N)."""
        xp = self.xp
        T, F, N = inputs.shape
        if x.ndim == 2:
            table = weights.ih
            small = table.shape[1] <= T * N
            if small:  # the bias is added once to each column rather than to each choice of one
                table = table + weights.bias
            for t in range(T):
                _columns(xp, table, x[t], inputs[t])
            if small:
                return
        else:
            xp.matmul(weights.ih, x, out=inputs)
        some = max(1, self.block // (F * N))
        for start in range(0, T, some):
            received = inputs[start : start + some]
            xp.add(received, weights.bias, out=received)

    def backward(
        self, weights: Staged, ws: Workspace, d_out: Array, steps: int, dx: Array | None
    ) -> None:
        """Undo :meth:`forward`.

        ``d_out`` (steps, H, N) is ∂L/∂h_t as it arrives from above and ``ws.gradients`` what
        arrives from after the window. Afterwards ``d_out`` holds the total ∂L/∂h_t,
        ``ws.gradients`` ∂L/∂(initial states), ``ws.work`` the gradients of the pre-activations,
        and ``dx`` (steps, D, N), if asked for, ∂L/∂x.
        """
        xp, cell = self.xp, self.cell
        gradients, staged, scratch = ws.gradients, weights.cell, ws.scratch
        from_after = gradients[cell.states[0]]
        for t in range(steps - 1, -1, -1):
            dh = d_out[t]
            xp.add(dh, from_after, out=dh)
            cell.backward(xp, staged, ws.steps[t], dh, gradients, scratch)
        if dx is not None:
            xp.matmul(weights.ih_T, ws.work[:steps, cell.input_rows(self.H)], out=dx)

    def accumulate(
        self,
        ws: Workspace,
        x: Array,
        steps: int,
        grads: dict[str, Array],
        room: dict[str, Array],
    ) -> None:
        """Write the weight gradients of the window that :meth:`backward` has just undone.

        ``room`` holds flattened sequences; it may be shared by all layers.
        """
        xp, cell = self.xp, self.cell
        work = flatten(xp, ws.work[:steps], room, "work")
        rows = work[cell.input_rows(self.H)]
        if x.ndim == 2:
            one_hot_product(xp, rows, x, out=grads["weight_ih"])
            # each step of each stream is in exactly one column: their sum is the bias's gradient
            xp.sum(grads["weight_ih"], axis=1, out=grads["bias_ih"])
        else:
            xp.matmul(rows, flatten(xp, x, room, "operand").T, out=grads["weight_ih"])
            xp.sum(rows, axis=1, out=grads["bias_ih"])
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


def one_hot_product(xp: Any, rows: Array, ids: Array, out: Array) -> None:
    """Write ``rows`` (F, T·N) times the one-hot rows (T·N, V) of ``ids`` (T, N) to ``out`` (F, V).

    Where the alphabet is larger than the window, only the symbols that occur are multiplied.
    """
    flat, V = ids.reshape(-1), out.shape[1]
    if flat.size >= V:
        xp.matmul(rows, _one_hot(xp, flat, V, rows.dtype), out=out)
    else:
        symbols, flat = xp.unique(flat, return_inverse=True)
        out[...] = 0.0
        out[:, symbols] = rows @ _one_hot(xp, flat.reshape(-1), symbols.size, rows.dtype)


def _one_hot(xp: Any, ids: Array, V: int, dtype: Any) -> Array:
    """Return (M, V) with a single 1 in each row m, at ``ids[m]``."""
    hot = xp.zeros(ids.size * V, dtype)
    hot[xp.arange(ids.size, dtype=xp.int64) * V + ids] = 1.0
    return hot.reshape(ids.size, V)


def _columns(xp: Any, weight: Array, ids: Array, out: Array) -> None:
    """Write the columns ``ids`` (N,) of ``weight`` (F, D) to ``out`` (F, N): W @ one-hot(ids)."""
    if xp.__name__ == "numpy":
        xp.take(weight, ids, axis=1, out=out, mode="clip")  # the default mode buffers the output
    else:
        xp.take(weight, ids, axis=1, out=out)
