"""How the samples of a model begin and end, as its text did."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.config import DataConfig
from charrnn.errors import UsageError, setting
from charrnn.sampling.seen import LineEnds
from charrnn.text.layout import Layout
from charrnn.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class Frame:
    """The text that a sample begins after, and may end before.

    Attributes
    ----------
    join
        The text between the texts that the model was trained on; empty if there was none. If it was
        trained on examples, the end of each of them.
    until_join
        Whether a sample ends with ``join``.
    examples
        ``line`` or ``document`` if the model was trained on examples, else empty. Then a sample is
        one example: the last symbol of ``join`` is read first, also before a prime.
    """

    join: str = ""
    until_join: bool = False
    examples: str | None = None

    @classmethod
    def of(cls, data: DataConfig | None, until_join: bool = False) -> Frame:
        """Return the frame of a model.

        Raises
        ------
        UsageError
            If samples are to end before the next text, and nothing marks its beginning.
        """
        if data is not None and data.examples:
            end = Layout.of(data).end
            if until_join and not end:
                raise UsageError(
                    f"{setting('until_join')} needs an end, but {setting('join')} was empty",
                    f"give {setting('until')}, the text that ends a sample",
                )
            return cls(end, bool(end), data.examples)
        join = (data.join if data is not None else None) or ""
        if until_join and not join:
            raise UsageError(
                f"{setting('until_join')} needs a run that was trained with {setting('join')}",
                f"give {setting('until')}, the text that ends a sample",
            )
        return cls(join, until_join)

    @property
    def end(self) -> str:
        """The text that ends a sample; empty if none does."""
        return self.join if self.until_join else ""

    def start(self, vocabulary: Vocabulary) -> NDArray[Any]:
        """Return the symbols, 1-D, at least one, that a model reads if there is no prime.

        They are ``join`` (for examples, only its last symbol), else a newline or, if the vocabulary
        lacks it, its first symbol.
        """
        if self.join and not self.examples:
            ids = vocabulary.encode(vocabulary.text(self.join), "skip")
            if len(ids):
                return ids
        start = Layout(join=self.join, examples=self.examples).start(vocabulary)
        return np.array([start], vocabulary.dtype)

    def own(self, read: NDArray[Any]) -> NDArray[Any]:
        """Return the symbols of a prime (1-D) without what the model reads before an example."""
        return read[1:] if self.examples else read

    def read(self, vocabulary: Vocabulary, prime: str | bytes) -> int:
        """Return how many symbols are read before a sample that continues a prime."""
        return (vocabulary.count(prime) + bool(self.examples)) if prime else 0

    def line_ends(self, vocabulary: Vocabulary) -> LineEnds:
        """Return what ends a line: a newline, or ``join`` if it can be written."""
        text: Any = vocabulary.text(self.join)
        join = tuple(vocabulary.encode(text, "skip").tolist())
        if len(join) < vocabulary.count(text) or vocabulary.unknown in join:
            join = ()
        return LineEnds(vocabulary.newline, join)

    def shown(self, symbols: Iterable[Any]) -> Iterator[Any]:
        """Yield a sample's symbols, strings or bytes, without the ``join`` that ends it.

        The newline at the end of a line stays. Symbols that may be part of ``join`` are held back.
        """
        pending: Any = None
        end: Any = None
        for symbol in symbols:
            if pending is None:
                pending = symbol[:0]
                text = "" if self.examples == "line" else self.end
                end = text.encode() if isinstance(symbol, bytes) else text
            pending = pending + symbol
            kept = _overlap(pending, end)
            yield pending[: len(pending) - kept]
            pending = pending[len(pending) - kept :]
        if pending and pending != end:
            yield pending


PLAIN = Frame()


def _overlap(text: Any, end: Any) -> int:
    """Return the length of the longest suffix of a text that is a prefix of ``end``."""
    most = min(len(text), len(end))
    return next((k for k in range(most, 0, -1) if text.endswith(end[:k])), 0)
