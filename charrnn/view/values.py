"""The values of units and gates over a text: after each symbol was read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.cells.base import Cell
from charrnn.display import brief, either
from charrnn.errors import UsageError, setting
from charrnn.model.language import LanguageModel
from charrnn.view.passage import Passage, passes

EveryState = tuple[list["Unit"], NDArray[np.floating[Any]]]
"""Units, and an array (L, U) with their values."""

_UNIT = re.compile(r"([0-9]{1,9}):([0-9]{1,9})(?::(\w+))?")


@dataclass(frozen=True)
class Unit:
    """A unit of a layer, and which of its values.

    Attributes
    ----------
    layer, number
        Both count from 0, the lowest layer first.
    what
        A state of the cell, such as ``h``, or one of its gates.
    """

    layer: int
    number: int
    what: str = "h"

    @classmethod
    def read(cls, text: str, model: LanguageModel) -> Unit:
        """Return the unit that ``LAYER:UNIT`` names: its state h, or with ``:c`` or ``:f`` another.

        Raises
        ------
        UsageError
            If the model has no such unit or value.
        """
        match = _UNIT.fullmatch(text)
        config, layers, cell = model.config, model.stack.layers, model.stack.cell
        if match is None:
            raise UsageError(
                f"{setting('unit')} must be LAYER:UNIT or LAYER:UNIT:GATE, not {brief(text)}",
                "such as 0:17",
            )
        unit = cls(int(match[1]), int(match[2]), match[3] or cell.states[0])
        for what, number, count in (
            ("layer", unit.layer, len(layers)),
            ("unit", unit.number, config.hidden),
        ):
            if number >= count:
                last = f"its {what}s are 0 to {count - 1}" if count > 1 else f"its {what} is 0"
                raise UsageError(f"the model has no {what} {number}", last)
        if unit.what not in (known := names(cell)):
            message = f"the units of the model have no {brief(unit.what)}"
            raise UsageError(message, f"choose {either(known)}")
        return unit

    def __str__(self) -> str:
        return f"{self.layer}:{self.number}" + ("" if self.what == "h" else f":{self.what}")


def names(cell: Cell) -> list[str]:
    """Return what a unit of a cell has: its states, and its gates."""
    gates = cell.gates if len(cell.gates) > 1 else ()
    return [*cell.states, *gates]


def ends(model: LanguageModel, unit: Unit, values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the lowest and the highest value of a scale for the values of a unit.

    They are those that a gate can have; of a state, plus and minus the largest magnitude.
    """
    cell = model.stack.cell
    if unit.what in cell.states:
        finite = np.abs(values[np.isfinite(values)])
        most = float(finite.max(initial=0.0)) or 1.0
        return -most, most
    return (-1.0 if unit.what in cell.candidates else 0.0), 1.0


def values(model: LanguageModel, passage: Passage, unit: Unit) -> NDArray[np.float64]:
    """Return the value of a unit after each of the L symbols was read, (L,)."""
    found = np.empty(len(passage))
    for one in passes(model, passage):
        layer, space = model.stack.layers[unit.layer], one.window.layers[unit.layer]
        steps = one.skip + one.read.stop - one.read.start
        every = layer.gate_values(space, steps)
        kept = every[unit.what] if unit.what in every else space.operand(unit.what, steps)
        found[one.read] = model.backend.get(kept[one.skip :, unit.number, 0])
    return found


def every_state(model: LanguageModel, passage: Passage) -> EveryState:
    """Return the values of all states of all units over a text of L symbols, and whose they are.

    The array is (L, U), a column for each; layer by layer, h before c.
    """
    layers = model.stack.layers
    units = [
        Unit(index, number, what)
        for index, layer in enumerate(layers)
        for what in layer.cell.states
        for number in range(layer.H)
    ]
    found = np.empty((len(passage), len(units)), np.dtype(model.config.dtype))
    for one in passes(model, passage):
        steps, column = one.skip + one.read.stop - one.read.start, 0
        for layer, space in zip(layers, one.window.layers, strict=True):
            for what in layer.cell.states:
                states = space.operand(what, steps)[one.skip :, :, 0]
                found[one.read, column : column + layer.H] = model.backend.get(states)
                column += layer.H
    return units, found
