"""What every cell provides, and the workspace that one layer over a window of steps needs.

Letters: T steps, N streams, D inputs, H hidden units, G gates. Arrays are feature-major, (H, N) for
one step: column vectors side by side, as in the textbooks, so that every gate is one contiguous
block and the recurrent product is ``W @ h``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from charrnn.backend import Array
from charrnn.cells.pointwise import transposed
from charrnn.registry import Choice

if TYPE_CHECKING:
    from charrnn.config import ModelConfig

GATED_INITS = ("uniform", "xavier", "orthogonal")
"""The schemes of :mod:`charrnn.model.initialise` that suit every cell."""


class Weights(NamedTuple):
    """``hh`` (G·H, H), logistic rows halved, and its transpose, contiguous and whole, (H, G·H)."""

    hh: Array
    hh_T: Array


class Piece(NamedTuple):
    """One block of the recurrent weight gradient: ``d weight_hh[rows] = work[at] · operandᵀ``."""

    rows: slice
    at: slice
    operand: str


@dataclass
class Workspace:
    """Arrays of one layer over at most T steps, allocated once and used for every window.

    Attributes
    ----------
    work
        (T, R·H, N). Forward leaves the gates' values here, backward overwrites them with the
        gradients of the pre-activations.
    states
        For each state of the cell (T+1, H, N); index 0 is the state before the window.
    saved
        Further arrays that forward keeps for backward, (T, H, N) each.
    gradients
        For each state (H, N): the gradient that arrives from the step after.
    scratch
        Room for one step's intermediate results.
    room
        Arrays that a cell keeps from one :meth:`Cell.stage` to the next.
    steps
        For every step, the views of the above that the cell's equations use.
    """

    work: Array
    states: dict[str, Array]
    saved: dict[str, Array]
    gradients: dict[str, Array]
    scratch: Any = None
    room: dict[str, Array] = field(default_factory=dict)
    steps: Sequence[Any] = field(default_factory=list)

    def operand(self, name: str, steps: int) -> Array:
        """Return what the recurrent product was applied to, (steps, H, N)."""
        return self.states[name][:steps] if name in self.states else self.saved[name][:steps]


class Cell(Choice, ABC):
    """The equations of one recurrent cell. Stateless: weights and arrays are passed in."""

    gates: ClassVar[tuple[str, ...]]
    """The gates in the order of their blocks in the weights (PyTorch's order)."""
    states: ClassVar[tuple[str, ...]] = ("h",)
    """What is carried from step to step; the first is the output."""
    saved: ClassVar[tuple[str, ...]] = ()
    blocks: ClassVar[int]
    """R: how many (H, N) blocks one step's working array has."""
    candidates: ClassVar[tuple[str, ...]] = ()
    """Those of the gates that are not logistic."""
    memory: ClassVar[str] = ""
    """The gate that says how much of the state is kept from one step to the next, if any."""
    torch_names: ClassVar[bool] = True
    """Whether the parameters may carry the names that PyTorch's module of this name expects."""

    inits: ClassVar[tuple[str, ...]] = GATED_INITS
    """The schemes of initial weights that suit the cell."""
    bounded: bool = True
    """Whether the output stays within [-1, 1], whatever the weights are."""

    @classmethod
    def create(cls, config: ModelConfig) -> Cell:
        """Return the variant of the cell that ``config`` chooses."""
        return cls(**config.cell_options)

    def workspace(self, xp: Any, dtype: Any, T: int, N: int, H: int) -> Workspace:
        """Allocate the arrays for windows of at most T steps of N streams."""
        ws = Workspace(
            work=xp.empty((T, self.blocks * H, N), dtype),
            states={name: xp.zeros((T + 1, H, N), dtype) for name in self.states},
            saved={name: xp.empty((T, H, N), dtype) for name in self.saved},
            gradients={name: xp.zeros((H, N), dtype) for name in self.states},
        )
        ws.scratch = self.make_scratch(xp, dtype, N, H)
        ws.steps = [self.view(ws, t, H) for t in range(T)]
        return ws

    def parameters(self, H: int) -> dict[str, tuple[int, ...]]:
        """Return names (without layer suffix) and shapes of what the recurrence itself needs."""
        return {"weight_hh": (len(self.gates) * H, H)}

    def input_rows(self, H: int) -> slice:
        """Return the rows of the working array that receive ``weight_ih · x + bias_ih``."""
        return slice(0, len(self.gates) * H)

    def input_bias(self, xp: Any, weights: dict[str, Array]) -> Array:
        """Return the bias that is added to the input product, (G·H,); not to be written to."""
        return weights["bias_ih"]

    def halve(self, array: Array, H: int) -> Array:
        """Halve the rows of logistic gates in place: σ(x) comes of tanh(x / 2)."""
        for k, gate in enumerate(self.gates):
            if gate not in self.candidates:
                array[k * H : (k + 1) * H] *= 0.5
        return array

    def halved(
        self, xp: Any, matrix: Array, H: int, room: dict[str, Array] | None, name: str
    ) -> Array:
        """Return a copy with the logistic gates' rows halved, kept under ``name`` in ``room``."""
        if set(self.gates) == set(self.candidates):
            return matrix
        out = xp.empty_like(matrix) if room is None or name not in room else room[name]
        if room is not None:
            room[name] = out
        out[...] = matrix
        return self.halve(out, H)

    def pieces(self, H: int) -> tuple[Piece, ...]:
        """Return how the gradient of ``weight_hh`` is put together from the working array."""
        rows = slice(0, len(self.gates) * H)
        return (Piece(rows, rows, "h"),)

    def initial_bias(self, H: int, bias: Any) -> None:
        """Set what this cell wants set in a fresh ``bias_ih`` (host array, in place)."""

    @abstractmethod
    def make_scratch(self, xp: Any, dtype: Any, N: int, H: int) -> Any:
        """Allocate what one step needs, forward or backward."""

    @abstractmethod
    def view(self, ws: Workspace, t: int, H: int) -> Any:
        """Return the views of step t, so that the time loop slices nothing."""

    def stage(self, xp: Any, weights: dict[str, Array], room: dict[str, Array] | None) -> Any:
        """Return the weights in the form in which the products run fastest (once per update).

        ``room`` is the workspace's, for what backward needs; None if it will not follow. This is
        for cells whose recurrence is one product with ``weight_hh``.
        """
        hh = weights["weight_hh"]
        back = None if room is None else transposed(xp, hh, room, "hh_T")
        return Weights(self.halved(xp, hh, hh.shape[1], room, "hh"), back)

    @abstractmethod
    def forward(self, xp: Any, weights: Any, step: Any, scratch: Any) -> None:
        """Compute one step.

        The working array's input rows hold ``weight_ih · x`` + :meth:`input_bias`, those of
        logistic gates halved.
        """

    def complete(
        self, xp: Any, step: Any, dh: Array, gradients: dict[str, Array], scratch: Any
    ) -> None:
        """Add to ``gradients`` what ``dh`` = ∂L/∂h_t in total passes to the step's other states.

        Then they hold ∂L/∂(state at t) in total: along every path, also the one through h_t. What
        :meth:`backward` does on its way, with the values that forward left.
        """

    @abstractmethod
    def backward(
        self, xp: Any, weights: Any, step: Any, dh: Array, gradients: dict[str, Array], scratch: Any
    ) -> None:
        """Undo one step.

        On entry ``dh`` (H, N) is ∂L/∂h_t as it arrives from above, and ``gradients`` holds, for all
        states, what arrives from step t+1. On exit ``dh`` is ∂L/∂h_t in total and ``gradients``
        ∂L/∂(state at t-1). The working array is overwritten with the gradients of the
        pre-activations.
        """
