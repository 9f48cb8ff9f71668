"""Weights in 8 or 16 bits, as a web page keeps them.

Each row w of a matrix has a scale s, and its weights become integers q with b bits:

    s = max |w| / (2^(b-1) - 1),    q = w / s, rounded to the nearest integer,    w ≈ s q

so that no weight moves by more than s / 2, up to the rounding of s and s q to float32 (symmetric
quantisation with a scale for each row: Krishnamoorthi 2018, arXiv 1806.08342). Vectors, which are
biases, stay in float32.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from charrnn.display import brief
from charrnn.errors import UsageError, setting
from charrnn.model.language import LanguageModel

BITS = (8, 16)
DEFAULT_BITS = 8


def checked_bits(bits: Any) -> int:
    """Return the bits of a weight, 8 or 16; raise :class:`UsageError` for anything else."""
    if type(bits) is not int or bits not in BITS:
        raise UsageError(f"{setting('bits')} must be 8 or 16, not {brief(bits)}")
    return bits


class Rounded(NamedTuple):
    """A matrix of integers (rows, columns), and the scale of each row in float32 (rows,)."""

    integers: np.ndarray
    scales: np.ndarray

    @property
    def matrix(self) -> np.ndarray:
        """The rounded weights s q (rows, columns) in float32."""
        product: np.ndarray = self.scales[:, None] * self.integers.astype(np.float32)
        return product


def quantise(matrix: np.ndarray, bits: int) -> Rounded:
    """Return the integers and scales of a matrix (rows, columns), for ``bits`` 8 or 16."""
    most = 2 ** (bits - 1) - 1
    exact = matrix.astype(np.float64)
    scales = (np.abs(exact).max(axis=1, initial=0.0) / most).astype(np.float32)
    divisors = np.where(scales > 0, scales, 1).astype(np.float64)  # a row of zeros stays one
    integers = np.rint(exact / divisors[:, None]).clip(-most, most)
    return Rounded(integers.astype(f"<i{bits // 8}"), scales)


def rounded(model: LanguageModel, bits: int) -> LanguageModel:
    """Return a model, with NumPy, that computes as exactly as ``model``, but with rounded weights.

    Matrices are rounded to ``bits``, vectors to float32; counted n-grams are left out.
    """
    model = model.alone()
    weights = model.weights.like(model.backend.get(model.weights.flat).copy())
    for array in weights.values():
        array[...] = quantise(array, bits).matrix if array.ndim == 2 else array.astype(np.float32)
    return LanguageModel(model.config, model.V, None, weights.flat)
