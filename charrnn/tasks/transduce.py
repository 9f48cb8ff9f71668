"""Transduction: a target for each source."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from math import log

import numpy as np

from charrnn.backend import Array
from charrnn.backend.team import Alone, Team
from charrnn.backend.threads import Threads
from charrnn.config import TrainConfig
from charrnn.evaluate.pairs import Surprisal, TargetScores, edit_distance, marked
from charrnn.model.parameters import Parameters
from charrnn.model.sequences.padding import Padding
from charrnn.model.shards import Shards
from charrnn.model.transducer.model import Transducer
from charrnn.model.transducer.sources import aligned
from charrnn.sampling.targets import written
from charrnn.tasks.base import Metric, Task
from charrnn.tasks.examples import NothingCarried
from charrnn.text.labelled.batches import SimilarLengths
from charrnn.text.pairs.dataset import Pairs
from charrnn.text.windows import Batch

MEASURED = 500
"""Pairs of the validation data for which an evaluation writes targets."""


class TransduceTask(Task):
    """A transducer, and the pairs that it is trained and measured on.

    Parameters
    ----------
    model
        Trained in place.
    train, val
        ``val`` may be empty.
    config
        ``batch`` is the largest number of pairs in a batch.
    team
        Each member reads its share of each batch.
    """

    kind = Transducer.kind
    metric = Metric("loss")  # nats per symbol of the targets

    def __init__(
        self,
        model: Transducer,
        train: Pairs,
        val: Pairs,
        config: TrainConfig,
        team: Team | None = None,
    ) -> None:
        self.model, self.backend, self.weights = model, model.backend, model.weights
        self.guess, self.bounded = log(model.end + 1), model.stack.cell.bounded
        self.train, self.val = train, val
        self.batches = SimilarLengths(train.lengths, config.batch, config.seed)
        self.windows_per_epoch = self.batches.per_epoch
        self.symbols_per_batch = train.symbols / self.windows_per_epoch
        self.window = NothingCarried()
        self._team = team or Alone()
        self._shards: dict[int, Shards] = {}
        self._steps = steps_of(train, self.batches)
        self._seed, self._dropout = config.seed, bool(model.config.dropout)
        self._surprisal = Surprisal(model)
        self._measures: dict[str, float] = {}

    def batch(self, step: int) -> Batch:
        """Return this member's pairs of a batch: the sources as inputs, padded at the front."""
        numbers, places, epoch = self.batches.at(step)
        ids, lengths = self.train.sources.padded(numbers, places, self.model.source_end)
        targets, mask = marked(self.train, numbers, places, self.model.end)
        batch = Batch(
            aligned(ids, lengths),
            targets,
            epoch,
            reset=None,
            mask=mask,
            symbols=int(mask.sum()),
            lengths=lengths,
        )
        return batch if self._team.size == 1 else batch.of(self._team.share(places))

    def loss_and_gradient(self, batch: Batch, step: int, grads: Parameters) -> Array:
        """Return this member's part of the mean cross-entropy, in nats per symbol."""
        put = self.backend.put
        assert batch.lengths is not None
        assert batch.mask is not None
        return self._shards_of(self.batches.at(step).places).loss_and_gradient(
            put(batch.inputs),
            put(batch.targets),
            grads,
            (self._seed, step) if self._dropout else None,
            mask=put(batch.mask),
            symbols=batch.symbols,
            padding=Padding(batch.lengths, len(batch.inputs), self.backend, first=True),
        )

    @property
    def has_validation(self) -> bool:
        """Whether there are validation pairs."""
        return len(self.val) > 0

    def evaluate(self, stopped: Callable[[], bool]) -> float | None:
        """Return the mean surprisal of the validation targets, in nats per symbol."""
        found = self._surprisal.of(self.val, stopped)
        if found is None:
            return None
        some = self.val.of(np.arange(min(len(self.val), MEASURED)))
        scores = scores_of(self.model, some, found, stopped=stopped)
        if scores is None:
            return None
        self._measures = {"exact_match": scores.exact_match, "cer": scores.cer}
        return scores.nats_per_symbol

    def measures(self) -> dict[str, float]:
        """Return further measures of the last evaluation, on its first pairs."""
        return self._measures

    def training(self) -> AbstractContextManager[None]:
        """Keep BLAS to one thread: for attention, and if the pairs are divided among threads."""
        if self.model.core is not None:
            return Threads(self.backend).serial_blas()
        return self._shards_of(max(self._steps)).serial_blas()

    def _shards_of(self, places: int) -> Shards:
        """Return the windows for batches of so many pairs."""
        if places not in self._shards:
            mine = self._team.share(places)
            self._shards[places] = Shards(self.model, self._steps[places], places, mine=mine)
        return self._shards[places]


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
