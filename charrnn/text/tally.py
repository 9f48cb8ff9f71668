"""Counts of a text beside its ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from charrnn.display import count
from charrnn.text.vocabulary import Vocabulary


@dataclass
class Tally:
    """What has been read of a text.

    Attributes
    ----------
    skipped
        Symbols that were left out because the vocabulary does not have them.
    """

    skipped: int = 0

    def add(self, vocabulary: Vocabulary, text: str | bytes, ids: NDArray[Any]) -> None:
        """Count a piece of text with whole symbols, and the ids that were made of it."""
        self.skipped += vocabulary.count(text) - len(ids)

    def note(self) -> str:
        """Return what a person should be told; empty if nothing was skipped."""
        if not self.skipped:
            return ""
        were = "was" if self.skipped == 1 else "were"
        return f"{count(self.skipped, 'symbol')} that the model does not know {were} skipped"
