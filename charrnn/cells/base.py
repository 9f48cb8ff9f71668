"""The interface of a cell, and the workspace of one layer over a window of steps.

Letters: T steps, N streams, D inputs, H hidden units, G gates. Arrays are feature-major, (H, N) for
one step: column vectors side by side, as in the textbooks, so that every gate is one contiguous
block and the recurrent product is ``W @ h``. A prime marks the step before, as in the cells'
equations: h' is the state that a step reads, h the state that it computes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from charrnn.backend import Array
from charrnn.cells.layouts import Layouts
from charrnn.cells.pointwise import scaled, transposed
from charrnn.registry import Choice

if TYPE_CHECKING:
    from charrnn.config import ModelConfig

Arrays = dict[str, Array]

Problem = Literal["forgetting", "overflow", "dead units"]
"""Problems that a cell's own options may solve: gradients vanish within a few steps; a state
overflows; units never fire."""

GATED_INITS = ("uniform", "xavier", "orthogonal")
"""The schemes of :mod:`charrnn.model.initialise` that suit every cell."""


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
        Intermediate results of one step.
    staging
        The staged weights, kept from one :meth:`Cell.stage` to the next.
    buffers
        Sequences laid out for products over all steps. Layers that take turns share them.
    steps
        For every step, the views of the above that the cell's equations use.
    padding
        Where the sequences in it end, for a layer that reads them backwards: a
        :class:`charrnn.model.sequences.padding.Padding`. None: at the last step.
    """

    work: Array
    states: Arrays
    saved: Arrays
    gradients: Arrays
    scratch: Any = None
    staging: Arrays = field(default_factory=dict)
    buffers: Arrays = field(default_factory=dict)
    steps: Sequence[Any] = field(default_factory=list)
    padding: Any = None

    def operand(self, name: str, steps: int) -> Array:
        """Return a state (``"h"``), the state before each step (``"h'"``) or a saved array.

        The result is (steps, H, N).
        """
        if name.endswith("'"):
            return self.states[name[:-1]][:steps]
        return self.states[name][1 : steps + 1] if name in self.states else self.saved[name][:steps]


@dataclass(frozen=True)
class Gradient(ABC):
    """How to compute the gradient of some rows of a recurrent parameter from a window.

    Attributes
    ----------
    parameter
        Its name, without layer.
    rows
        The rows of it that are written.
    source
        The rows of the working array that hold δ, the gradients of the pre-activations.
    operand
        The name of the factor v in :meth:`Workspace.operand`; empty if there is none.
    """

    parameter: str
    rows: slice
    source: slice
    operand: str = ""

    @abstractmethod
    def write(self, xp: Any, delta: Array, operand: Array, out: Array) -> None:
        """Write the sum over all steps and streams to ``out``.

        ``delta`` is (rows, T·N), ``operand`` (H, T·N) or None.
        """


class MatrixGradient(Gradient):
    """For a matrix U whose product U v was added to the pre-activations: Σ δ vᵀ."""

    def write(self, xp: Any, delta: Array, operand: Array, out: Array) -> None:
        """Write the products of ``delta`` and ``operand`` over all steps and streams."""
        xp.matmul(delta, operand.T, out=out)


class DiagonalGradient(Gradient):
    """For a vector p whose product p ⊙ v was added to the pre-activations: Σ δ ⊙ v.

    For cells from outside the package, such as an LSTM with peepholes.
    """

    def write(self, xp: Any, delta: Array, operand: Array, out: Array) -> None:
        """Write the sums of ``delta`` times ``operand``."""
        xp.sum(delta * operand, axis=1, out=out)


class BiasGradient(Gradient):
    """For a vector b that was added to the pre-activations: Σ δ."""

    def write(self, xp: Any, delta: Array, operand: Array, out: Array) -> None:
        """Write the sums of ``delta``."""
        xp.sum(delta, axis=1, out=out)


class Weights(NamedTuple):
    """``hh`` (G·H, H), its rows scaled, and its transpose, contiguous and not scaled, (H, G·H)."""

    hh: Array
    hh_T: Array


