"""The text that one stream has written, its end, and lines that must be drawn again."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from enum import Enum
from typing import Any

from numpy.typing import NDArray

from charrnn.errors import CharRNNError, setting
from charrnn.sampling.seen import Seen
from charrnn.sampling.until import End
from charrnn.text.vocabulary import Vocabulary

Text = str | bytes
MAX_TRIES = 1000
"""Maximum number of copied lines in a row; then the sample is abandoned."""


class Outcome(Enum):
    """The consequence of a symbol."""

    MORE = "nothing"
    LINE = "a new line has begun, to which the stream may be put back"
    AGAIN = "the line is a copy: the stream is to be put back to its beginning"
    END = "the sample is complete"


@dataclass(frozen=True)
class Sample:
    """One finished sample.

    Attributes
    ----------
    text
        What was drawn, without the prime; bytes at byte level.
    log_probs
        For each symbol its log-probability in nats under the model's own distribution, before
        temperature and filters. If ``until`` ends inside a symbol, the whole symbol counts. Empty
        if they were not asked for.
    """

    text: Text
    log_probs: tuple[float, ...]

    @property
    def log_prob(self) -> float:
        """The log-probability of the text after the prime, in nats: the sum of ``log_probs``."""
        return float(sum(self.log_probs))


class Written:
    """The text of one stream, symbol by symbol.

    Parameters
    ----------
    vocabulary
        The vocabulary of the symbols.
    ends
        The texts that end it; an empty one does not.
    length
        The symbols after which it ends; 0: endless.
    lines
        The lines of a text that must not be written; they are drawn again. A line ends with its
        newline, with its text, or with the sample. Lines of white space are allowed.
    prime
        The symbols that the stream has read; its last line is continued by the first one here.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        ends: Sequence[Text] = (),
        length: int = 0,
        lines: Seen | None = None,
        prime: NDArray[Any] | None = None,
    ) -> None:
        self._shown = shown(vocabulary)
        self._lines, self._length = lines, length
        self._end = End(vocabulary, *ends)
        self._symbols: list[Any] = []
        self._nats: list[float] = []
        self._count = 0
        self._join = vocabulary.join
        self._line: list[int] = []
        self._recent: tuple[int, ...] = ()  # symbols that may be the beginning of an end
        for symbol in [] if lines is None or prime is None else prime.tolist():
            if self._read(symbol):
                self._line = []
        self._tries = 0
        self._begun = len(self._line)  # symbols of the prime in the line
        self._accept()

    def add(self, symbol: int, log_prob: float | None = None) -> Outcome:
        """Add a symbol and return its consequence.

        Raises
        ------
        CharRNNError
            If a line has been a copy too many times.
        """
        text, over = self._end.take(self._shown[symbol])
        self._symbols.append(text)
        self._count += 1
        if log_prob is not None:
            self._nats.append(log_prob)
        over = over or self._count == self._length
        if self._lines is None:
            return Outcome.END if over else Outcome.MORE
        size = self._read(symbol)
        if not (size or over):
            return Outcome.MORE
        line = self._line[: max(0, len(self._line) - size)]
        if self._lines.has_line(line) and not self._is_blank(line):
            self._take_back()
            return Outcome.AGAIN
        self._line, self._begun, self._tries = [], 0, 0
        self._accept()
        return Outcome.END if over else Outcome.LINE

    @property
    def only_by_length(self) -> bool:
        """Whether nothing but its length ends it, and no line is drawn again."""
        return self._length > 0 and self._lines is None and self._end.never

    def extend(self, symbols: Sequence[int], log_probs: Sequence[float]) -> None:
        """Add symbols to a text that :attr:`only_by_length` ends, and their log-probabilities."""
        self._symbols += [self._shown[symbol] for symbol in symbols]
        self._nats += log_probs
        self._count += len(symbols)

    def sample(self) -> Sample:
        """Return the text so far."""
        return Sample(self._join(self._symbols), tuple(self._nats))

    def release(self) -> list[Any]:
        """Return the symbols since the last call, and forget them; no line may be unfinished.

        They are strings, or bytes at byte level; the last one is cut at the end of the text.
        """
        symbols, self._symbols = self._symbols, []
        return symbols

    def _read(self, symbol: int) -> int:
        """Add a symbol to the line; return how many symbols its end has, 0 if it goes on."""
        assert self._lines is not None
        ends = self._lines.ends
        self._line.append(symbol)
        self._recent = (*self._recent, symbol)[-ends.longest :]
        return ends.size(self._recent)

    def _is_blank(self, line: Sequence[int]) -> bool:
        return not self._join([self._shown[symbol] for symbol in line]).strip()

    def _accept(self) -> None:
        self._accepted, self._accepted_end = self._count, copy(self._end)
        self._accepted_recent = self._recent

    def _take_back(self) -> None:
        self._tries += 1
        if self._tries == MAX_TRIES:
            raise CharRNNError(
                f"{MAX_TRIES:,} lines drawn in a row were all copies of lines in the text",
                f"raise {setting('temperature')}: the model may know the text by heart",
            )
        for symbols in (self._symbols, self._nats):
            del symbols[max(0, len(symbols) - self._count + self._accepted) :]
        self._count = self._accepted
        del self._line[self._begun :]
        self._end, self._recent = copy(self._accepted_end), self._accepted_recent


def shown(vocabulary: Vocabulary) -> list[Any]:
    """Return every symbol as text, or as bytes at byte level (empty for the unknown symbol)."""
    if vocabulary.level == "byte":
        return [bytes([s]) if isinstance(s, int) and s < 256 else b"" for s in vocabulary.symbols]
    return list(vocabulary.symbols)
