"""Generation: texts that have a label."""

from __future__ import annotations

from collections.abc import Callable
from math import log
from typing import Any

import numpy as np

from charrnn.backend import Backend
from charrnn.backend.team import Team
from charrnn.backend.threads import Threads
from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.evaluate.generated import BATCH
from charrnn.model import memory
from charrnn.model.shards import shards
from charrnn.storage import heldout
from charrnn.storage.checkpoint import Checkpoint
from charrnn.tasks.generate import GenerateTask
from charrnn.text.labelled.batches import SimilarLengths
from charrnn.text.labelled.dataset import Table, read_table
from charrnn.text.labelled.examples import Labelled
from charrnn.text.layout import DOCUMENTS
from charrnn.train import optimizers, vocabulary_change
from charrnn.train.local.loop import loop_of
from charrnn.train.loop import Loop
from charrnn.train.recipes.examples import OfExamples

SAMPLES, SAMPLE_LENGTH = 3, 80
"""How many labels a short sample during training is of, and its most symbols."""


class Generation(OfExamples):
    """How runs of generators are begun."""

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

    def loop(
        self,
        model: Any,
        corpus: Table,
        train: TrainConfig,
        team: Team | None = None,
        **resumed: Any,
    ) -> tuple[Loop, str | None]:
        """Return the loop; nothing is lowered."""
        start = DOCUMENTS.start(corpus.vocabulary)
        task = GenerateTask(model, corpus.train, corpus.val, train, team, start=start)
        return loop_of(task, train, team, **resumed), None

    def transfer(
        self, start: Checkpoint, config: ModelConfig, corpus: Table, seed: int
    ) -> tuple[np.ndarray, str]:
        """Return the weights of another run: its layers, and what it has for symbols and labels."""
        return vocabulary_change.transfer_to_generator(
            start, config, corpus.vocabulary, corpus.labels, seed
        )

    def labels(self, corpus: Table) -> tuple[str, ...]:
        """Return the names of the labels."""
        return corpus.labels

    def sampler(
        self, model: Any, corpus: Table, data: DataConfig, seed: int
    ) -> Callable[[int], str]:
        """Return a function that writes short samples at a step: a text of each of some labels."""

        def sample(step: int) -> str:
            from charrnn.sampling import Frame, samples

            frame, vocabulary, lines = Frame.of(data), corpus.vocabulary, []
            how: dict[str, Any] = {"length": SAMPLE_LENGTH, "frame": frame, "seed": seed + step}
            for k in range(min(SAMPLES, len(corpus.labels))):
                label = (step + k) % len(corpus.labels)
                (made,) = samples(model.given(label), vocabulary, **how)
                text = vocabulary.join(frame.shown([made.text]))
                shown = text if isinstance(text, str) else text.decode("utf-8", "replace")
                lines.append(f"{corpus.labels[label]}\t{shown}")
            return "\n".join(lines)

        return sample

    def no_better_than(
        self, corpus: Table, loss: float | None
    ) -> tuple[str, float] | tuple[None, None]:
        """Return a guess that is no worse: all symbols alike, or each by its frequency."""
        V = len(corpus.vocabulary)
        known = _counts(corpus.train, V) + 1.0
        scored = _counts(corpus.val if len(corpus.val) else corpus.train, V)
        by_frequency = -(scored @ np.log(known / known.sum())) / scored.sum()
        for name, guess in (("uniform", log(V)), ("unigram", by_frequency)):
            if loss is not None and loss >= guess:
                return name, float(guess)
        return None, None


def _counts(texts: Labelled, V: int) -> np.ndarray:
    """Return how often each symbol occurs, (V,)."""
    found = np.zeros(V)
    for ids in texts.each():
        found += np.bincount(ids, minlength=V)
    return found
