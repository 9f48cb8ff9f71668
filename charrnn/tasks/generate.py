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
from math import log

from charrnn.backend.team import Team
from charrnn.config import TrainConfig
from charrnn.evaluate.generated import TextScorer
from charrnn.model.sequences.generator import Generator
from charrnn.tasks.base import Metric
from charrnn.tasks.examples import ExampleTask
from charrnn.text.labelled.examples import Labelled
from charrnn.text.windows import Batch


class GenerateTask(ExampleTask):
    """A generator, and the labelled texts that it is trained and measured on.

    Parameters
    ----------
    model, train, val, config, team
        As for :class:`~charrnn.tasks.examples.ExampleTask`; the texts have their ends.
    start
        The symbol that is read before each text.
    """

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
        super().__init__(model, train, val, config, team)
        self._model = model
        self.divisor = max(1, round(self.symbols_per_batch))
        self.guess, self.start = log(model.V), start
        self._scorer = TextScorer(model, start)

    def batch(self, step: int) -> Batch:
        """Return this member's texts of a batch: as inputs, the symbols with their labels."""
        numbers, places, epoch = self.batches.at(step)
        targets, lengths = self.train.padded(numbers, places)
        labels = self.train.labels_of(numbers, places)
        batch = Batch(
            self._model.inputs(targets, labels, self.start),
            targets,
            epoch,
            reset=None,
            symbols=int(lengths.sum()),
            lengths=lengths,
        )
        return self.shared(batch, places)

    def evaluate(self, stopped: Callable[[], bool]) -> float | None:
        """Return the mean surprisal of a symbol of the validation texts, in nats."""
        nats = self._scorer.of(self.val, stopped)
        return None if nats is None else float(nats.sum() / self.val.symbols)

    def training_loss(self) -> float | None:
        """Return the mean surprisal of a symbol of some of the training texts, in nats."""
        some = self.some()
        nats = self._scorer.of(some)
        return None if nats is None else float(nats.sum() / some.symbols)
