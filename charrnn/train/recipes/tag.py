"""Tagging: sequences with a label for each symbol or token."""

from __future__ import annotations

from dataclasses import replace
from math import log

import numpy as np

from charrnn.backend import Backend
from charrnn.backend.threads import Threads
from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.evaluate.labels import BATCH
from charrnn.model import memory
from charrnn.model.shards import shards
from charrnn.storage import heldout
from charrnn.storage.checkpoint import Checkpoint
from charrnn.tasks.tag import TagTask
from charrnn.text.labelled.batches import SimilarLengths
from charrnn.text.tagged.dataset import TaggedTable, read_tagged
from charrnn.text.tagged.examples import Tagged
from charrnn.train import optimizers, vocabulary_change
from charrnn.train.recipes.examples import OfExamples


class Tagging(OfExamples):
    """How runs of taggers are begun."""

    task = TagTask
    write = staticmethod(heldout.write_tagged)

    def read(self, data: DataConfig, seed: int) -> TaggedTable:
        """Return the labelled sequences, of which the seed holds some out."""
        return read_tagged(data, seed)

    def settled(self, data: DataConfig, corpus: TaggedTable) -> DataConfig:
        """Return how the sequences are read, with their format."""
        return replace(data, format=corpus.format)

    def estimate(
        self,
        config: ModelConfig,
        corpus: TaggedTable,
        train: TrainConfig,
        backend: Backend,
        members: int = 1,
    ) -> memory.Estimate:
        """Return the memory that training needs."""
        return memory.estimate_of_sequences(
            config,
            len(corpus.vocabulary),
            len(corpus.labels),
            SimilarLengths(corpus.train.lengths, train.batch, train.seed).shapes(),
            moments=optimizers.moments(train),
            shards=shards(config, -(-train.batch // members), Threads(backend)),
            scored=SimilarLengths(corpus.val.lengths, BATCH, None).shapes(),
        )

    def transfer(
        self, start: Checkpoint, config: ModelConfig, corpus: TaggedTable, seed: int
    ) -> tuple[np.ndarray, str]:
        """Return the weights of another run: its stack and embedding, and those of its labels."""
        return vocabulary_change.transfer_to_labels(
            start, config, corpus.vocabulary, corpus.labels, seed
        )

    def labels(self, corpus: TaggedTable) -> tuple[str, ...]:
        """Return the names of the labels."""
        return corpus.labels

    def no_better_than(
        self, corpus: TaggedTable, loss: float | None
    ) -> tuple[str, float] | tuple[None, None]:
        """Return a guess that is no worse: all labels alike, or each by its frequency."""
        count = len(corpus.labels)
        known = _counts(corpus.train) + 1.0
        scored = _counts(corpus.val if len(corpus.val) else corpus.train)
        by_frequency = -(scored @ np.log(known / known.sum())) / max(1.0, scored.sum())
        for name, guess in (("uniform", log(count)), ("unigram", by_frequency)):
            if loss is not None and loss >= guess:
                return name, float(guess)
        return None, None


def _counts(sequences: Tagged) -> np.ndarray:
    """Return how often each label occurs."""
    found = np.zeros(sequences.labels)
    for number in range(len(sequences)):
        found += np.bincount(sequences.tags_at(number), minlength=len(found) + 1)[:-1]
    return found
