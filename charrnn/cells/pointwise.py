"""Shared by several cells: pointwise functions in place, and the staging of matrices."""

from __future__ import annotations

from typing import Any

from charrnn.backend import Array
from charrnn.backend.products import transpose


def logistic(xp: Any, t: Array, half: Array) -> None:
    """Replace t = tanh(x / 2) by σ(x) = t / 2 + 1/2; ``half`` is 0.5 as a 0-d array.

    x arrives halved (:attr:`charrnn.cells.base.Cell.row_scale`), so one tanh serves all gates.
    NumPy's tanh is vectorised; a logistic function through exp costs three times as much. The form
    neither overflows nor loses its symmetry for large |x|.
    """
    xp.multiply(t, half, out=t)
    xp.add(t, half, out=t)


def sigmoid_slope(xp: Any, s: Array, scratch: Array) -> None:
    """Replace s = σ(x) by σ'(x) = s - s²."""
    xp.multiply(s, s, out=scratch)
    xp.subtract(s, scratch, out=s)


def scaled(
    xp: Any, matrix: Array, scale: Array | None, staging: dict[str, Array] | None, name: str
) -> Array:
    """Return ``matrix`` with each row multiplied by its ``scale`` (rows, 1), kept in ``staging``.

    Without ``scale`` it is the matrix itself, without ``staging`` a new array.
    """
    if scale is None:
        return matrix
    if staging is None:
        return matrix * scale
    if name not in staging:
        staging[name] = xp.empty_like(matrix)
    xp.multiply(matrix, scale, out=staging[name])
    return staging[name]


def transposed(xp: Any, matrix: Array, staging: dict[str, Array], name: str) -> Array:
    """Return the transpose as a contiguous array that is kept under ``name`` in ``staging``.

    The backward product reads it at every step, and a transposed view is slower there.
    """
    if name not in staging:
        staging[name] = xp.empty(matrix.shape[::-1], matrix.dtype)
    transpose(xp, matrix, staging[name])
    return staging[name]
