"""Tagging: a label for each symbol or token of a sequence."""

from __future__ import annotations

from collections.abc import Callable
from math import log

from charrnn.backend.team import Team
from charrnn.config import TrainConfig
from charrnn.evaluate.tags import TagScorer, TagScores
from charrnn.model.sequences.tagger import Tagger
from charrnn.tasks.base import Metric
from charrnn.tasks.examples import ExampleTask
from charrnn.text.tagged.examples import Tagged
from charrnn.text.windows import Batch


class TagTask(ExampleTask):
    """A tagger, and the labelled sequences that it is trained and measured on.

    Parameters are those of :class:`~charrnn.tasks.examples.ExampleTask`.
    """

    metric = Metric("loss")  # nats per label

    def __init__(
        self,
        model: Tagger,
        train: Tagged,
        val: Tagged,
        config: TrainConfig,
        team: Team | None = None,
    ) -> None:
        super().__init__(model, train, val, config, team)
        self.guess = log(model.outputs)
        self.scores: TagScores | None = None
        self._scorer = TagScorer(model)

    def batch(self, step: int) -> Batch:
        """Return this member's sequences of a batch; the mask says which symbols have a label."""
        numbers, places, epoch = self.batches.at(step)
        inputs, lengths = self.train.padded(numbers, places)
        tags = self.train.padded_tags(numbers, places)
        mask = tags < self.train.labels
        tags[~mask] = 0
        symbols = max(1, int(mask.sum()))
        batch = Batch(inputs, tags, epoch, reset=None, mask=mask, symbols=symbols, lengths=lengths)
        return self.shared(batch, places)

    def evaluate(self, stopped: Callable[[], bool]) -> float | None:
        """Return the mean surprisal of the validation sequences' labels, in nats."""
        self.scores = self._scorer.of(self.val, stopped=stopped)
        return None if self.scores is None else self.scores.nats

    def training_loss(self) -> float | None:
        """Return the mean surprisal of a sample of the training sequences' labels, in nats."""
        scores = self._scorer.of(self.some())
        return None if scores is None else scores.nats

    def measures(self) -> dict[str, float]:
        """Return further measures of the last evaluation."""
        if self.scores is None:
            return {}
        return {"accuracy": self.scores.accuracy, "macro_f1": self.scores.macro_f1}
