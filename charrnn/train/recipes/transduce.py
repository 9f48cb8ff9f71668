"""Transduction: pairs of a source and a target."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from charrnn.config import DataConfig, ModelConfig
from charrnn.evaluate.pairs import BATCH
from charrnn.storage import heldout
from charrnn.storage.checkpoint import Checkpoint
from charrnn.tasks.transduce import TransduceTask, steps_of
from charrnn.text.labelled.batches import SimilarLengths
from charrnn.text.pairs.dataset import Pairs, PairTable, read_pairs
from charrnn.train import vocabulary_change
from charrnn.train.recipes.examples import OfExamples


class Transduction(OfExamples):
    """How runs of transducers are begun."""

    task = TransduceTask
    write = staticmethod(heldout.write_pairs)
    scored_at_once = BATCH

    def read(self, data: DataConfig, seed: int) -> PairTable:
        """Return the pairs, of which the seed holds some out."""
        return read_pairs(data, seed)

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

    def counts(self, corpus: PairTable, part: Pairs) -> np.ndarray:
        """Return how often each symbol of the targets occurs, the end last."""
        count = len(corpus.targets) + 1
        found = np.zeros(count)
        for number in range(len(part)):
            ids = part.targets.text(number)
            found += np.bincount(ids[ids < count - 1], minlength=count)
        found[-1] = len(part)
        return found

    def shapes(self, part: Pairs, batches: SimilarLengths) -> Mapping[int, int]:
        """Return for each number of places of a batch the most symbols of one of its sides."""
        return steps_of(part, batches)
