"""What the recipes of tasks have in common whose data are separate examples."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from charrnn.backend.team import Team
from charrnn.config import TrainConfig
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

    def sizes(self, corpus: Any) -> Sizes:
        """Return the symbols and the examples of each part."""
        parts = (corpus.train, corpus.val, corpus.test)
        train, val, test = (part.symbols for part in parts)
        return Sizes(train, val, test, (len(parts[0]), len(parts[1]), len(parts[2])))

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

    def write_heldout(self, folder: Path, corpus: Any) -> None:
        """Write the held-out examples."""
        for split, part in (("val", corpus.val), ("test", corpus.test)):
            if len(part):
                self.write(folder, split, part)
