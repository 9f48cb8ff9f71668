"""The interface between a training loop and the task that a model learns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar, NamedTuple

from charrnn.backend import Array, Backend
from charrnn.model.parameters import Parameters
from charrnn.model.window import Carried
from charrnn.text.windows import Batch


class Metric(NamedTuple):
    """The validation metric.

    Attributes
    ----------
    name
        Its name, such as ``loss`` or ``accuracy``.
    lower_is_better
        Its direction.
    """

    name: str
    lower_is_better: bool = True

    def better(self, value: float, best: float | None) -> bool:
        """Return whether ``value`` is better than the best so far, None if there is none."""
        if best is None:
            return True
        return value < best if self.lower_is_better else value > best


class Task(ABC):
    """Batches, the loss on them and its gradient, and a measure of success.

    The loop asks for the batch of a step, resets the streams in :attr:`window` that the batch
    names, computes the gradient and carries the states to the next batch. In a team each member has
    its own task, with the same weights and some of the streams.

    Attributes
    ----------
    backend
        The backend of all arrays.
    weights
        Trained in place.
    window
        The states that are carried from batch to batch.
    windows_per_epoch
        Batches in one pass over the training data.
    symbols_per_batch
        Symbols that are read in a batch, on average.
    guess
        The loss of a guess that ignores the input. A run whose final loss is far above it has
        diverged.
    bounded
        Whether the states of the model are bounded, so that a huge loss is a sign of divergence.
    """

    metric: ClassVar[Metric]
    """The metric that :meth:`evaluate` returns."""

    backend: Backend
    weights: Parameters
    window: Carried
    windows_per_epoch: int
    symbols_per_batch: float
    guess: float
    bounded: bool

    @abstractmethod
    def batch(self, step: int) -> Batch:
        """Return this member's streams of the batch of a step, counted from 0.

        It depends only on the step, so that a resumed run reads the same.
        """

    @abstractmethod
    def loss_and_gradient(self, batch: Batch, step: int, grads: Parameters) -> Array:
        """Return this member's part of the mean loss over the batch, 0-d.

        Writes its gradient to ``grads``, all of it. Random numbers depend only on ``step``.
        """

    @property
    @abstractmethod
    def has_validation(self) -> bool:
        """Whether there is validation data."""

    @abstractmethod
    def evaluate(self, stopped: Callable[[], bool]) -> float | None:
        """Return the metric on the validation data; None if ``stopped`` returned true."""

    def training_loss(self) -> float | None:
        """Return the metric on a sample of the training data, measured as :meth:`evaluate` does.

        None if the task has no such measure.
        """
        return None

    def measures(self) -> dict[str, float]:
        """Return further measures of the last evaluation, by name."""
        return {}

    def training(self) -> AbstractContextManager[None]:
        """Return a context for one update, with the CPU threads set up for it."""
        return nullcontext()