class Compiled(NamedTuple):
    """Which functions of the compiled core compute a cell.

    Attributes
    ----------
    name
        Their common name.
    products
        For each product of the backward pass the blocks (first, last) of ``weight_hh`` whose
        transpose it reads, and the block that it begins with.
    extra
        A parameter whose last block is a bias inside the recurrence; empty if there is none.
    kind
        The variant.
    """

    name: str
    products: tuple[tuple[int, int, int], ...]
    extra: str = ""
    kind: int = 0


class Cell(Choice, ABC):
    """The equations of one recurrent cell. Stateless: weights and arrays are passed in.

    A new cell is one file with a class that gives :attr:`name`, :attr:`gates` and :attr:`blocks`,
    its equations in :meth:`forward` and :meth:`backward` with their :meth:`make_scratch` and
    :meth:`view`, and overrides whatever differs from the defaults below.
    """

    gates: ClassVar[tuple[str, ...]]
    """The gates in the order of their blocks in the weights (PyTorch's order)."""
    candidates: ClassVar[tuple[str, ...]] = ()
    """Those of the gates that are not logistic."""
    memory: ClassVar[str] = ""
    """The gate that decides how much of the state is kept from step to step, if there is one."""
    states: ClassVar[tuple[str, ...]] = ("h",)
    """The arrays carried from step to step; the first is the output."""
    saved: ClassVar[tuple[str, ...]] = ()
    """Further arrays (H, N) that each step keeps for backward."""
    blocks: ClassVar[int]
    """R: how many (H, N) blocks one step's working array has."""
    suffix: ClassVar[str] = ""
    """Suffix of the parameters' names if PyTorch's module of this name computes something else, so
    that PyTorch refuses to load these weights."""
    inits: ClassVar[tuple[str, ...]] = GATED_INITS
    """The schemes of initial weights that suit the cell."""
    form: str = ""
    """Name of this instance's variant in reports."""
    compiled: Compiled | None = None
    """What computes it in the compiled core; None: only the equations here."""
    bounded: bool = True
    """Whether the output stays within [-1, 1], whatever the weights are."""
    rectified: bool = False
    """Whether a unit with a negative pre-activation outputs 0 and passes on no gradient."""
    slope_bound: float | None = None
    """γ ≥ |φ'| for h = φ(W x + U h' + b); None if the state has a second path."""
    layouts: Layouts | None = None
    """How other libraries lay it out; None: it cannot be exported or imported."""

    @classmethod
    def create(cls, config: ModelConfig) -> Cell:
        """Return the variant of the cell that ``config`` chooses."""
        return cls(**config.cell_options)

    def remedy(self, problem: Problem) -> str:
        """Return which option of the cell solves a problem, for a verdict; empty if none does.

        Settings are marked by :func:`charrnn.errors.setting`.
        """
        return ""

    def shapes(self, D: int, H: int) -> dict[str, tuple[int, ...]]:
        """Return names (without layer) and shapes of a layer's parameters.

        All cells have ``weight_ih`` and ``bias_ih``; ``weight_ih · x + bias_ih`` goes to
        :meth:`input_rows`. The others belong to the recurrence; :meth:`gradient_terms` names them
        all.
        """
        rows = len(self.gates) * H
        return {"weight_ih": (rows, D), "weight_hh": (rows, H), "bias_ih": (rows,)}

    def gradient_terms(self, H: int) -> tuple[Gradient, ...]:
        """Return how to compute the gradients of the recurrence's parameters from a window."""
        rows = slice(0, len(self.gates) * H)
        return (MatrixGradient("weight_hh", rows, rows, "h'"),)

    def initial_biases(self, weights: Mapping[str, Any], H: int) -> None:
        """Set the cell's own initial values in a layer's fresh weights (host arrays, in place)."""

    @property
    def row_scale(self) -> tuple[float, ...]:
        """The factor of the rows of each gate when weights are staged.

        σ(x) = tanh(x / 2) / 2 + 1/2: with the rows of logistic gates halved, which is exact, one
        tanh serves all gates.
        """
        return tuple(1.0 if gate in self.candidates else 0.5 for gate in self.gates)

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

    def input_rows(self, H: int) -> slice:
        """Return the rows of the working array that receive ``weight_ih · x + bias_ih``."""
        return slice(0, len(self.gates) * H)

    def input_bias(self, xp: Any, weights: Mapping[str, Array]) -> Array:
        """Return the bias that is added to the input product, (G·H,); not to be written to."""
        return weights["bias_ih"]

    def stage(
        self,
        xp: Any,
        weights: Mapping[str, Array],
        scale: Array | None,
        staging: Arrays | None,
    ) -> Any:
        """Return the recurrent weights as the products use them, once per update.

        This one is for cells whose recurrence is one product with ``weight_hh``.

        Parameters
        ----------
        weights
            The layer's parameters.
        scale
            :attr:`row_scale` as an array (G·H, 1), or None if all are 1.
        staging
            Where to keep arrays from one call to the next; None if no backward pass will follow.

        Returns
        -------
        A named tuple of arrays; those that only backward needs may be None.
        """
        hh = weights["weight_hh"]
        back = None if staging is None else transposed(xp, hh, staging, "hh_T")
        return Weights(scaled(xp, hh, scale, staging, "hh"), back)

    @abstractmethod
    def make_scratch(self, xp: Any, dtype: Any, N: int, H: int) -> Any:
        """Allocate the intermediate results of one step, forward or backward."""

    @abstractmethod
    def view(self, ws: Workspace, t: int, H: int) -> Any:
        """Return the views of step t, so that the time loop slices nothing."""

    @abstractmethod
    def forward(self, xp: Any, weights: Any, step: Any, scratch: Any) -> None:
        """Compute one step.

        The working array's input rows hold ``weight_ih · x`` + :meth:`input_bias`, scaled by
        :attr:`row_scale`.
        """

    @abstractmethod
    def backward(
        self, xp: Any, weights: Any, step: Any, dh: Array, gradients: Arrays, scratch: Any
    ) -> None:
        """Backpropagate through one step.

        On entry ``dh`` (H, N) is ∂L/∂h_t from above, and ``gradients`` holds ∂L/∂(state at t) from
        step t+1, for all states. On exit ``dh`` is ∂L/∂h_t in total and ``gradients``
        ∂L/∂(state at t-1). The working array is overwritten with the gradients of the
        pre-activations.
        """

    def add_output_path(
        self, xp: Any, weights: Any, step: Any, dh: Array, gradients: Arrays, scratch: Any
    ) -> None:
        """Add to ``gradients`` the contribution of the total ``dh`` = ∂L/∂h_t to the other states.

        They then hold the total ∂L/∂(state at t), including the path through h_t. It is the same
        term that :meth:`backward` adds internally, computed from the forward values.
        """

    def forward_steps(self, xp: Any, weights: Any, ws: Workspace, start: int, stop: int) -> None:
        """Compute the steps from ``start`` to ``stop`` of a window, from the states at ``start``.

        A cell may override this and :meth:`backward_steps` to compute all the steps at once.
        """
        forward, scratch = self.forward, ws.scratch
        for step in ws.steps[start:stop]:
            forward(xp, weights, step, scratch)

    def backward_steps(
        self, xp: Any, weights: Any, ws: Workspace, d_out: Array, start: int, stop: int
    ) -> None:
        """Backpropagate through the steps of :meth:`forward_steps`, last step first.

        ``d_out`` (T, H, N) is ∂L/∂h_t from above; each step reads from ``ws.gradients`` the
        gradients that the following step left there. All arrays are overwritten as in
        :meth:`backward`.
        """
        backward, gradients, scratch = self.backward, ws.gradients, ws.scratch
        for t in range(stop - 1, start - 1, -1):
            backward(xp, weights, ws.steps[t], d_out[t], gradients, scratch)
