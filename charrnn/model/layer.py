"""One recurrent layer over a window of steps.

Input products and weight gradients are taken for all steps at once; only the recurrent product and
the pointwise equations, which the cell knows, run step by step. Backward is exact backpropagation
through the window (Werbos 1990); it is truncated only in that no gradient is propagated past the
window's first step (Williams and Peng 1990).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from charrnn.backend import Array, Backend
from charrnn.cells.base import Cell, Gradient, Workspace
from charrnn.cells.pointwise import scaled
from charrnn.model import initialise
from charrnn.model.onehot import column_sums, columns
from charrnn.model.resets import Resets

ROWS = 64
"""Input products are batched over as many steps as keep ROWS · steps · N elements within the
backend's block (see :class:`Backend`)."""


class Staged(NamedTuple):
    """A layer's weights as the products of one window use them.

    Attributes
    ----------
    cell
        The result of :meth:`Cell.stage`.
    ih
        ``weight_ih`` (G·H, D), its rows scaled; None if the inputs are symbols.
    bias
        The bias of the input product, (G·H, 1), scaled.
    scale
        The factors of the rows, (G·H, 1); None if all are 1.
    weight_ih
        The parameter itself.
    """

    cell: Any
    ih: Array | None
    bias: Array
    scale: Array | None
    weight_ih: Array


class Reading(NamedTuple):
    """How a layer reads in one direction, in its last forward pass.

    Attributes
    ----------
    suffix
        Ends the names of what belongs to this direction; empty for the direction of time.
    layer
        The layer that reads.
    staged, space
        Its weights, and its workspace, whose steps are in the order in which it reads.
    d_out
        ∂L/∂h (T, H, N) from above, in the same order; None if it was not given.
    """

    suffix: str
    layer: Layer
    staged: Any
    space: Any
    d_out: Array


