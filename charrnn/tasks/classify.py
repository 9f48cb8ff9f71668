"""Classification: a label for each text."""

from __future__ import annotations

from collections.abc import Callable
from math import log

from charrnn.backend.team import Team
from charrnn.config import TrainConfig
from charrnn.evaluate.labels import Labeller, LabelScores
from charrnn.model.sequences.classifier import Classifier
from charrnn.model.sequences.writer import both
from charrnn.randomness import Purpose, generator
from charrnn.tasks.base import Metric
from charrnn.tasks.examples import ExampleTask
from charrnn.text.labelled.examples import Labelled, replaced, thinned
from charrnn.text.windows import Batch


class ClassifyTask(ExampleTask):
    """A classifier, and the labelled texts that it is trained and measured on.

    Parameters are those of :class:`~charrnn.tasks.examples.ExampleTask`.
    """

    metric = Metric("loss")  # nats per text

    def __init__(
        self,
        model: Classifier,
        train: Labelled,
        val: Labelled,
        config: TrainConfig,
        team: Team | None = None,
    ) -> None:
        super().__init__(model, train, val, config, team)
        self.guess = log(model.outputs)
        self.scores: LabelScores | None = None
        self._hide_symbols, self._writes = config.hide_symbols, model.writer is not None
        self._labeller, self._alone = Labeller(model), Labeller(model, alone=True)

    def batch(self, step: int) -> Batch:
        """Return this member's texts of a batch."""
        numbers, places, epoch = self.batches.at(step)
        inputs, lengths = self.train.padded(numbers, places)
        if rate := self._hide_symbols:
            rng = generator(self._seed, Purpose.HIDE_SYMBOLS, step=step)
            if self.train.unknown is None:
                whole, inputs = inputs, replaced(inputs, lengths, rate, rng)
                if self._writes:
                    inputs = both(inputs, whole, self.model.V)
            else:  # as an unknown word says little, so does the lack of one
                inputs, lengths = thinned(inputs, lengths, rate, rng)
        labels = self.train.labels_of(numbers, places)
        batch = Batch(inputs, labels, epoch, reset=None, symbols=len(numbers), lengths=lengths)
        return self.shared(batch, places)

    def evaluate(self, stopped: Callable[[], bool]) -> float | None:
        """Return the mean surprisal of the validation texts' labels, in nats."""
        self.scores = LabelScores.of(self._labeller, self.val, stopped)
        return None if self.scores is None else self.scores.nats

    def training_loss(self) -> float | None:
        """Return the mean surprisal of a sample of the training texts' labels, in nats.

        It is that of the network alone: counts of n-grams are those of these very texts.
        """
        scores = LabelScores.of(self._alone, self.some())
        return None if scores is None else scores.nats

    def measures(self) -> dict[str, float]:
        """Return further measures of the last evaluation."""
        if self.scores is None:
            return {}
        return {"accuracy": self.scores.accuracy, "macro_f1": self.scores.macro_f1}
