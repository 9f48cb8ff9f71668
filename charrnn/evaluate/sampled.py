"""The loss on a sample of the training text, measured as that on the validation text is.

The loss of an update is no measure of what a model knows of its training text: it is taken with
dropout, on one window, by weights of which each has been another one since. Here the final weights
read the text as they read the validation text.
"""

from __future__ import annotations

from collections.abc import Iterator

from charrnn.backend.team import Team
from charrnn.evaluate.lines import ExampleValidation
from charrnn.evaluate.whole import Read
from charrnn.model.language import LanguageModel
from charrnn.text.units.examples import Units
from charrnn.text.units.pieces import TextIds
from charrnn.text.windows import (
    EVALUATION_STEPS,
    EVALUATION_STREAMS,
    MIN_EVALUATION_LENGTH,
    Batch,
    Streams,
)

MIN_SAMPLE, MAX_SAMPLE = 4 * MIN_EVALUATION_LENGTH, 16 * MIN_EVALUATION_LENGTH
"""Symbols of a training text that are scored, in between as many as of the validation text."""


class Spread:
    """The beginnings of streams that are spread evenly over a text; iterating gives batches.

    Every stream starts from a zero state and has about :data:`MIN_EVALUATION_LENGTH` symbols, as
    those of a validation text have at least.

    Parameters
    ----------
    ids
        A text of at least 2 symbols.
    limit
        The most targets, unless there is only one stream.
    length
        The symbols of the text on which the numbers of streams and steps rest; None for all.

    Attributes
    ----------
    batch, seq_len
        Number of streams N and of steps T of a batch.
    targets
        Number of targets.
    """

    def __init__(self, ids: TextIds, limit: int, length: int | None = None) -> None:
        targets = (len(ids) if length is None else length) - 1
        most = min(EVALUATION_STREAMS, limit // MIN_EVALUATION_LENGTH)
        self.batch = max(1, min(most, targets // MIN_EVALUATION_LENGTH))
        each = targets // self.batch
        self.seq_len = min(EVALUATION_STEPS, each)
        self._windows = max(1, min(each, limit // self.batch) // self.seq_len)
        self._streams = Streams(ids, self.batch, self.seq_len)
        self.targets = self.batch * self.seq_len * self._windows

    def __iter__(self) -> Iterator[Batch]:
        return map(self._streams.batch_at, range(self._windows))


def training_loss(
    model: LanguageModel,
    train: TextIds | Units,
    team: Team | None = None,
    *,
    length: int | None = None,
    limit: int = MAX_SAMPLE,
) -> float:
    """Return the mean surprisal of a sample of a training text, in nats per symbol.

    Parameters
    ----------
    model
        The model; it is read only, and without dropout.
    train
        A text of at least 2 symbols, or examples, of which the first ones are scored.
    team
        Each member scores its share; all of them call this.
    length
        The symbols of the shortest text, if each member has its own.
    limit
        About how many symbols are scored at most.
    """
    if isinstance(train, Units):
        loss = ExampleValidation(model, train, limit, team=team).loss()
    else:
        loss = Read(model, Spread(train, limit, length), team).loss()
    assert loss is not None  # nothing stops it
    return loss
