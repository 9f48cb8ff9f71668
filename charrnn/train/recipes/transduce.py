"""Transduction: pairs of a source and a target."""

from __future__ import annotations

from math import log

import numpy as np

from charrnn.backend import Backend
from charrnn.backend.threads import Threads
from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.evaluate.pairs import BATCH
from charrnn.model import memory
from charrnn.model.shards import shards
from charrnn.storage import heldout
from charrnn.storage.checkpoint import Checkpoint
from charrnn.tasks.transduce import TransduceTask, steps_of
from charrnn.text.labelled.batches import SimilarLengths
from charrnn.text.pairs.dataset import Pairs, PairTable, read_pairs
from charrnn.train import optimizers, vocabulary_change
from charrnn.train.recipes.examples import OfExamples


class Transduction(OfExamples):
    """How runs of transducers are begun."""

    task = TransduceTask
    write = staticmethod(heldout.write_pairs)

    def read(self, data: DataConfig, seed: int) -> PairTable:
        """Return the pairs, of which the seed holds some out."""
        return read_pairs(data, seed)

    def estimate(
        self,
        config: ModelConfig,
        corpus: PairTable,
        train: TrainConfig,
        backend: Backend,
        members: int = 1,
    ) -> memory.Estimate:
        """Return the memory that training needs."""
        batches = SimilarLengths(corpus.train.lengths, train.batch, train.seed)
        scored = SimilarLengths(corpus.val.lengths, BATCH, None)
        return memory.estimate_of_sequences(
            config,
            len(corpus.vocabulary),
            len(corpus.targets),
            steps_of(corpus.train, batches),
            moments=optimizers.moments(train),
            shards=shards(config, -(-train.batch // members), Threads(backend)),
            scored=steps_of(corpus.val, scored) if len(corpus.val) else {},
        )

    def transfer(
        self, start: Checkpoint, config: ModelConfig, corpus: PairTable, seed: int
    ) -> tuple[np.ndarray, str]:
        """Return the weights of another run: for the encoder, or of a transducer also the rest."""
        return vocabulary_change.transfer_to_targets(
            start, config, corpus.vocabulary, corpus.targets, seed
        )

    def labels(self, corpus: PairTable) -> tuple[str, ...]:
        """Return the symbols of the targets."""
        return corpus.targets

    def no_better_than(
        self, corpus: PairTable, loss: float | None
    ) -> tuple[str, float] | tuple[None, None]:
        """Return a guess that is no worse: all symbols alike, or each by its frequency."""
        count = len(corpus.targets) + 1
        known = _counts(corpus.train, count) + 1.0
        scored = _counts(corpus.val if len(corpus.val) else corpus.train, count)
        by_frequency = -(scored @ np.log(known / known.sum())) / scored.sum()
        for name, guess in (("uniform", log(count)), ("unigram", by_frequency)):
            if loss is not None and loss >= guess:
                return name, float(guess)
        return None, None


def _counts(pairs: Pairs, count: int) -> np.ndarray:
    """Return how often each symbol of the targets occurs, the end last."""
    found = np.zeros(count)
    for number in range(len(pairs)):
        ids = pairs.targets.text(number)
        found += np.bincount(ids[ids < count - 1], minlength=count)
    found[-1] = len(pairs)
    return found
