"""Pointwise functions that several cells share, in place on whole blocks."""

from __future__ import annotations

from typing import Any

from charrnn.backend import Array


def sigmoid(xp: Any, x: Array) -> None:
    """Replace x by σ(x) = tanh(x / 2) / 2 + 1/2.

    NumPy's tanh is vectorised; a logistic function through exp costs three times as much. The form
    neither overflows nor loses its symmetry for large |x|.
    """
    xp.multiply(x, 0.5, out=x)
    xp.tanh(x, out=x)
    xp.multiply(x, 0.5, out=x)
    xp.add(x, 0.5, out=x)


def sigmoid_slope(xp: Any, s: Array, scratch: Array) -> None:
    """Replace s = σ(x) by σ'(x) = s - s²."""
    xp.multiply(s, s, out=scratch)
    xp.subtract(s, scratch, out=s)
