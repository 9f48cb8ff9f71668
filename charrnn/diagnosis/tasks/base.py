"""The interface between an examination and a task whose data are separate examples."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.config import TrainConfig
from charrnn.diagnosis.measures.context import Context
from charrnn.diagnosis.measures.curves import Curve, LagProfile, LayerLag
from charrnn.diagnosis.measures.values import Floats, part_of
from charrnn.diagnosis.settings import Settings
from charrnn.errors import CorpusError
from charrnn.evaluate.course import Outcome
from charrnn.model.network import Network
from charrnn.model.sequences.bidirectional import BACK
from charrnn.model.stack import Stack
from charrnn.model.window import Window
from charrnn.randomness import Purpose, generator
from charrnn.tasks.base import Task

NO_TRAJECTORY = "each example begins anew: there is no long trajectory of states"
MAX_LAG = 256
"""The largest default lag, however long the examples are."""
REACHED = 0.5
"""The share of the examples that are as long as the default of the largest lag, at least."""
MIN_LAG = 1
"""The smallest of the largest lags."""


class Pass(NamedTuple):
    """What a forward pass left of one stack: what it is called, its window, the steps that count.

    ``real`` (T, N) is on the host, in the order in which each direction reads.
    """

    part: str
    stack: Stack
    window: Window
    real: NDArray[np.bool_]


class Examples(ABC):
    """A model, and the examples that it is examined on.

    Parameters
    ----------
    model
        The model.
    data
        Examples with ``symbols`` and a length, of which ``of`` returns some.
    """

    model: Any
    missing: ClassVar[Mapping[str, str]]
    """What is not defined for the task, and why."""
    unused: ClassVar[Mapping[str, str]]
    """Settings of the measurements without effect, and why."""

    def __init__(self, model: Any, data: Any) -> None:
        self.model, self._data = model, data

    @property
    def symbols(self) -> int:
        """The symbols that the losses of all examples are of."""
        symbols: int = self._data.symbols
        return symbols

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self._data)

    def some(self, count: int) -> Examples:
        """Return the first ``count`` examples."""
        few = copy(self)
        few._data = self._data.of(np.arange(min(count, len(self))))
        return few

    @abstractmethod
    def task(self, model: Any, train: TrainConfig) -> Task:
        """Return the task of training a model on the examples."""

    @abstractmethod
    def passes(self, batches: int) -> Iterator[Pass]:
        """Read some batches; yield what the forward passes left."""

    @abstractmethod
    def profile(self, model: Any, settings: Settings, notes: list[str]) -> LagProfile:
        """Return the lag profile of the model in float64."""

    def context(self, settings: Settings, profile: LagProfile) -> Context | None:
        """Return how much of the examples the model uses; None if that is not defined."""
        return None


@dataclass
class ExamplesSubject:
    """A model to examine on examples; attributes as of :class:`charrnn.diagnosis.subjects.Subject`.

    ``examples`` hold the model.
    """

    examples: Examples
    train: TrainConfig
    name: str = ""
    text: str = ""
    moments: dict[str, NDArray[Any]] = field(default_factory=dict)
    step: int = 0
    fresh: bool = False
    judged: bool = True
    outcome: Outcome | None = None

    @property
    def model(self) -> Network:
        """The model, in the dtype and on the backend in which it is used."""
        model: Network = self.examples.model
        return model

    @property
    def symbols(self) -> int:
        """The symbols of all examples."""
        return self.examples.symbols

    @property
    def units(self) -> int | None:
        """The number of examples."""
        return len(self.examples)

    @property
    def monotonous(self) -> bool:
        """False: examples have several labels or targets."""
        return False


def largest_lag(steps: NDArray[np.int64], wanted: int | None) -> int:
    """Return the largest lag of a profile of examples of so many steps each, (examples,).

    By default half of the examples are as long, and it is at most :data:`MAX_LAG`. If it is given,
    it is lowered to what the longest example has.

    Raises
    ------
    CorpusError
        If no example has two steps.
    """
    longest = int(steps.max(initial=0)) - 1
    if longest < MIN_LAG:
        raise CorpusError(
            "the examples are too short for a lag profile, which needs 2 steps", "use longer ones"
        )
    if wanted is not None:
        return min(wanted, longest)
    typical = int(np.quantile(steps, 1 - REACHED, method="lower")) - 1
    return min(max(typical, MIN_LAG), MAX_LAG, longest)


def drawn(possible: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """Return at most ``count`` of the possible examples, ascending."""
    rng = generator(seed, Purpose.DIAGNOSE)
    chosen = rng.choice(possible, size=min(count, len(possible)), replace=False)
    return np.sort(chosen).astype(np.int64)


def layers_of(
    stack: Stack,
    norms: Mapping[str, Floats],
    part: str = "",
    scales: Mapping[str, float] | None = None,
) -> list[LayerLag]:
    """Return the profiles of all layers of a stack, in each direction.

    Parameters
    ----------
    norms
        ‖∂ℓ/∂state‖ by full name, (lags + 1, examples).
    part
        What the stack is called.
    scales
        What the norms of a state are relative to; by default their mean at lag 0.
    """
    found = []
    for suffix in ("", BACK):
        for index, layer in enumerate(stack.layers):
            curves = {
                state: Curve.of(norms[name], None if scales is None else scales[name])
                for state in stack.cell.states
                if (name := layer.full_name(state + suffix, index)) in norms
            }
            if curves:
                part_name, alone = part_of(part, suffix), scales is not None
                found.append(LayerLag(index, curves, part_name, alone))
    return found
