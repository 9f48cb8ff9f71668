"""Classification: texts with a label each."""

from __future__ import annotations

import numpy as np

from charrnn.config import DataConfig, ModelConfig
from charrnn.evaluate.labels import BATCH
from charrnn.storage import heldout
from charrnn.storage.checkpoint import Checkpoint
from charrnn.tasks.classify import ClassifyTask
from charrnn.text.labelled.dataset import Table, read_table
from charrnn.text.labelled.examples import Labelled
from charrnn.train import vocabulary_change
from charrnn.train.recipes.examples import OfExamples


class Classification(OfExamples):
    """How runs of classifiers are begun."""

    task = ClassifyTask
    write = staticmethod(heldout.write_labelled)
    scored_at_once = BATCH

    def read(self, data: DataConfig, seed: int) -> Table:
        """Return the labelled texts, held out by label."""
        return read_table(data, seed)

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

    def counts(self, corpus: Table, part: Labelled) -> np.ndarray:
        """Return how often each label occurs."""
        return np.bincount(part.labels, minlength=len(corpus.labels))
