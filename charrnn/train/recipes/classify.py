"""Classification: texts with a label each."""

from __future__ import annotations

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
from charrnn.tasks.classify import ClassifyTask
from charrnn.text.labelled.batches import SimilarLengths
from charrnn.text.labelled.dataset import Table, read_table
from charrnn.text.labelled.examples import Labelled
from charrnn.train import optimizers, vocabulary_change
from charrnn.train.recipes.examples import OfExamples


class Classification(OfExamples):
    """How runs of classifiers are begun."""

    task = ClassifyTask
    write = staticmethod(heldout.write_labelled)

    def read(self, data: DataConfig, seed: int) -> Table:
        """Return the labelled texts, held out by label."""
        return read_table(data, seed)

    def estimate(
        self,
        config: ModelConfig,
        corpus: Table,
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
        self, start: Checkpoint, config: ModelConfig, corpus: Table, seed: int
    ) -> tuple[np.ndarray, str]:
        """Return the weights of another run: its stack and embedding, and those of its labels."""
        return vocabulary_change.transfer_to_labels(
            start, config, corpus.vocabulary, corpus.labels, seed
        )

    def labels(self, corpus: Table) -> tuple[str, ...]:
        """Return the names of the labels."""
        return corpus.labels

    def no_better_than(
        self, corpus: Table, loss: float | None
    ) -> tuple[str, float] | tuple[None, None]:
        """Return a guess that is no worse: all labels alike, or each by its frequency."""
        count = len(corpus.labels)
        known = np.bincount(corpus.train.labels, minlength=count) + 1.0
        scored: Labelled = corpus.val if len(corpus.val) else corpus.train
        share = np.bincount(scored.labels, minlength=count) / len(scored)
        guesses = {"uniform": log(count), "unigram": -(share * np.log(known / known.sum())).sum()}
        for name, guess in guesses.items():
            if loss is not None and loss >= guess:
                return name, float(guess)
        return None, None
