"""Classification: texts with a label each."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from charrnn.config import DataConfig, ModelConfig
from charrnn.errors import setting
from charrnn.evaluate.labels import BATCH
from charrnn.model.parameters import Parameters
from charrnn.model.sequences.classifier import Classifier
from charrnn.model.sequences.counts import SYMBOLS
from charrnn.storage import heldout
from charrnn.storage.checkpoint import Checkpoint
from charrnn.tasks.classify import ClassifyTask
from charrnn.text.labelled.batches import SimilarLengths
from charrnn.text.labelled.dataset import Table, read_table
from charrnn.text.labelled.examples import Labelled
from charrnn.train import vocabulary_change
from charrnn.train.recipes.examples import OfExamples

WRITER = 192
"""Units of the writer of short texts."""
SHORT, MANY = 16, 5
"""The most symbols of such texts, on average, and the fewest labels."""


class Classification(OfExamples):
    """How runs of classifiers are begun."""

    task = ClassifyTask
    write = staticmethod(heldout.write_labelled)
    scored_at_once = BATCH

    def read(self, data: DataConfig, seed: int) -> Table:
        """Return the labelled texts, held out by label."""
        return read_table(data, seed)

    def suited(
        self, config: ModelConfig, corpus: Table, given: Collection[str], start: Checkpoint | None
    ) -> tuple[ModelConfig, list[str]]:
        """Give short texts a writer if they have many labels: it pays there, and costs little.

        Whoever chooses the size of the network gets that network.
        """
        texts, labels = corpus.train, len(corpus.labels)
        short = texts.unknown is None and texts.symbols <= SHORT * len(texts)
        chosen = start or not config.counts or {"writer", "hidden"}.intersection(given)
        if chosen or not short or labels < MANY:
            return config, []
        none = f"{setting('writer')} 0"
        note = f"short texts and {labels} labels: {setting('writer')} {WRITER} ({none} for none)"
        return replace(config, writer=WRITER), [note]

    def transfer(
        self, start: Checkpoint, config: ModelConfig, corpus: Table, seed: int
    ) -> tuple[np.ndarray, str]:
        """Return the weights of another run: its stack and embedding, and those of its labels."""
        return vocabulary_change.transfer_to_labels(
            start, config, corpus.vocabulary, corpus.labels, seed
        )

    def counted(
        self, model: Classifier, corpus: Table, start: Checkpoint | None = None
    ) -> Classifier:
        """Return a classifier that has counted the n-grams of the training texts, if it does.

        Of more than :data:`~charrnn.model.sequences.counts.SYMBOLS` symbols some texts are counted,
        spread evenly over them.
        """
        if model.counts is None:
            return model
        texts = corpus.train
        some = texts.of(np.arange(0, len(texts), -(-texts.symbols // SYMBOLS) or 1))
        host = Parameters.zeros(model.counts.shapes(), np, np.float64)
        batches = SimilarLengths(some.lengths, BATCH, None)
        examples = (
            (*some.padded(numbers, places), some.labels_of(numbers, places))
            for numbers, places, _ in map(batches.at, range(batches.per_epoch))
        )
        model.counts.fill(host, examples)
        for name, array in host.items():
            model.weights[name][...] = model.backend.put(array, model.weights.flat.dtype)
        return model

    def labels(self, corpus: Table) -> tuple[str, ...]:
        """Return the names of the labels."""
        return corpus.labels

    def counts(self, corpus: Table, part: Labelled) -> np.ndarray:
        """Return how often each label occurs."""
        return np.bincount(part.labels, minlength=len(corpus.labels))
