"""Layers and the language model's head by the compiled core (:mod:`charrnn.backend.native`).

Sequences (T, F, N) are views of arrays (T, N, F): the features of a stream lie side by side. What a
window computes again and again on the same arrays is described to the core once (see
:mod:`charrnn.backend.native.routine`).
"""

from __future__ import annotations

from charrnn.backend import Backend
from charrnn.cells.base import Cell
from charrnn.model.compiled.heads import CompiledHead
from charrnn.model.compiled.layers import CompiledLayer
from charrnn.model.head import LanguageModelHead
from charrnn.model.layer import Layer

__all__ = ["CompiledHead", "CompiledLayer", "fits", "head", "layer"]


def layer(cell: Cell, inputs: int, hidden: int, backend: Backend, dtype: str) -> Layer:
    """Return a layer, compiled if the backend has a core and the core knows the cell."""
    kind = CompiledLayer if backend.core is not None and fits(cell, dtype) else Layer
    return kind(cell, inputs, hidden, backend)


def fits(cell: Cell, dtype: str) -> bool:
    """Return whether a compiled core can compute such layers."""
    return cell.compiled is not None and dtype == "float32"


def head(top: Layer, vocabulary: int, backend: Backend, prefix: str) -> LanguageModelHead:
    """Return the language-model head for this top layer; compiled if the layer is."""
    kind = CompiledHead if top.compiled else LanguageModelHead
    return kind(top.width, vocabulary, backend, prefix)
