"""How well a model predicts a text: nats and bits per character, exactly or in parallel streams.

The surprisal of a symbol is -ln p(symbol | all symbols before it). The first symbol of a text has
no context and is not scored, so a text of n symbols yields n - 1 scores. Sums are in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from charrnn.backend import Array
from charrnn.backend.team import Alone, Team
from charrnn.config import TrainConfig
from charrnn.display import count
from charrnn.errors import CorpusError
from charrnn.model.language import LanguageModel
from charrnn.text.tally import Tally
from charrnn.text.units.pieces import Ids, TextIds
from charrnn.text.windows import EVALUATION_STEPS, EVALUATION_STREAMS, Batch, evaluation_streams

STEPS = 256
"""Steps of one window of the exact pass."""


@dataclass(frozen=True)
class Score:
    """The surprisal of a text.

    Attributes
    ----------
    chars
        Number of scored symbols (characters, bytes or words, depending on the model's level).
    nats
        The sum of their surprisals.
    skipped
        Symbols of the text that were left out because the model does not know them.
    bytes
        Bytes of the text in UTF-8 (at byte level, the bytes themselves), without skipped symbols
        but with the first symbol, which is not scored; None if not known.
    """

    chars: int
    nats: float
    skipped: int = 0
    bytes: int | None = None

    def __add__(self, other: Score) -> Score:
        """Return the score of two texts together."""
        known = self.bytes is not None and other.bytes is not None
        return Score(
            self.chars + other.chars,
            self.nats + other.nats,
            self.skipped + other.skipped,
            (self.bytes or 0) + (other.bytes or 0) if known else None,
        )

    @property
    def nats_per_char(self) -> float:
        """Mean surprisal in nats; NaN if nothing was scored."""
        return self.nats / self.chars if self.chars else math.nan

    @property
    def bits_per_char(self) -> float:
        """Mean surprisal in bits."""
        return self.nats_per_char / math.log(2.0)

    @property
    def bits(self) -> float:
        """The sum of the surprisals, in bits."""
        return self.nats / math.log(2.0)

    @property
    def bits_per_byte(self) -> float:
        """Total bits per byte of the text, comparable between levels; NaN if not known."""
        return self.bits / self.bytes if self.chars and self.bytes else math.nan

    @property
    def perplexity(self) -> float:
        """exp(nats per character): the size of an equally hard choice among equal symbols."""
        try:
            return math.exp(self.nats_per_char)
        except OverflowError:
            return math.inf

    def to_json(self) -> dict[str, Any]:
        """Return the score as one JSON object; figures that are not finite are None."""
        figures = {
            "chars": self.chars,
            "nats_per_char": self.nats_per_char,
            "bits_per_char": self.bits_per_char,
            "perplexity": self.perplexity,
            "nats": self.nats,
            "bits": self.bits,
            "bytes": self.bytes,
            "bits_per_byte": self.bits_per_byte,
            "skipped": self.skipped,
        }
        return {k: v if v is None or math.isfinite(v) else None for k, v in figures.items()}


class Divided(Protocol):
    """A text in parallel streams; iterating gives their batches."""

    @property
    def batch(self) -> int:
        """Number of streams N."""

    @property
    def seq_len(self) -> int:
        """The most steps T of a batch."""

    @property
    def targets(self) -> int:
        """Number of targets."""

    def __iter__(self) -> Iterator[Batch]: ...


class Read:
    """The loss on a text that is read in parallel streams with carried state.

    The weights are those the model has when :meth:`loss` is called.

    Parameters
    ----------
    model
        The model; it is read only.
    streams
        The text; each stream starts from a zero state.
    team
        Each member scores its share of the streams.
    """

    def __init__(self, model: LanguageModel, streams: Divided, team: Team | None = None) -> None:
        self._model, self._team, self._streams = model, team or Alone(), streams
        self._mine = self._team.share(streams.batch)
        share = self._mine.stop - self._mine.start
        self._window = model.window(streams.seq_len, share, backward=False) if share else None

    @property
    def chars(self) -> int:
        """The number of scored symbols."""
        return self._streams.targets

    def loss(self, stopped: Callable[[], bool] = lambda: False) -> float | None:
        """Return the mean surprisal in nats per character; None if ``stopped`` between windows."""
        model, window = self._model, self._window
        xp, put = model.backend.xp, model.backend.put
        total: Any = 0.0
        for whole in self._streams:
            if stopped():
                return None
            if window is None:  # more members than streams
                continue
            batch = whole if window.streams == self._streams.batch else whole.of(self._mine)
            window.start(batch.reset, model.backend)
            surprisal = model.surprisal(window, put(batch.inputs), put(batch.targets))
            if batch.mask is not None:
                surprisal = xp.where(put(batch.mask), surprisal, 0.0)
            total = total + surprisal.sum(dtype=np.float64)
            window.carry()
        mine = 0.0 if window is None else _number(model, total)
        return self._team.total(mine) / self.chars


class Validation(Read):
    """The validation loss of a model in training, cheap enough to compute often.

    The text is divided by :func:`charrnn.text.evaluation_streams`.

    Parameters
    ----------
    model
        The model; it is read only.
    ids
        1-D array of ids; may be memory-mapped.
    streams
        Maximum number of streams.
    limit
        Maximum number of symbols that are scored; ``None`` for all.
    seq_len
        Steps of a window.
    team
        Each member scores its share of the streams.

    Raises
    ------
    CorpusError
        If the text has fewer than 2 symbols.
    """

    def __init__(
        self,
        model: LanguageModel,
        ids: TextIds,
        streams: int = EVALUATION_STREAMS,
        limit: int | None = TrainConfig.eval_chars,
        seq_len: int = EVALUATION_STEPS,
        team: Team | None = None,
    ) -> None:
        super().__init__(model, evaluation_streams(ids, streams, limit, seq_len=seq_len), team)


def score(
    model: LanguageModel,
    chunks: Iterable[Ids],
    *,
    tally: Tally | None = None,
    steps: int = STEPS,
    progress: Callable[[int], object] | None = None,
) -> Score:
    """Score a text exactly: one stream from a zero state, in memory that does not grow with it.

    Parameters
    ----------
    chunks
        The text as 1-D arrays of symbols, in order.
    tally
        Counts skipped symbols and bytes; complete when all chunks have been read.
    steps
        Symbols that are read at a time; the state is carried, so the score does not depend on it.
    progress
        Called with the number of symbols scored since its last call.

    Raises
    ------
    CorpusError
        If the text has fewer than 2 symbols.
    """
    chars, total, tally = 0, 0.0, tally or Tally(size=None)
    for targets, surprisal in _exact(model, chunks, steps, tally):
        total += _number(model, surprisal.sum(dtype=np.float64))
        chars += len(targets)
        if progress is not None:
            progress(len(targets))
    return Score(chars, total, tally.skipped, tally.size)


def surprisals(
    model: LanguageModel,
    chunks: Iterable[Ids],
    *,
    tally: Tally | None = None,
    steps: int = STEPS,
) -> Iterator[tuple[Ids, NDArray[np.float64]]]:
    """Yield every symbol of a text with its surprisal, by the same pass as :func:`score`.

    Yields
    ------
    ids, nats
        1-D arrays of equal length; NaN for the first symbol of the text, which is not scored.

    Raises
    ------
    CorpusError
        If the text has fewer than 2 symbols.
    """
    chunks = iter(chunks)
    head = next((chunk for chunk in chunks if len(chunk)), None)
    if head is not None:
        yield head[:1], np.full(1, np.nan)
        chunks = _prepend(head, chunks)
    for targets, surprisal in _exact(model, chunks, steps, tally or Tally()):
        yield targets, model.backend.get(surprisal).astype(np.float64)


def _exact(
    model: LanguageModel, chunks: Iterable[Ids], steps: int, tally: Tally
) -> Iterator[tuple[Ids, Array]]:
    """Yield targets (host) and their surprisal (on the backend), 1-D, a window at a time."""
    window = model.window(steps, 1, backward=False)
    put = model.backend.put
    last: Ids | None = None
    scored = False
    for chunk in chunks:
        ids = chunk if last is None else np.concatenate((last, chunk))
        last = ids[-1:]
        for start in range(0, len(ids) - 1, steps):
            inputs = ids[start : start + steps + 1]
            inputs, targets = inputs[:-1], inputs[1:]
            surprisal = model.surprisal(window, put(inputs[:, None]), put(targets[:, None]))
            window.carry()
            scored = True
            yield targets, surprisal[:, 0]
    if not scored:
        raise too_short(0 if last is None else len(last), tally)


def too_short(symbols: int, tally: Tally) -> CorpusError:
    """Return the error for a text of so few symbols that there is nothing to score."""
    left = f" left, {tally.skipped:,} skipped" if tally.skipped else ""
    message = f"the text has {count(symbols, 'symbol')}{left}, a score needs at least 2"
    return CorpusError(message, "use a longer text")


def _prepend(head: Ids, rest: Iterator[Ids]) -> Iterator[Ids]:
    yield head
    yield from rest


def _number(model: LanguageModel, value: Array) -> float:
    """Bring a sum to the host."""
    return float(model.backend.get(value))
