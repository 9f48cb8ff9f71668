"""Weights in the order of another library."""

from __future__ import annotations

import numpy as np

from charrnn.cells.layouts import Layout


def rows(layout: Layout, gates: tuple[str, ...], array: np.ndarray) -> np.ndarray:
    """Return the rows (G·H, …) of an array, from the cell's order of gates to the library's."""
    blocks = dict(zip(gates, np.split(array, len(gates)), strict=True))
    return np.concatenate([blocks[gate] for gate in layout.gates])
