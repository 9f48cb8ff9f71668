"""The arrays of a stack over a window, and the states that are carried from window to window."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.backend import Array, Backend
from charrnn.cells.base import Workspace
from charrnn.model.layer import Staged
from charrnn.model.resets import Resets
from charrnn.model.sequences.padding import Padding


class Carried(ABC):
    """States that are carried from window to window."""

    @abstractmethod
    def states(self) -> Iterator[tuple[str, Array]]:
        """Yield name (``h_l0``, ``c_l0``, …) and sequence of each state; index 0 is carried."""

    @abstractmethod
    def carry(self) -> None:
        """Start the next window from the states in which the last one ended."""

    def start(self, reset: NDArray[np.bool_] | None, backend: Backend) -> None:
        """Start the streams for which ``reset`` (N,), on the host, is True from zero states.

        None means no stream: all continue from the carried states.
        """
        if reset is None:
            return
        if reset.all():
            self.reset()
            return
        dtype = next(self.states())[1].dtype
        self.restart(backend.put(~reset, dtype))

    def reset(self) -> None:
        """Start from zero states."""
        for _, array in self.states():
            array[0] = 0.0

    def restart(self, kept: Array) -> None:
        """Zero the states of the streams whose ``kept`` (N,), of the states' type, is 0, not 1.

        A non-finite state stays non-finite: it must be noticed, not hidden.
        """
        for _, array in self.states():
            array[0] *= kept


@dataclass
class Window(Carried):
    """Arrays of the whole stack for windows of at most ``steps`` steps of ``streams`` streams.

    Attributes
    ----------
    layers
        One workspace per layer.
    steps, streams
        The largest T, and N.
    sequences
        Each state (T + 1, H, N) by its full name.
    carried
        The names of the states that :meth:`carry` hands to the next window; it sets the others to
        zero.
    state_gradients
        ∂L/∂(initial states), (H, N) each by full name, as backward leaves them.
    d_out
        For each layer ∂L/∂h_t (T, H, N) from above, which its backward pass may overwrite. Empty
        in a window without backward pass.
    buffers
        Sequences laid out for products over all steps at once.
    resets
        Which streams start from a zero state inside the window, in the next forward pass and its
        backward pass; None if none do.
    padding
        Where the sequences of the window end, if not all at its last step. Layers that read
        backwards need it, in the next forward pass and its backward pass.
    used
        How many steps the last forward pass had.
    staged, inputs, masks
        Of the last forward pass: each layer's staged weights; the input of each layer, bottom
        first, followed by the top output; the dropout masks of each layer's output, empty without
        dropout.
    recorded
        Passes over this window, recorded (see :mod:`charrnn.backend.gpu.graphs`).
    beside
        The window of a second stack that reads the same sequences; None if there is none.
    """

    layers: list[Workspace]
    steps: int
    streams: int
    sequences: dict[str, Array]
    carried: frozenset[str]
    state_gradients: dict[str, Array]
    d_out: list[Array]
    buffers: dict[str, Array]
    resets: Resets | None = None
    padding: Padding | None = None
    used: int = 0
    staged: list[Staged] = field(default_factory=list)
    inputs: list[Array] = field(default_factory=list)
    masks: Sequence[Array] = ()
    recorded: dict[Any, Any] = field(default_factory=dict)
    beside: Window | None = None

    @property
    def d_top(self) -> Array:
        """The array for ∂L/∂(top output), (used, H, N), to be filled before the backward pass."""
        return self.d_out[-1][: self.used]

    def states(self) -> Iterator[tuple[str, Array]]:
        """Yield the name (``h_l0``, ``c_l0``, …) and the whole sequence (T + 1, H, N) of states."""
        yield from self.sequences.items()

    def carry(self) -> None:
        """Start the next window from the states in which the last one ended."""
        for name, array in self.sequences.items():
            array[0] = array[self.used] if name in self.carried else 0.0
