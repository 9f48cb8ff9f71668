"""Generation: texts that have a label."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from charrnn.backend.team import Team
from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.evaluate.generated import BATCH
from charrnn.storage import heldout
from charrnn.storage.checkpoint import Checkpoint
from charrnn.tasks.generate import GenerateTask
from charrnn.text.labelled.dataset import Table, read_table
from charrnn.text.labelled.examples import Labelled
from charrnn.text.layout import DOCUMENTS
from charrnn.train import vocabulary_change
from charrnn.train.local.loop import loop_of
from charrnn.train.loop import Loop
from charrnn.train.recipes.examples import OfExamples

SAMPLES, SAMPLE_LENGTH = 3, 80
"""How many labels a short sample during training is of, and its most symbols."""


class Generation(OfExamples):
    """How runs of generators are begun."""

    write = staticmethod(heldout.write_labelled)
    scored_at_once = BATCH

    def read(self, data: DataConfig, seed: int) -> Table:
        """Return the labelled texts, held out by label."""
        return read_table(data, seed)

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

    def counts(self, corpus: Table, part: Labelled) -> np.ndarray:
        """Return how often each symbol occurs."""
        found = np.zeros(len(corpus.vocabulary))
        for ids in part.each():
            found += np.bincount(ids, minlength=len(found))
        return found