class Layer:
    """One layer of H units of the given cell, reading D inputs.

    An input is either a dense sequence (T, D, N) or symbols (T, N), which stand for one-hot
    vectors: their product with ``weight_ih`` selects columns.

    Parameters
    ----------
    cell
        The equations.
    inputs, hidden
        D and H.
    backend
        Where to compute.

    Attributes
    ----------
    width
        Features of the output, (T, width, N).
    carried
        Those of the states in ``Workspace.states`` that the next window starts from.
    looks_ahead
        Whether a step's output depends on later steps, so that the layer has no part of its output
        before it has read the whole window.
    compiled
        Whether the compiled core computes the layer.
    """

    looks_ahead = False
    compiled = False

    def __init__(self, cell: Cell, inputs: int, hidden: int, backend: Backend) -> None:
        self.cell = cell
        self.D = inputs
        self.H = self.width = hidden
        self.xp = backend.xp
        self.carried = cell.states
        self._block = backend.block
        self._batched = backend.batched
        self._parallel = backend.order.parallel
        self._shapes = cell.shapes(inputs, hidden)
        self._terms = cell.gradient_terms(hidden)
        self._scales: dict[Any, Array] = {}
        _require_all(cell.name, self._shapes, self._terms)

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The layer's parameters by their names in the layer, and their shapes."""
        return self._shapes

    def full_name(self, name: str, index: int) -> str:
        """Return the name of a parameter or state in a stack where this is layer ``index``."""
        suffix = self.cell.suffix if name in self._shapes else ""
        return f"{name}{suffix}_l{index}"

    def draw(
        self, weights: Mapping[str, np.ndarray], scheme: str, rng: np.random.Generator
    ) -> None:
        """Fill the layer's host parameters, by their names in the layer, with initial weights."""
        initialise.recurrent(weights, self.H, scheme, rng)
        self.cell.initial_biases(weights, self.H)

    def workspace(self, dtype: Any, T: int, N: int) -> Workspace:
        """Allocate the arrays for windows of at most T steps of N streams."""
        return self.cell.workspace(self.xp, dtype, T, N, self.H)

    def sequence(self, dtype: Any, T: int, F: int, N: int) -> Array:
        """Allocate a sequence (T, F, N) in the layout in which the layer computes."""
        return self.xp.empty((T, F, N), dtype)

    def stage(
        self, weights: Mapping[str, Array], ws: Workspace | None, dense: bool = False
    ) -> Staged:
        """Prepare the weights for one window.

        ``ws`` is None if no backward pass will follow; ``dense`` says that inputs are not symbols.
        """
        xp, cell, staging = self.xp, self.cell, None if ws is None else ws.staging
        weight_ih = weights["weight_ih"]
        scale = self._scale(weight_ih.dtype)
        bias = scaled(xp, cell.input_bias(xp, weights)[:, None], scale, staging, "bias")
        ih = scaled(xp, weight_ih, scale, staging, "ih") if dense else None
        return Staged(cell.stage(xp, weights, scale, staging), ih, bias, scale, weight_ih)

    def _scale(self, dtype: Any) -> Array | None:
        """Return the cell's row scale (G·H, 1), or None if all are 1."""
        xp, factors = self.xp, self.cell.row_scale
        if all(factor == 1 for factor in factors):
            return None
        if dtype not in self._scales:
            blocks = [xp.full((self.H, 1), factor, dtype) for factor in factors]
            self._scales[dtype] = xp.concatenate(blocks)
        return self._scales[dtype]

    def output(self, ws: Workspace, steps: int) -> Array:
        """Return the view (steps, H, N) to which forward writes h_1 … h_steps."""
        return ws.states[self.cell.states[0]][1 : steps + 1]

    def gate_values(self, ws: Workspace, steps: int) -> Mapping[str, Array]:
        """Return the values of the gates, (steps, H, N) by name, that the last forward pass left.

        They are views of the working array. A cell with a single block has none: its value is h.
        """
        received = ws.work[:steps, self.cell.input_rows(self.H)]
        gates = self.cell.gates if len(self.cell.gates) > 1 else ()
        return {gate: received[:, k * self.H : (k + 1) * self.H] for k, gate in enumerate(gates)}

    def forward(
        self,
        staged: Staged,
        ws: Workspace,
        x: Array,
        part: slice,
        resets: Resets | None = None,
    ) -> None:
        """Run the steps of ``part``, from the states at index ``part.start`` of ``ws``.

        ``x`` is the window's whole sequence. Parts follow each other in the order of the layer's
        own steps; one that looks ahead takes the whole window as one part, and has no resets.
        """
        rows = self.cell.input_rows(self.H)
        if x.ndim == 3:
            self._receive(staged, x[part], ws.work[part, rows])
        elif not part.start:  # all symbols at once
            ids = self.xp.ascontiguousarray(x)
            self.receive_symbols(staged, ids, ws.work[: len(x), rows])
        for start, stop, kept in resets.runs(part) if resets else whole(part):
            if kept is not None:
                for states in ws.states.values():
                    self.xp.multiply(states[start], kept, out=states[start])
            self.cell.forward_steps(self.xp, staged.cell, ws, start, stop)

    def table(self, staged: Staged) -> Array:
        """Return the input product and bias of every symbol, (G·H, V), one column per symbol."""
        return scaled(self.xp, staged.weight_ih, staged.scale, None, "") + staged.bias

    def receive_symbols(self, staged: Staged, ids: Array, inputs: Array) -> None:
        """Write ``weight_ih · one-hot(ids)`` + bias to ``inputs`` (T, G·H, N), for ids (T, N)."""
        xp, weight, scale = self.xp, staged.weight_ih, staged.scale
        T, F, N = inputs.shape
        if weight.shape[1] <= T * N:  # a small alphabet: make its columns, then choose
            columns(xp, self.table(staged), ids, inputs)
            return
        size = max(1, self._block // (F * N))
        for start in range(0, T, size):
            part = inputs[start : start + size]
            columns(xp, weight, ids[start : start + size], part)
            if scale is not None:
                xp.multiply(part, scale, out=part)
            xp.add(part, staged.bias, out=part)

    def _receive(self, staged: Staged, x: Array, inputs: Array) -> None:
        """Write ``weight_ih · x`` + bias for all steps of x (T, D, N) to ``inputs`` (T, G·H, N)."""
        xp = self.xp
        T, F, N = inputs.shape
        if self._batched:
            xp.matmul(staged.ih, x, out=inputs)
            xp.add(inputs, staged.bias, out=inputs)
            return
        size = max(1, self._block // (ROWS * N))
        for start in range(0, T, size):  # several steps side by side: narrow products are slow
            part = x[start : start + size].transpose(1, 0, 2)
            product = xp.matmul(staged.ih, part.reshape(self.D, -1)).reshape(F, -1, N)
            xp.add(product.transpose(1, 0, 2), staged.bias, out=inputs[start : start + size])

    def backward(
        self,
        staged: Staged,
        ws: Workspace,
        d_out: Array,
        dx: Array | None,
        part: slice,
        resets: Resets | None = None,
    ) -> None:
        """Backpropagate from the outputs of a part to its pre-activations.

        ``d_out`` (T, H, N) is ∂L/∂h_t from above, and ``ws.gradients`` ∂L/∂(states after the part)
        from later steps. Afterwards ``ws.gradients`` holds ∂L/∂(states before the part),
        ``ws.work`` the gradients of the pre-activations, and ``dx`` (T, D, N), if it is given,
        ∂L/∂x of the part, here or after :meth:`accumulate`. ``d_out`` may be overwritten.
        """
        runs = list(resets.runs(part)) if resets else whole(part)
        for start, stop, kept in reversed(runs):
            self.cell.backward_steps(self.xp, staged.cell, ws, d_out, start, stop)
            if kept is not None:
                for gradient in ws.gradients.values():
                    self.xp.multiply(gradient, kept, out=gradient)
        if dx is not None and self._parallel:  # the layer below need not wait for the other parts
            self.pass_down(staged, ws, dx, part)

    def pass_down(self, staged: Staged, ws: Workspace, dx: Array, part: slice) -> None:
        """Write ∂L/∂x of a part, after its :meth:`backward`, to that part of ``dx`` (T, D, N)."""
        received = ws.work[part, self.cell.input_rows(self.H)]
        self.xp.matmul(staged.weight_ih.T, received, out=dx[part])

    def readings(self, staged: Any, ws: Any, d_out: Array = None) -> list[Reading]:
        """Return how each direction of the layer reads, with its part of ``d_out``.

        That is ∂L/∂output (T, F, N) from above.
        """
        return [Reading("", self, staged, ws, d_out)]

    def accumulate(
        self,
        staged: Staged,
        ws: Workspace,
        x: Array,
        steps: int,
        grads: Mapping[str, Array],
        dx: Array | None,
    ) -> None:
        """Write the weight gradients of the window, after :meth:`backward` of all its parts.

        ``x`` and ``dx`` (steps, D, N) are those of :meth:`forward` and :meth:`backward`.
        """
        xp = self.xp
        work = flatten(xp, ws.work[:steps], ws.buffers, "work")
        rows = work[self.cell.input_rows(self.H)]
        if x.ndim == 2:
            column_sums(xp, rows, x, grads["weight_ih"])
            # each step of each stream is in exactly one column: their sum is the bias's gradient
            xp.sum(grads["weight_ih"], axis=1, out=grads["bias_ih"])
        else:
            xp.matmul(rows, flatten(xp, x, ws.buffers, "operand").T, out=grads["weight_ih"])
            xp.sum(rows, axis=1, out=grads["bias_ih"])
        if dx is not None and not self._parallel:  # one product, with the steps side by side
            below = xp.matmul(staged.weight_ih.T, rows).reshape(self.D, steps, -1)
            dx[...] = below.transpose(1, 0, 2)
        name, operand = "", None
        for term in self._terms:
            if term.operand and term.operand != name:
                name = term.operand
                operand = flatten(xp, ws.operand(name, steps), ws.buffers, "operand")
            out = grads[term.parameter][term.rows]
            term.write(xp, work[term.source], operand, out)


def whole(part: slice) -> list[tuple[int, int, Array | None]]:
    """Return the one run of a part inside which no stream starts from a zero state."""
    return [(part.start, part.stop, None)]


def _require_all(
    cell: str, shapes: Mapping[str, tuple[int, ...]], gradients: Sequence[Gradient]
) -> None:
    """Raise TypeError unless each row of each recurrent parameter has exactly one gradient."""
    written: dict[str, list[tuple[int, int]]] = {}
    for term in gradients:
        written.setdefault(term.parameter, []).append((term.rows.start, term.rows.stop))
    for name, shape in shapes.items():
        if name in ("weight_ih", "bias_ih"):  # those are the layer's
            continue
        stops = [0]
        for start, stop in sorted(written.pop(name, [])):
            if start != stops[-1]:
                break
            stops.append(stop)
        if stops[-1] != shape[0]:
            raise TypeError(f"cell {cell} gives no gradient, or two, for some rows of {name}")
    if written:
        raise TypeError(f"cell {cell} gives gradients for unknown parameters: {', '.join(written)}")


def flatten(xp: Any, sequence: Array, buffers: dict[str, Array], name: str) -> Array:
    """Return (T, F, N) as (F, T·N), contiguous: all steps and streams side by side.

    The array is kept under ``name`` in ``buffers`` and overwritten by the next call for that name.
    """
    T, F, N = sequence.shape
    size = T * F * N
    if name not in buffers or buffers[name].size < size:
        buffers[name] = xp.empty(size, sequence.dtype)
    out = buffers[name][:size].reshape(F, T, N)
    out[...] = sequence.transpose(1, 0, 2)
    return out.reshape(F, T * N)
