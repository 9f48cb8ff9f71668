"""Generation: texts that have a label.

A batch has texts of similar length, so its number of symbols n varies, and so does the share of
them that are ends. The gradient of an update is therefore

    ∂/∂w Σ -ln p(y) / n̄,   n̄ the mean n over the batches,

whose mean over an epoch is that of all symbols alike. Divided by its own n, a batch of short texts
would count as much as one of long texts: the model would learn to end texts too early
(``benchmarks/LOG.md``). The loss that is reported is the mean over the symbols of the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from math import log

from charrnn.backend import Array
from charrnn.backend.team import Alone, Team
from charrnn.config import TrainConfig
from charrnn.evaluate.generated import TextScorer
from charrnn.model.parameters import Parameters
from charrnn.model.sequences.generator import Generator
from charrnn.model.sequences.padding import Padding
from charrnn.model.shards import Shards
from charrnn.tasks.base import Metric, Task
from charrnn.tasks.classify import NothingCarried
from charrnn.text.labelled.batches import SimilarLengths
from charrnn.text.labelled.examples import Labelled
from charrnn.text.windows import Batch


class GenerateTask(Task):
    """A generator, and the labelled texts that it is trained and measured on.

    Parameters
    ----------
    model
        Trained in place.
    train, val
        Texts with their ends; ``val`` may be empty.
    config
        ``batch`` is the largest number of texts in a batch.
    team
        Each member reads its share of each batch.
    start
        The symbol that is read before each text.
    """

    kind = Generator.kind
    metric = Metric("loss")  # nats per symbol

    def __init__(
        self,
        model: Generator,
        train: Labelled,
        val: Labelled,
        config: TrainConfig,
        team: Team | None = None,
        *,
        start: int,
    ) -> None:
        self.model, self.backend, self.weights = model, model.backend, model.weights
        self.guess, self.bounded = log(model.V), model.stack.cell.bounded
        self.train, self.val, self.start = train, val, start
        self.batches = SimilarLengths(train.lengths, config.batch, config.seed)
        self.windows_per_epoch = self.batches.per_epoch
        self.symbols_per_batch = train.symbols / self.batches.per_epoch
        self._symbols = max(1, round(self.symbols_per_batch))
        self.window = NothingCarried()
        self._team = team or Alone()
        self._shards: dict[int, Shards] = {}
        self._steps = self.batches.shapes()
        self._seed, self._dropout = config.seed, bool(model.config.dropout)
        self._scorer = TextScorer(model, start)

    def batch(self, step: int) -> Batch:
        """Return this member's texts of a batch: as inputs, the symbols with their labels."""
        numbers, places, epoch = self.batches.at(step)
        targets, lengths = self.train.padded(numbers, places)
        labels = self.train.labels_of(numbers, places)
        batch = Batch(
            self.model.inputs(targets, labels, self.start),
            targets,
            epoch,
            reset=None,
            symbols=int(lengths.sum()),
            lengths=lengths,
        )
        return batch if self._team.size == 1 else batch.of(self._team.share(places))

    def loss_and_gradient(self, batch: Batch, step: int, grads: Parameters) -> Array:
        """Return this member's part of the mean cross-entropy, in nats per symbol."""
        put = self.backend.put
        assert batch.lengths is not None
        assert batch.symbols is not None
        loss = self._shards_of(self.batches.at(step).places).loss_and_gradient(
            put(batch.inputs),
            put(batch.targets),
            grads,
            (self._seed, step) if self._dropout else None,
            symbols=self._symbols,
            padding=Padding(batch.lengths, len(batch.inputs), self.backend),
        )
        return loss * (self._symbols / batch.symbols)

    @property
    def has_validation(self) -> bool:
        """Whether there are validation texts."""
        return len(self.val) > 0

    def evaluate(self, stopped: Callable[[], bool]) -> float | None:
        """Return the mean surprisal of a symbol of the validation texts, in nats."""
        nats = self._scorer.of(self.val, stopped)
        return None if nats is None else float(nats.sum() / self.val.symbols)

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
