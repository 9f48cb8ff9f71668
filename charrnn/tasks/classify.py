"""Classification: a label for each text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from math import log

from charrnn.backend import Array
from charrnn.backend.team import Alone, Team
from charrnn.config import TrainConfig
from charrnn.evaluate.labels import Labeller, LabelScores
from charrnn.model.parameters import Parameters
from charrnn.model.sequences.classifier import Classifier
from charrnn.model.sequences.padding import Padding
from charrnn.model.shards import Shards
from charrnn.model.window import Carried
from charrnn.randomness import Purpose, generator
from charrnn.tasks.base import Metric, Task
from charrnn.text.labelled.batches import SimilarLengths
from charrnn.text.labelled.examples import Labelled, replaced, thinned
from charrnn.text.windows import Batch


class NothingCarried(Carried):
    """The states of whole sequences: each begins from zero."""

    def states(self) -> Iterator[tuple[str, Array]]:
        """Yield nothing."""
        yield from ()

    def carry(self) -> None:
        """Do nothing."""


class ClassifyTask(Task):
    """A classifier, and the labelled texts that it is trained and measured on.

    Parameters
    ----------
    model
        Trained in place.
    train, val
        ``val`` may be empty.
    config
        ``batch`` is the largest number of texts in a batch.
    team
        Each member reads its share of each batch.
    """

    kind = Classifier.kind
    metric = Metric("loss")  # nats per text

    def __init__(
        self,
        model: Classifier,
        train: Labelled,
        val: Labelled,
        config: TrainConfig,
        team: Team | None = None,
    ) -> None:
        self.model, self.backend, self.weights = model, model.backend, model.weights
        self.guess, self.bounded = log(model.outputs), model.stack.cell.bounded
        self.train, self.val = train, val
        self.batches = SimilarLengths(train.lengths, config.batch, config.seed)
        self.windows_per_epoch = self.batches.per_epoch
        self.symbols_per_batch = train.symbols / self.batches.per_epoch
        self.window = NothingCarried()
        self.scores: LabelScores | None = None
        self._team = team or Alone()
        self._shards: dict[int, Shards] = {}
        self._steps = self.batches.shapes()
        self._seed, self._dropout = config.seed, bool(model.config.dropout)
        self._hide_symbols = config.hide_symbols
        self._labeller = Labeller(model)

    def batch(self, step: int) -> Batch:
        """Return this member's texts of a batch."""
        numbers, places, epoch = self.batches.at(step)
        inputs, lengths = self.train.padded(numbers, places)
        if rate := self._hide_symbols:
            rng = generator(self._seed, Purpose.HIDE_SYMBOLS, step=step)
            if self.train.unknown is None:
                inputs = replaced(inputs, lengths, rate, rng)
            else:  # as an unknown word says little, so does the lack of one
                inputs, lengths = thinned(inputs, lengths, rate, rng)
        labels = self.train.labels_of(numbers, places)
        batch = Batch(inputs, labels, epoch, reset=None, symbols=len(numbers), lengths=lengths)
        return batch if self._team.size == 1 else batch.of(self._team.share(places))

    def loss_and_gradient(self, batch: Batch, step: int, grads: Parameters) -> Array:
        """Return this member's part of the mean cross-entropy, in nats per text."""
        put = self.backend.put
        assert batch.lengths is not None
        places = self.batches.at(step).places
        padding = Padding(batch.lengths, len(batch.inputs), self.backend)
        return self._shards_of(places).loss_and_gradient(
            put(batch.inputs),
            put(batch.targets),
            grads,
            (self._seed, step) if self._dropout else None,
            padding=padding,
            symbols=batch.symbols,
        )

    @property
    def has_validation(self) -> bool:
        """Whether there are validation texts."""
        return len(self.val) > 0

    def evaluate(self, stopped: Callable[[], bool]) -> float | None:
        """Return the mean surprisal of the validation texts' labels, in nats."""
        self.scores = LabelScores.of(self._labeller, self.val, stopped)
        return None if self.scores is None else self.scores.nats

    def measures(self) -> dict[str, float]:
        """Return further measures of the last evaluation."""
        if self.scores is None:
            return {}
        return {"accuracy": self.scores.accuracy, "macro_f1": self.scores.macro_f1}

    def training(self) -> AbstractContextManager[None]:
        """Keep BLAS to one thread if the texts are divided among the threads."""
        shards = next(iter(self._shards.values()), None)
        return nullcontext() if shards is None else shards.serial_blas()

    def _shards_of(self, places: int) -> Shards:
        """Return the windows for batches of so many texts."""
        if places not in self._shards:
            mine = self._team.share(places)
            self._shards[places] = Shards(self.model, self._steps[places], places, mine=mine)
        return self._shards[places]
