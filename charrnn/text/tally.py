"""Counts of a text, next to its ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from charrnn.display import count
from charrnn.text.vocabulary import Vocabulary


@dataclass
class Tally:
    """Counts of the text read so far.

    Attributes
    ----------
    skipped
        Symbols that were left out because the vocabulary does not have them.
    returns
        Those of them that are carriage returns before a newline.
    folded
        Symbols that the vocabulary does not have and that were read as its unknown symbol.
    size
        Bytes of all other symbols in UTF-8 (at byte level, as they are); None if not known.
    """

    skipped: int = 0
    returns: int = 0
    folded: int = 0
    size: int | None = 0

    @classmethod
    def of(cls, vocabulary: Vocabulary, text: str | bytes, ids: NDArray[Any]) -> Tally:
        """Return the counts of a text and of the ids that were made of it."""
        tally = cls()
        tally.add(vocabulary, text, ids)
        return tally

    def add(self, vocabulary: Vocabulary, text: str | bytes, ids: NDArray[Any]) -> None:
        """Count a piece of text with whole symbols, and the ids that were made of it."""
        skipped = vocabulary.count(text) - len(ids)
        self.skipped += skipped
        self.returns += min(skipped, len(text) - len(vocabulary.newlines(text)))
        if vocabulary.unknown is None:
            self.add_ids(vocabulary, ids)
            return
        self.folded += int((ids == vocabulary.unknown).sum())
        if self.size is not None:  # what the unknown symbol stands for counts too
            data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
            self.size += len(data) - skipped

    def add_ids(self, vocabulary: Vocabulary, ids: NDArray[Any]) -> None:
        """Count ids whose text is not at hand."""
        size = vocabulary.size(ids)
        self.size = None if size is None or self.size is None else self.size + size

    def note(self) -> str:
        """Return a note for the user; empty if nothing was skipped."""
        told = []
        if self.returns:
            told.append("CR LF line ends were read as newlines: the model knows no carriage return")
        if other := self.skipped - self.returns:
            were = "was" if other == 1 else "were"
            told.append(f"{count(other, 'symbol')} that the model does not know {were} skipped")
        if self.folded:
            were = "was" if self.folded == 1 else "were"
            what = f"{count(self.folded, 'symbol')} that the model does not know {were} read as its"
            told.append(f"{what} unknown symbol, which makes the figures too low")
        return "; ".join(told)
