"""The cost of a training step on paper: operations of its products, and the bytes that it needs.

Letters: L layers, H units, D inputs of the first layer, G gates, T steps, N streams, V symbols,
P parameters.
"""

from __future__ import annotations

from typing import NamedTuple

from tasks.data import Size

GATES = {"lstm": 4, "gru": 3, "rnn": 1}
KEPT = {"lstm": 6, "gru": 5, "rnn": 1}
"""Values per unit, step and stream that exact backpropagation needs.

lstm: i, f, g, o, c, h (tanh c can be had again from c). gru: r, z, n, h and the candidate's
recurrent product, which the gradient of r multiplies. rnn: h, as tanh' = 1 - h².
"""
FLOAT = 4


def product_operations(size: Size) -> int:
    """Return the floating-point operations of a training step's matrix products.

    Each weight matrix takes part in three products of the same size: forward, the gradient of its
    operand, and its own gradient. A multiplication and an addition count as two. With one-hot
    inputs the first layer's input products are a choice and a sum of columns and count as none,
    whichever way a library computes them.
    """
    gates = GATES[size.cell] * size.hidden
    recurrent = size.layers * gates * size.hidden
    upper = (size.layers - 1) * gates * size.hidden
    first = gates * size.embed
    decoder = size.vocabulary * size.hidden
    return 3 * 2 * size.window * size.batch * (recurrent + upper + first + decoder)


class Minimum(NamedTuple):
    """Bytes that a training step needs at the least, by what they are for."""

    parameters: int
    activations: int
    head: int

    @property
    def total(self) -> int:
        """Return the sum."""
        return sum(self)


def memory_minimum(size: Size, parameters: int) -> Minimum:
    """Return the least memory of a training step with Adam, in bytes.

    ``parameters``: weights, gradients and two moments, 4·P numbers. ``activations``: what exact
    backpropagation through T steps reads again, L·T·N·H times :data:`KEPT`; the gradients of the
    pre-activations and of the layer below take the place of what was read last. ``head``: logits of
    one step, V·N; a window's logits need never exist at once. One step's intermediate results
    (some N·H) and the ids (2·T·N bytes) are left out.
    """
    units = size.layers * size.window * size.batch * size.hidden
    return Minimum(
        FLOAT * 4 * parameters,
        FLOAT * KEPT[size.cell] * units,
        FLOAT * size.vocabulary * size.batch,
    )


def parameters(size: Size) -> int:
    """Return P, the parameters of charrnn's model (which has one bias, PyTorch's two)."""
    gates = GATES[size.cell] * size.hidden
    total = size.vocabulary * size.embed + size.vocabulary * (size.hidden + 1)
    for layer in range(size.layers):
        below = size.hidden if layer else (size.embed or size.vocabulary)
        total += gates * (below + size.hidden + 1)
        total += gates if size.cell == "gru" else 0
    return total
