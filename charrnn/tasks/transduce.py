"""Transduction: a target for each source."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from math import log

import numpy as np

from charrnn.backend.team import Team
from charrnn.backend.threads import Threads
from charrnn.config import TrainConfig
from charrnn.evaluate.pairs import Surprisal, TargetScores, edit_distance, marked
from charrnn.model.transducer.model import Transducer
from charrnn.model.transducer.sources import aligned
from charrnn.sampling.targets import written
from charrnn.tasks.base import Metric
from charrnn.tasks.examples import ExampleTask
from charrnn.text.labelled.batches import SimilarLengths
from charrnn.text.pairs.dataset import Pairs
from charrnn.text.windows import Batch

MEASURED = 500
"""Pairs of the validation data for which an evaluation writes targets."""


class TransduceTask(ExampleTask):
    """A transducer, and the pairs that it is trained and measured on.

    Parameters are those of :class:`~charrnn.tasks.examples.ExampleTask`.
    """

    metric = Metric("loss")  # nats per symbol of the targets
    padded_first = True

    def __init__(
        self,
        model: Transducer,
        train: Pairs,
        val: Pairs,
        config: TrainConfig,
        team: Team | None = None,
    ) -> None:
        super().__init__(model, train, val, config, team)
        self._model = model
        self.guess = log(model.end + 1)
        self._steps = steps_of(train, self.batches)
        self._surprisal = Surprisal(model)
        self._measures: dict[str, float] = {}

    def batch(self, step: int) -> Batch:
        """Return this member's pairs of a batch: the sources as inputs, padded at the front."""
        numbers, places, epoch = self.batches.at(step)
        ids, lengths = self.train.sources.padded(numbers, places, self._model.source_end)
        targets, mask = marked(self.train, numbers, places, self._model.end)
        batch = Batch(
            aligned(ids, lengths),
            targets,
            epoch,
            reset=None,
            mask=mask,
            symbols=int(mask.sum()),
            lengths=lengths,
        )
        return self.shared(batch, places)

    def evaluate(self, stopped: Callable[[], bool]) -> float | None:
        """Return the mean surprisal of the validation targets, in nats per symbol."""
        found = self._surprisal.of(self.val, stopped)
        if found is None:
            return None
        some = self.val.of(np.arange(min(len(self.val), MEASURED)))
        scores = scores_of(self._model, some, found, stopped=stopped)
        if scores is None:
            return None
        self._measures = {"exact_match": scores.exact_match, "cer": scores.cer}
        return scores.nats_per_symbol

    def training_loss(self) -> float | None:
        """Return the mean surprisal of a sample of the training targets, in nats per symbol."""
        found = self._surprisal.of(self.some())
        return None if found is None else found[0] / found[1]

    def measures(self) -> dict[str, float]:
        """Return further measures of the last evaluation, on its first pairs."""
        return self._measures

    def training(self) -> AbstractContextManager[None]:
        """Keep BLAS to one thread: for attention, and if the pairs are divided among threads."""
        if self._model.core is not None:
            return Threads(self.backend).serial_blas()
        return self._shards_of(max(self._steps)).serial_blas()


def steps_of(pairs: Pairs, batches: SimilarLengths) -> dict[int, int]:
    """Return for each number of places of a batch the most symbols that one of its sides has."""
    longest = max(int(side.lengths.max()) + 1 for side in (pairs.sources, pairs.targets))
    return {places: min(steps, longest) for places, steps in batches.shapes().items()}


def scores_of(
    model: Transducer,
    pairs: Pairs,
    surprisal: tuple[float, int] | None = None,
    *,
    beam: int = 1,
    stopped: Callable[[], bool] = lambda: False,
) -> TargetScores | None:
    """Return how well a transducer does on pairs; None if ``stopped`` returned true.

    ``surprisal`` is the nats and the number of symbols of the targets, if they are known already.
    """
    nats = surprisal or Surprisal(model).of(pairs, stopped)
    if nats is None:
        return None
    exact = edits = reference = 0
    for number, (best, *_) in written(model, pairs, beam=beam):
        if stopped():
            return None
        wanted = pairs.targets.text(number).tolist()
        exact += list(best.ids) == wanted
        edits += edit_distance(best.ids, wanted)
        reference += len(wanted)
    return TargetScores(len(pairs), exact, edits, reference, *nats)
