"""The recurrent cells, one file each, found by file name.

A cell is the mathematics of one time step: its recurrent product and its pointwise equations,
forward and backward. The work on many steps at once (input products, weight gradients)
belongs to :mod:`charrnn.model.layer`. A new cell is one file NAME.py here, with a class that
derives from :class:`charrnn.cells.base.Cell` and has ``name = "NAME"``, and its equations once more
in the tests' reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from charrnn.registry import CELLS

if TYPE_CHECKING:
    from charrnn.cells.base import Cell
    from charrnn.config import ModelConfig


def create(config: ModelConfig) -> Cell:
    """Return the cell that ``config`` describes."""
    cell: Cell = CELLS.get(config.cell).create(config)
    return cell
