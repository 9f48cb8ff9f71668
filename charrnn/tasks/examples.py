"""What the tasks have in common whose data are separate examples, read whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

import numpy as np

from charrnn.backend import Array
from charrnn.backend.team import Alone, Team
from charrnn.config import TrainConfig
from charrnn.model.dropout import RecurrentDropout
from charrnn.model.network import Divisible
from charrnn.model.parameters import Parameters
from charrnn.model.sequences.padding import Padding
from charrnn.model.shards import Shards
from charrnn.model.window import Carried
from charrnn.tasks.base import Task
from charrnn.text.labelled.batches import SimilarLengths
from charrnn.text.windows import Batch

SAMPLE = 512
"""Training examples that are scored at most, to be compared with the validation examples."""


class NothingCarried(Carried):
    """The states of whole sequences: each begins from zero."""

    def states(self) -> Iterator[tuple[str, Array]]:
        """Yield nothing."""
        yield from ()

    def carry(self) -> None:
        """Do nothing."""


class ExampleTask(Task):
    """A network, and the examples that it is trained and measured on, in batches by length.

    Parameters
    ----------
    model
        Trained in place.
    train, val
        Examples with ``lengths`` and ``symbols``; ``val`` may be empty.
    config
        ``batch`` is the largest number of examples in a batch.
    team
        Each member reads its share of each batch.

    Attributes
    ----------
    divisor
        The gradient is that of the sum over a batch's targets divided by this; None: by their
        number in the batch. Batches are of similar length, so there are more targets in some than
        in others, and with one divisor for all each target counts alike.
    """

    padded_first: ClassVar[bool] = False
    """Whether inputs are padded before their first symbol, not after their last."""

    def __init__(
        self,
        model: Divisible,
        train: Any,
        val: Any,
        config: TrainConfig,
        team: Team | None = None,
    ) -> None:
        self.model, self.backend, self.weights = model, model.backend, model.weights
        self.bounded = model.stack.cell.bounded
        self.train, self.val = train, val
        self.batches = SimilarLengths(train.lengths, config.batch, config.seed)
        self.windows_per_epoch = self.batches.per_epoch
        self.symbols_per_batch = train.symbols / self.batches.per_epoch
        self.window = NothingCarried()
        self.divisor: int | None = None
        self._team = team or Alone()
        self._shards: dict[int, Shards] = {}
        self._steps = self.batches.shapes()
        self._seed, self._dropout = config.seed, bool(model.config.dropout)
        rate = model.config.recurrent_dropout
        self._recurrent = RecurrentDropout(self.weights, rate, self.backend)

    def shared(self, batch: Batch, places: int) -> Batch:
        """Return this member's share of a batch."""
        return batch if self._team.size == 1 else batch.of(self._team.share(places))

    def loss_and_gradient(self, batch: Batch, step: int, grads: Parameters) -> Array:
        """Return this member's part of the mean cross-entropy, in nats."""
        put = self.backend.put
        assert batch.lengths is not None
        places = self.batches.at(step).places
        divisor = self.divisor or batch.symbols
        padding = Padding(batch.lengths, len(batch.inputs), self.backend, first=self.padded_first)
        with self._recurrent.drawn(self._seed, step, grads):
            loss = self._shards_of(places).loss_and_gradient(
                put(batch.inputs),
                put(batch.targets),
                grads,
                (self._seed, step) if self._dropout else None,
                mask=None if batch.mask is None else put(batch.mask),
                padding=padding,
                symbols=divisor,
            )
        if divisor == batch.symbols:
            return loss
        assert divisor is not None and batch.symbols is not None
        return loss * (divisor / batch.symbols)

    @property
    def has_validation(self) -> bool:
        """Whether there are validation examples."""
        return len(self.val) > 0

    def some(self) -> Any:
        """Return a sample of the training examples, spread evenly over them."""
        number = len(self.train)
        return self.train.of(np.arange(0, number, max(1, -(-number // SAMPLE))))

    def training(self) -> AbstractContextManager[None]:
        """Keep BLAS to one thread if the examples are divided among the threads."""
        shards = next(iter(self._shards.values()), None)
        return nullcontext() if shards is None else shards.serial_blas()

    def _shards_of(self, places: int) -> Shards:
        """Return the windows for batches of so many examples."""
        if places not in self._shards:
            mine = self._team.share(places)
            self._shards[places] = Shards(self.model, self._steps[places], places, mine=mine)
        return self._shards[places]
