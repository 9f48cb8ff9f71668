"""How other libraries lay out the weights of a cell, for :mod:`charrnn.exchange`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Layout:
    """What one library calls a cell, and the order of the gates in its matrices.

    Attributes
    ----------
    name
        The operator, layer or module.
    gates
        The cell's gates in the library's order, by the names that the cell gives them.
    settings
        What makes the library compute this variant.
    """

    name: str
    gates: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Layouts:
    """The cell in each library that :mod:`charrnn.exchange` writes for.

    Attributes
    ----------
    torch
        In ``torch.nn``, or in the module that ``export`` writes if PyTorch has no such cell. The
        order of the gates is the cell's own.
    onnx, keras
        In ONNX and Keras.
    """

    torch: Layout
    onnx: Layout
    keras: Layout
