"""The recurrent cells, one file each; found by file name, without importing NumPy.

A cell is the maths of one time step: its recurrent product and its pointwise equations, forward
and backward. Everything that can be done for many steps at once (input products, weight gradients)
belongs to :mod:`charrnn.model.layer`. Adding a cell means adding one file here with a class
``Cell`` that derives from :class:`charrnn.cells.base.Cell`, and a reference to the tests.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from charrnn.errors import UsageError

if TYPE_CHECKING:
    from charrnn.cells.base import Cell
    from charrnn.config import ModelConfig

_ALIASES = {"vanilla": "rnn"}
_SHARED = ("base", "pointwise")


def names() -> tuple[str, ...]:
    """Return the names of all cells, in alphabetical order."""
    return tuple(sorted(m.name for m in iter_modules(__path__) if m.name not in _SHARED))


def canonical(name: str) -> str:
    """Return the cell's own name for ``name`` or one of its aliases.

    Raises
    ------
    UsageError
        If there is no such cell.
    """
    name = _ALIASES.get(name, name)
    if name not in names():
        raise UsageError(f"unknown cell {name!r}", f"choose one of {', '.join(names())}")
    return name


def create(config: ModelConfig) -> Cell:
    """Return the cell that ``config`` describes."""
    module = import_module(f"charrnn.cells.{canonical(config.cell)}")
    cell: Cell = module.create(config)
    return cell
