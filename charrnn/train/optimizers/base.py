"""Base class of the optimizers: a rule over flat blocks of the parameters, and its moments.

An optimizer is one file of this package, or of a plug-in, with a class that derives from
:class:`Optimizer`. Its own hyperparameters are its ``options``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from charrnn.backend import Array, Backend
from charrnn.model.parameters import Parameters
from charrnn.registry import Choice


def add_decay(xp: Any, w: Array, g: Array, a: Array, scale: Any, decay: float) -> None:
    """Replace g by g · scale + decay · w; a is scratch space of its size."""
    xp.multiply(g, scale, out=g)
    if decay:
        xp.multiply(w, decay, out=a)
        xp.add(g, a, out=g)


class Optimizer(Choice, ABC):
    """Moments for P parameters, and the rule that applies a gradient.

    Parameters
    ----------
    backend
        Where the parameters are.
    parameters
        Their names and shapes, and the flat vector (P,) whose type the moments get.
    weight_decay
        Applied as the rule sees fit.
    **options
        Values of the options that the class declares; they become attributes.

    Attributes
    ----------
    moments
        Flat arrays (P,) by name: what a checkpoint keeps besides the number of updates.
    finite
        Whether the last update left all weights and moments finite; None if the rule did not look.
    """

    slots: ClassVar[tuple[str, ...]] = ()
    """The names of the moments."""
    of_moments: ClassVar[tuple[str, ...]] = ()
    """The options that have no effect on an update from moments that are zero."""
    compiled: ClassVar[bool] = False
    """Whether the compiled core computes the rule, which then takes all weights at once."""
    overwrites: ClassVar[bool] = False
    """Whether the rule writes something else over the gradient than what it adds to the moments."""

    def __init_subclass__(cls) -> None:
        """Note that a class with a rule of its own has no compiled one, unless it says so."""
        super().__init_subclass__()
        if "update" in vars(cls) and "compiled" not in vars(cls):
            cls.compiled = False

    def __init__(
        self, backend: Backend, parameters: Parameters, weight_decay: float, **options: Any
    ) -> None:
        self.backend = backend
        self.weight_decay = weight_decay
        self.finite: bool | None = None
        for name, value in options.items():
            setattr(self, name, value)
        flat = parameters.flat
        self.moments = {name: backend.xp.zeros_like(flat) for name in self.slots}
        self._scratch = backend.xp.empty(min(backend.block, flat.size), flat.dtype)

    def apply(
        self, weights: Parameters, grads: Parameters, lr: float, scale: Any, count: int
    ) -> None:
        """Update all weights, in flat blocks short enough for the processor's caches.

        Override this if the rule needs the names and shapes of parameters.

        Parameters
        ----------
        weights, grads
            Named views into flat vectors (P,); ``grads`` may be overwritten.
        lr
            Learning rate.
        scale
            Factor on the gradient from clipping by norm, a number or a 0-d array.
        count
            Updates made so far, this one included.
        """
        block, looked = self._block(weights.flat), list[bool | None]()
        for start in range(0, weights.flat.size, block):
            part = slice(start, start + block)
            w, g = weights.flat[part], grads.flat[part]
            moments = [self.moments[name][part] for name in self.slots]
            looked.append(self.update(w, g, moments, self._scratch[: w.size], lr, scale, count))
        self._found(looked)

    def _found(self, looked: Sequence[bool | None]) -> None:
        """Note what the updates of blocks returned."""
        self.finite = None if None in looked else all(looked)

    def _block(self, flat: Array) -> int:
        """Return how many weights of a flat vector the rule takes at once."""
        compiled = self.compiled and self.backend.core is not None and flat.dtype == "float32"
        block: int = flat.size if compiled else self._scratch.size
        return block

    @abstractmethod
    def update(
        self,
        w: Array,
        g: Array,
        moments: list[Array],
        a: Array,
        lr: float,
        scale: Any,
        count: int,
    ) -> bool | None:
        """Apply the rule to one block.

        Parameters
        ----------
        w, g
            Weights and gradients, flat, of one length. ``w`` is changed in place; ``g`` may be
            overwritten.
        moments
            The block of each moment, in the order of ``slots``, changed in place.
        a
            Scratch space of the same length.
        lr, scale, count
            As for :meth:`apply`.

        Returns
        -------
        Whether all that it wrote is finite; None if it did not look.
        """
