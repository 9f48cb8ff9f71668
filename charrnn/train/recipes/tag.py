"""Tagging: sequences with a label for each symbol or token."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from charrnn.config import DataConfig, ModelConfig
from charrnn.evaluate.labels import BATCH
from charrnn.storage import heldout
from charrnn.storage.checkpoint import Checkpoint
from charrnn.tasks.tag import TagTask
from charrnn.text.tagged.dataset import TaggedTable, read_tagged
from charrnn.text.tagged.examples import Tagged
from charrnn.train import vocabulary_change
from charrnn.train.recipes.examples import OfExamples


class Tagging(OfExamples):
    """How runs of taggers are begun."""

    task = TagTask
    write = staticmethod(heldout.write_tagged)
    scored_at_once = BATCH

    def read(self, data: DataConfig, seed: int) -> TaggedTable:
        """Return the labelled sequences, of which the seed holds some out."""
        return read_tagged(data, seed)

    def settled(self, data: DataConfig, corpus: TaggedTable) -> DataConfig:
        """Return how the sequences are read, with their format."""
        return replace(data, format=corpus.format)

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

    def counts(self, corpus: TaggedTable, part: Tagged) -> np.ndarray:
        """Return how often each label occurs."""
        found = np.zeros(part.labels)
        for number in range(len(part)):
            found += np.bincount(part.tags_at(number), minlength=len(found) + 1)[:-1]
        return found
