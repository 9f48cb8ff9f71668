"""The order in which the layers of a stack go through the steps of a window.

In the forward pass, a part of a layer's steps needs the same part of the layer below and the
layer's previous part; in the backward pass, the same part of the layer above and the layer's next
part. Any order that respects this gives the same numbers. Which one is fast depends on the device:
a CPU works on one layer after the other; a GPU works on all layers at once, each a few steps behind
the one below.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator


class LayerOrder(ABC):
    """The order of work in a stack.

    The body of a loop over :meth:`forward` or :meth:`backward` may run concurrently with that of
    other layers, so it only touches arrays of its own layer and those that the neighbouring layer
    passes to it.

    Attributes
    ----------
    parallel
        Whether layers may work concurrently, so that they cannot share arrays.
    """

    parallel: bool

    @abstractmethod
    def prepare(self, layers: int) -> None:
        """Get ready for stacks of ``layers`` layers."""

    @abstractmethod
    def forward(self, layers: int, steps: int) -> Iterator[tuple[int, slice]]:
        """Yield (layer, part) in the order of the forward pass; ``part`` is a slice of the steps.

        Each layer, numbered from 0 at the bottom, gets all of its parts, first steps first.
        """

    @abstractmethod
    def backward(self, layers: int, steps: int) -> Iterator[tuple[int, slice | None]]:
        """Yield (layer, part) in the order of the backward pass, last steps first.

        After the last part of a layer comes (layer, None): the slot for work on all steps of
        the layer at once.
        """


class LayerByLayer(LayerOrder):
    """Each layer goes through all steps in one part, and the next layer follows."""

    parallel = False

    def prepare(self, layers: int) -> None:
        """Do nothing."""

    def forward(self, layers: int, steps: int) -> Iterator[tuple[int, slice]]:
        """Yield each layer once, from the bottom."""
        for layer in range(layers):
            yield layer, slice(0, steps)

    def backward(self, layers: int, steps: int) -> Iterator[tuple[int, slice | None]]:
        """Yield each layer twice, from the top: for its steps, and for the work on all of them."""
        for layer in reversed(range(layers)):
            yield layer, slice(0, steps)
            yield layer, None
