"""The language model: predict each symbol of a text from all preceding ones."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from math import log
from typing import Any

from charrnn.backend import Array, Backend
from charrnn.backend.team import Alone, Team
from charrnn.config import TrainConfig
from charrnn.display import count
from charrnn.errors import UsageError, setting
from charrnn.evaluate import ExampleValidation, Validation, training_loss
from charrnn.evaluate.sampled import MAX_SAMPLE, MIN_SAMPLE
from charrnn.model.dropout import RecurrentDropout
from charrnn.model.language import LanguageModel
from charrnn.model.parameters import Parameters
from charrnn.model.resets import Resets
from charrnn.model.shards import Shards
from charrnn.tasks.base import Metric, Task
from charrnn.tasks.shards.part import Part, PartStreams
from charrnn.text import fit_window
from charrnn.text.units.examples import ExampleStreams, Units, fit_examples
from charrnn.text.units.pieces import TextIds
from charrnn.text.windows import Batch, Streams


class LanguageTask(Task):
    """A character model and the texts it is trained and measured on.

    Parameters
    ----------
    model
        Trained in place.
    train, val
        The training and validation text: ids, or examples; ``val`` may be empty.
    config
        ``batch`` and ``seq_len`` must fit the text.
    team
        Each member reads its share of the streams, also of the validation text.

    Raises
    ------
    UsageError
        If there are fewer streams than members.

    Attributes
    ----------
    streams
        The windows of the training text, with all streams.
    """

    metric = Metric("loss")  # nats per symbol
    window: Shards

    def __init__(
        self,
        model: LanguageModel,
        train: TextIds | Units,
        val: TextIds | Units,
        config: TrainConfig,
        team: Team | None = None,
    ) -> None:
        team = team or Alone()
        if config.batch < team.size:
            raise UsageError(
                f"{count(config.batch, 'stream')} cannot be divided among {team.size} ranks",
                f"start fewer ranks, or use a longer text or a larger {setting('batch')}",
            )
        self.model, self.backend, self.weights = model, model.backend, model.weights
        self.guess, self.bounded = log(model.V), model.stack.cell.bounded
        self.streams = training_streams(train, config, config.restart)
        self.windows_per_epoch = self.streams.windows_per_epoch
        self.symbols_per_batch = config.batch * config.seq_len
        self._mine = team.share(config.batch)
        self.window = Shards(model, config.seq_len, config.batch, mine=self._mine)
        self._seed, self._dropout = config.seed, bool(model.config.dropout)
        rate = model.config.recurrent_dropout
        self._recurrent = RecurrentDropout(self.weights, rate, self.backend)
        self._train, self._team = train, team
        self.validation = _validation(model, val, config.eval_chars, team)

    def batch(self, step: int) -> Batch:
        """Return this member's streams of a window of the text."""
        batch = self.streams.batch_at(step)
        whole = self._mine.stop - self._mine.start == self.streams.batch  # or of one's own files
        return batch if whole else batch.of(self._mine)

    def loss_and_gradient(self, batch: Batch, step: int, grads: Parameters) -> Array:
        """Return this member's part of the mean cross-entropy, in nats per symbol."""
        put, dtype = self.backend.put, self.weights.flat.dtype
        key = (self._seed, step) if self._dropout else None
        ids, targets = put(batch.inputs), put(batch.targets)
        more: dict[str, Any] = {}
        if batch.mask is not None:
            resets = resets_of(batch, self.backend, dtype)
            more = {"mask": put(batch.mask), "symbols": batch.symbols, "resets": resets}
        with self._recurrent.drawn(self._seed, step, grads):
            return self.window.loss_and_gradient(ids, targets, grads, key, **more)

    @property
    def has_validation(self) -> bool:
        """Whether there is a validation text."""
        return self.validation is not None

    def evaluate(self, stopped: Callable[[], bool]) -> float | None:
        """Return the mean surprisal of the validation text, in nats per symbol."""
        assert self.validation is not None
        return self.validation.loss(stopped)

    def training_loss(self) -> float:
        """Return the mean surprisal of a sample of the training text, in nats per symbol.

        It is that of the network alone: counted n-grams are those of this very text.
        """
        length = min(self._train.lengths) if isinstance(self._train, Part) else None
        limit = max(MIN_SAMPLE, min(self.validation.chars if self.validation else 0, MAX_SAMPLE))
        alone = self.model.alone()
        return training_loss(alone, self._train, self._team, length=length, limit=limit)

    def training(self) -> AbstractContextManager[None]:
        """Keep BLAS to one thread if the streams are divided among the threads."""
        return self.window.serial_blas()


def fit(train: TextIds | Units, batch: int, seq_len: int) -> tuple[int, int, str | None]:
    """Lower the number of streams, and then that of steps, to what a short text can fill.

    Returns and raises what :func:`charrnn.text.fit_window` does.
    """
    if isinstance(train, Units):
        return fit_examples(train, batch, seq_len)
    if isinstance(train, Part):
        train.windows(batch, seq_len)
        return batch, seq_len, None
    return fit_window(len(train), batch, seq_len)


def training_streams(
    train: TextIds | Units, config: TrainConfig, restart: float = 0.0
) -> Streams | ExampleStreams:
    """Return the batches of a text, or of examples, for a training configuration.

    ``restart`` is the probability that a stream of a text starts a window from a zero state.
    """
    if isinstance(train, Units):
        return ExampleStreams(train, config.batch, config.seq_len, seed=config.seed)
    how: dict[str, Any] = {"carry": config.state == "carry", "restart": restart}
    how["seed"] = config.seed
    if isinstance(train, Part):
        return PartStreams(train, config.batch, config.seq_len, **how)
    return Streams(train, config.batch, config.seq_len, **how)


def resets_of(batch: Batch, backend: Backend, dtype: Any) -> Resets | None:
    """Return where streams restart from a zero state inside a window; None if nowhere."""
    return None if batch.starts is None else Resets.of(batch.starts, backend, dtype)


def _validation(
    model: LanguageModel, val: TextIds | Units, limit: int, team: Team
) -> Validation | ExampleValidation | None:
    if isinstance(val, Units):
        return ExampleValidation(model, val, limit, team=team) if len(val) else None
    return Validation(model, val, limit=limit, team=team) if len(val) > 1 else None
