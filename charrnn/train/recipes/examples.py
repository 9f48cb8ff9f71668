"""What the recipes of tasks have in common whose data are separate examples."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from numpy.typing import NDArray

from charrnn.backend import Backend
from charrnn.backend.team import Team
from charrnn.backend.threads import Threads
from charrnn.config import ModelConfig, TrainConfig
from charrnn.evaluate.guess import Guess
from charrnn.model import memory
from charrnn.model.shards import shards
from charrnn.text.labelled.batches import SimilarLengths
from charrnn.train import optimizers
from charrnn.train.local.loop import loop_of
from charrnn.train.loop import Loop
from charrnn.train.recipes.base import Recipe
from charrnn.train.records import Sizes


class OfExamples(Recipe):
    """A recipe for examples that are read whole, in three parts: ``train``, ``val``, ``test``."""

    task: ClassVar[Any]
    """The class of the task."""
    write: ClassVar[Any]
    """Writes a held-out part: a function of the folder, the part's name, and the part."""
    scored_at_once: ClassVar[int]
    """The most examples of a batch in an evaluation."""

    @abstractmethod
    def counts(self, corpus: Any, part: Any) -> NDArray[Any]:
        """Return how often each output of the network is right in a part, (outputs,)."""

    def shapes(self, part: Any, batches: SimilarLengths) -> Mapping[int, int]:
        """Return for each number of places of a batch the most steps."""
        return batches.shapes()

    def sizes(self, corpus: Any) -> Sizes:
        """Return the symbols and the examples of each part."""
        parts = (corpus.train, corpus.val, corpus.test)
        train, val, test = (part.symbols for part in parts)
        return Sizes(train, val, test, (len(parts[0]), len(parts[1]), len(parts[2])))

    def estimate(
        self,
        config: ModelConfig,
        corpus: Any,
        train: TrainConfig,
        backend: Backend,
        members: int = 1,
    ) -> memory.Estimate:
        """Return the memory that training needs."""
        batches = SimilarLengths(corpus.train.lengths, train.batch, train.seed)
        scored = SimilarLengths(corpus.val.lengths, self.scored_at_once, None)
        return memory.estimate_of_sequences(
            config,
            len(corpus.vocabulary),
            len(self.labels(corpus)),
            self.shapes(corpus.train, batches),
            moments=optimizers.moments(train),
            shards=shards(config, -(-train.batch // members), Threads(backend)),
            scored=self.shapes(corpus.val, scored) if len(corpus.val) else {},
        )

    def loop(
        self,
        model: Any,
        corpus: Any,
        train: TrainConfig,
        team: Team | None = None,
        **resumed: Any,
    ) -> tuple[Loop, str | None]:
        """Return the loop; nothing is lowered."""
        task = self.task(model, corpus.train, corpus.val, train, team)
        return loop_of(task, train, team, **resumed), None

    def no_better_than(
        self, corpus: Any, loss: float | None
    ) -> tuple[str, float] | tuple[None, None]:
        """Return a guess that is no worse: all outputs alike, or each by its frequency."""
        if loss is None:
            return None, None
        scored = corpus.val if len(corpus.val) else corpus.train
        return Guess.of(self.counts(corpus, corpus.train), self.counts(corpus, scored)).named(loss)

    def write_heldout(self, folder: Path, corpus: Any) -> None:
        """Write the held-out examples."""
        for split, part in (("val", corpus.val), ("test", corpus.test)):
            if len(part):
                self.write(folder, split, part)
