"""Rules that change the scores of the next symbol, depending on what a stream has written.

A rule sees the scores (N, V) of N streams before temperature and filters: logits, or the result of
the previous rule. It may add any constant to a row, since only differences matter, and gives -∞ to
symbols that must not be drawn. It keeps a memory of each stream, which can be rewound.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.display import count
from charrnn.errors import CharRNNError, setting
from charrnn.sampling.filters import normalise
from charrnn.sampling.options import SampleOptions
from charrnn.sampling.seen import Seen

Scores = NDArray[np.float64]


class Rule(ABC):
    """The interface of a rule."""

    @abstractmethod
    def apply(self, scores: NDArray[Any], streams: Iterable[int], unknown: int | None) -> Scores:
        """Return new scores (N, V), changed for some streams only.

        ``unknown`` is a symbol that is never drawn.

        Raises
        ------
        CharRNNError
            If one of the streams has no symbol left.
        """

    @abstractmethod
    def add(self, stream: int, symbol: int) -> None:
        """Remember the symbol that a stream has read or written."""

    @abstractmethod
    def mark(self, stream: int) -> Any:
        """Return the state of a stream for :meth:`rewind`."""

    @abstractmethod
    def rewind(self, stream: int, mark: Any) -> None:
        """Forget what a stream has written since a mark."""


def rules_of(
    options: SampleOptions, streams: int, symbols: int, seen: Seen | None = None
) -> list[Rule]:
    """Return the rules for ``streams`` streams of a vocabulary of ``symbols``, in their order.

    ``seen`` holds the spans of a text that must not be written.
    """
    rules: list[Rule] = []
    if options.repetition_penalty != 1:
        penalty, window = options.repetition_penalty, options.repetition_window
        rules.append(Penalty(penalty, window, streams))
    if options.no_repeat:
        rules.append(NoRepeat(options.no_repeat, streams))
    if seen is not None:
        rules.append(NoCopy(seen, streams, symbols))
    return rules


class Penalty(Rule):
    """Multiply the log-probabilities of recent symbols (see ``repetition_penalty``)."""

    def __init__(self, factor: float, window: int, streams: int) -> None:
        self._factor = factor
        self._recent: list[deque[int]] = [deque(maxlen=window) for _ in range(streams)]

    def apply(self, scores: NDArray[Any], streams: Iterable[int], unknown: int | None) -> Scores:
        """Return log-probabilities, those of recent symbols multiplied."""
        own = np.array(scores, np.float64)
        if unknown is not None:
            own[:, unknown] = -np.inf
        normalise(own)
        for n in streams:
            own[n, list(set(self._recent[n]))] *= self._factor
        return own

    def add(self, stream: int, symbol: int) -> None:
        """Remember a symbol until it is no longer recent."""
        self._recent[stream].append(symbol)

    def mark(self, stream: int) -> deque[int]:
        """Return the recent symbols."""
        return self._recent[stream].copy()

    def rewind(self, stream: int, mark: deque[int]) -> None:
        """Restore the recent symbols."""
        self._recent[stream] = mark.copy()


class NoRepeat(Rule):
    """Exclude symbols that would complete a sequence of N symbols that has occurred before."""

    def __init__(self, length: int, streams: int) -> None:
        self._before = length - 1
        self._written: list[list[int]] = [[] for _ in range(streams)]
        self._next: list[dict[tuple[int, ...], list[int]]] = [{} for _ in range(streams)]

    def apply(self, scores: NDArray[Any], streams: Iterable[int], unknown: int | None) -> Scores:
        """Return the scores, with -∞ for symbols that would repeat."""
        allowed = np.array(scores, np.float64)
        for n in streams:
            allowed[n, self._next[n].get(self._end(self._written[n]), [])] = -np.inf
            if none_left(allowed[n], unknown):
                raise CharRNNError(
                    "every possible next symbol would repeat "
                    f"{count(self._before + 1, 'symbol')} in a row",
                    f"raise {setting('no_repeat')}, or give a shorter {setting('length')}",
                )
        return allowed

    def add(self, stream: int, symbol: int) -> None:
        """Remember the symbol and what it followed."""
        written = self._written[stream]
        if len(written) >= self._before:
            self._next[stream].setdefault(self._end(written), []).append(symbol)
        written.append(symbol)

    def mark(self, stream: int) -> int:
        """Return the number of symbols."""
        return len(self._written[stream])

    def rewind(self, stream: int, mark: int) -> None:
        """Forget the symbols after the first ``mark``."""
        written = self._written[stream]
        while len(written) > mark:
            written.pop()
            if len(written) >= self._before:
                self._next[stream][self._end(written)].pop()

    def _end(self, written: list[int]) -> tuple[int, ...]:
        return tuple(written[len(written) - self._before :])


class NoCopy(Rule):
    """Exclude symbols that would complete a sequence of N + 1 symbols of a given text."""

    def __init__(self, seen: Seen, streams: int, symbols: int) -> None:
        self._seen = seen
        self._last: list[deque[int]] = [deque(maxlen=seen.span) for _ in range(streams)]
        self._symbols = np.arange(symbols)

    def apply(self, scores: NDArray[Any], streams: Iterable[int], unknown: int | None) -> Scores:
        """Return the scores, with -∞ for symbols that would complete a copy."""
        allowed = np.array(scores, np.float64)
        for n in streams:
            if len(self._last[n]) == self._seen.span:
                copies = self._seen.completed(np.array(self._last[n]), self._symbols)
                allowed[n, copies] = -np.inf
            if none_left(allowed[n], unknown):
                raise CharRNNError(
                    f"every possible next symbol would copy {self._seen.span + 1} symbols in a row "
                    "from the text",
                    f"raise {setting('novel_span')}",
                )
        return allowed

    def add(self, stream: int, symbol: int) -> None:
        """Remember the last symbols."""
        self._last[stream].append(symbol)

    def mark(self, stream: int) -> deque[int]:
        """Return the last symbols."""
        return self._last[stream].copy()

    def rewind(self, stream: int, mark: deque[int]) -> None:
        """Restore the last symbols."""
        self._last[stream] = mark.copy()


def none_left(row: Scores, unknown: int | None) -> bool:
    """Return whether nothing but the unknown symbol is left to draw from a row of scores (V,)."""
    left = row != -np.inf  # NaN, of a model that has diverged, is reported elsewhere
    if unknown is not None:
        left[unknown] = False
    return not left.any()
