"""What several cells share: pointwise functions in place on whole blocks, and transposition."""

from __future__ import annotations

from typing import Any

from charrnn.backend import Array

CUDA = r"""
// σ(2x): the cells stage their weights such that what is logistic arrives halved.
__device__ __forceinline__ real logistic(real x) {
    return tanh(x) * (real)0.5 + (real)0.5;
}
"""


def logistic(xp: Any, t: Array, half: Array) -> None:
    """Replace t = tanh(x / 2) by σ(x) = t / 2 + 1/2; ``half`` is 0.5 as a 0-d array.

    The cells stage their weights such that x arrives halved, which is exact; so one tanh serves all
    gates. NumPy's tanh is vectorised; a logistic function through exp costs three times as
    much. The form neither overflows nor loses its symmetry for large |x|.
    """
    xp.multiply(t, half, out=t)
    xp.add(t, half, out=t)


def sigmoid_slope(xp: Any, s: Array, scratch: Array) -> None:
    """Replace s = σ(x) by σ'(x) = s - s²."""
    xp.multiply(s, s, out=scratch)
    xp.subtract(s, scratch, out=s)


_STRIP = 32


def transposed(xp: Any, matrix: Array, room: dict[str, Array], name: str) -> Array:
    """Return the transpose as a contiguous array that is kept under ``name`` in ``room``.

    The backward product reads it at every step, and a transposed view is slower there. Copied in
    strips of rows that the caches hold: two to six times as fast as in one piece on NumPy, whose
    plain copy misses the cache at each element once a column spans many pages.
    """
    if name not in room:
        room[name] = xp.empty(matrix.shape[::-1], matrix.dtype)
    out = room[name]
    strip = _STRIP if xp.__name__ == "numpy" else matrix.shape[0]
    for start in range(0, matrix.shape[0], strip):
        out[:, start : start + strip] = matrix[start : start + strip].T
    return out
