"""How well a model predicts texts that are scored one by one, each from a zero state.

They are lines, or the examples that a model was trained on, or pieces of a text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.backend.team import Alone, Team
from charrnn.evaluate.whole import STEPS, Score, surprisals, too_short
from charrnn.evaluate.windows import Windows
from charrnn.model.language import LanguageModel
from charrnn.model.window import Window
from charrnn.text.tally import Tally
from charrnn.text.units.examples import Units
from charrnn.text.units.pieces import Ids
from charrnn.text.vocabulary import Vocabulary
from charrnn.text.windows import EVALUATION_STEPS

LINES = 64
"""Lines that are scored together."""


class LineScore(NamedTuple):
    """A line as it was given, and its score."""

    line: str | bytes
    score: Score


def score_lines(
    model: LanguageModel,
    lines: Iterable[tuple[str | bytes, Ids]],
    *,
    start: int | None = None,
    tally: Callable[[str | bytes, Ids], Tally] = lambda line, ids: Tally(size=None),
    batch: int = LINES,
    steps: int = STEPS,
) -> Iterator[LineScore]:
    """Score lines one by one, each from a zero state, in the order given.

    A line of n symbols, its newline included, has n - 1 scores; with ``start``, n.

    Parameters
    ----------
    lines
        Each line with its symbols, as :func:`charrnn.text.iter_lines` gives them.
    start
        The symbol that is read before every line, so that the first one of the line is scored too.
    tally
        Returns the counts of a line.
    batch
        Lines scored together, which is also how far ahead is read.
    steps
        Symbols of each that are read at a time.
    """
    lines = iter(lines)
    window: Window | None = None
    while group := list(islice(lines, batch)):
        if window is None or window.streams != len(group):
            window = model.window(steps, len(group), backward=False)
        read = [ids if start is None else _prepend_symbol(start, ids) for _, ids in group]
        nats = _score_batch(model, window, read)
        for (line, ids), inputs, amount in zip(group, read, nats, strict=True):
            counts = tally(line, ids)
            scored = max(0, len(inputs) - 1)
            yield LineScore(line, Score(scored, amount, counts.skipped, counts.size))


def score_pieces(
    model: LanguageModel,
    chunks: Iterable[Ids],
    length: int,
    *,
    tally: Tally | None = None,
    progress: Callable[[int], object] | None = None,
) -> Score:
    """Score a text in pieces, each from a zero state, as a model of limited context is scored.

    Every symbol but the first is scored once, from the symbols of its piece before it: at least
    one, at most ``length``.

    Parameters
    ----------
    chunks
        The text as 1-D arrays of symbols, in order.
    length
        Symbols scored in a piece.
    tally
        Counts skipped symbols and bytes; complete when all chunks have been read.
    progress
        Called with the number of symbols scored since its last call.

    Raises
    ------
    CorpusError
        If the text has fewer than 2 symbols.
    """
    tally = tally or Tally(size=None)
    pieces = ((b"", ids) for ids in _pieces(chunks, length))
    read, chars, nats = 0, 0, 0.0
    for _, piece in score_lines(model, pieces):
        read += 1
        chars += piece.chars
        nats += piece.nats
        if progress is not None:
            progress(piece.chars)
    if not chars:  # no piece, or one of a single symbol
        raise too_short(read, tally)
    return Score(chars, nats, tally.skipped, tally.size)


def _pieces(chunks: Iterable[Ids], length: int) -> Iterator[Ids]:
    """Cut a text into pieces of ``length + 1`` symbols; each begins with the last of the former."""
    held: Ids | None = None
    for chunk in chunks:
        ids = chunk if held is None else np.concatenate((held, chunk))
        start = 0
        while len(ids) - start > length:
            yield ids[start : start + length + 1]
            start += length
        held = ids[start:]
    if held is not None:
        yield held


def split_lines(chunks: Iterable[Ids], vocabulary: Vocabulary) -> Iterator[tuple[str | bytes, Ids]]:
    """Cut a text of symbols into lines, each with the newline at its end, as text and symbols."""
    symbol = -1 if vocabulary.newline is None else vocabulary.newline
    held: list[Ids] = []
    for chunk in chunks:
        start = 0
        for end in (np.flatnonzero(chunk == symbol) + 1).tolist():
            line = np.concatenate([*held, chunk[start:end]])
            yield vocabulary.decode(line), line
            held.clear()
            start = end
        if start < len(chunk):
            held.append(chunk[start:])
    if held:
        line = np.concatenate(held)
        yield vocabulary.decode(line), line


def _score_batch(model: LanguageModel, window: Window, lines: list[Ids]) -> list[float]:
    """Return the summed surprisal of each line, in nats; the window has a stream for each."""
    put, get = model.backend.put, model.backend.get
    window.reset()
    nats = np.zeros(len(lines))
    alive = np.arange(len(lines))
    longest = max(len(ids) for ids in lines) - 1
    for start in range(0, longest, window.steps):
        unfinished = np.array([at for at, i in enumerate(alive) if len(lines[i]) - 1 > start])
        if 2 * len(unfinished) <= len(alive):  # few long lines are left: drop the others
            window, alive = _narrow(model, window, unfinished), alive[unfinished]
        parts = [lines[i][start : start + window.steps + 1] for i in alive]
        block = np.zeros((max(len(part) for part in parts), len(parts)), lines[0].dtype)
        for stream, part in enumerate(parts):
            block[: len(part), stream] = part
        surprisal = get(model.surprisal(window, put(block[:-1]), put(block[1:])))
        for stream, part in enumerate(parts):
            scored = surprisal[: max(0, len(part) - 1), stream]
            nats[alive[stream]] += scored.sum(dtype=np.float64)
        window.carry()
    amounts: list[float] = nats.tolist()
    return amounts


def _narrow(model: LanguageModel, window: Window, streams: NDArray[np.intp]) -> Window:
    """Return a window of the given streams alone, with their states."""
    narrow = model.window(window.steps, len(streams), backward=False)
    index = model.backend.put(streams)
    for (_, new), (_, old) in zip(narrow.states(), window.states(), strict=True):
        new[0] = model.backend.xp.take(old[0], index, axis=1)
    return narrow


class ExampleValidation:
    """The validation loss of a model in training that was trained on examples.

    The first examples are scored, each from a zero state and with its first symbol; the weights are
    those the model has when :meth:`loss` is called.

    Parameters
    ----------
    model
        The model; it is read only.
    units
        The examples.
    limit
        The most symbols that are scored, but at least one example is.
    steps
        Symbols of each that are read at a time.
    team
        Each member scores some of the examples.
    """

    def __init__(
        self,
        model: LanguageModel,
        units: Units,
        limit: int,
        steps: int = EVALUATION_STEPS,
        team: Team | None = None,
    ) -> None:
        self._model, self._steps, self._team = model, steps, team or Alone()
        read: list[Ids] = []
        self.chars = 0
        for ids in units:
            if read and self.chars + len(ids) > limit:
                break
            self.chars += len(ids)
            read.append(_prepend_symbol(units.start, ids))
        read.sort(key=len, reverse=True)  # those of a group are about as long
        self._groups = [read[at : at + LINES] for at in range(0, len(read), LINES)]
        self._windows = Windows(model)

    def loss(self, stopped: Callable[[], bool] = lambda: False) -> float | None:
        """Return the mean surprisal in nats per symbol; None if ``stopped`` between groups."""
        total = 0.0
        for k, group in enumerate(self._groups):
            if stopped():
                return None
            if k % self._team.size != self._team.rank:
                continue
            window = self._windows.of(self._steps, len(group))
            total += sum(_score_batch(self._model, window, group))
        return self._team.total(total) / self.chars


def example_surprisals(
    model: LanguageModel, examples: Iterable[Ids], start: int
) -> Iterator[tuple[Ids, NDArray[np.float64]]]:
    """Yield the symbols of examples with their surprisals, each example from a zero state.

    Yields
    ------
    ids, nats
        1-D arrays of equal length; ``start`` is read before each example, and not among them.
    """
    for ids in examples:
        steps = max(1, min(STEPS, len(ids)))
        found = surprisals(model, [_prepend_symbol(start, ids)], steps=steps)
        next(found)  # the start, which has no context
        yield from found


def _prepend_symbol(symbol: int, ids: Ids) -> Ids:
    return np.concatenate((np.array([symbol], ids.dtype), ids))
