"""In which order the layers of a stack go through the steps of a window.

A layer's part of some steps needs the same part of the layer below (on the way back of the layer
above) and the layer's own part before it (on the way back after it). Any order that keeps to this
gives the same numbers. Which one is fast depends on the device: a CPU works on one layer after the
other; a GPU works on all layers at once, each a few steps behind the one below.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator


class Schedule(ABC):
    """The order of work in a stack.

    What the body of a loop over :meth:`forward` or :meth:`backward` computes may run at the same
    time as that of other layers: it only touches arrays of its own layer, and those that the layer
    beside it hands over.

    Attributes
    ----------
    parallel
        Whether layers may work at the same time, so that they cannot share arrays.
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

        After the last part of a layer comes (layer, None): the time for what is done for all steps
        of the layer at once.
        """


class LayerByLayer(Schedule):
    """Each layer goes through all steps in one part, and the next layer follows."""

    parallel = False

    def prepare(self, layers: int) -> None:
        """Do nothing."""

    def forward(self, layers: int, steps: int) -> Iterator[tuple[int, slice]]:
        """Yield each layer once, from the bottom."""
        for layer in range(layers):
            yield layer, slice(0, steps)

    def backward(self, layers: int, steps: int) -> Iterator[tuple[int, slice | None]]:
        """Yield each layer twice, from the top: for its steps, and for what follows them."""
        for layer in reversed(range(layers)):
            yield layer, slice(0, steps)
            yield layer, None
