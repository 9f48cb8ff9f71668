"""``charrnn.Transducer``: a network that turns one text into another, with its symbols."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.api import arguments
from charrnn.api.saving import save
from charrnn.backend import Backend
from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.errors import UsageError
from charrnn.evaluate.pairs import TargetScores
from charrnn.model.transducer.model import Transducer as Network
from charrnn.options import Option
from charrnn.sampling.targets import Target, written
from charrnn.storage.checkpoint import Checkpoint
from charrnn.tasks.transduce import scores_of
from charrnn.text import Vocabulary
from charrnn.text.pairs.dataset import Pairs, Side
from charrnn.text.pairs.symbols import joined, split

_BEAM = Option(1, "", least=1)


class Written(NamedTuple):
    """A target: its text, ln p(target | source), and what its symbols attend to in the source.

    ``attention`` has a row for each symbol of the target and one for its end, and a column for each
    symbol of the source and one for its end; it is None without attention.
    """

    text: str
    log_p: float
    attention: NDArray[np.floating] | None


class Transducer:
    """A network that writes a target for each source.

    Made by :func:`charrnn.fit` with ``task="transduce"``, and by :func:`charrnn.load`.

    Attributes
    ----------
    network
        The :class:`charrnn.model.transducer.model.Transducer` with its weights.
    vocabulary, targets
        The symbols that it reads, and those that it writes.
    training, data
        The settings that it was trained with, and how its pairs were read.
    """

    def __init__(
        self,
        network: Network,
        vocabulary: Vocabulary,
        targets: tuple[str, ...],
        training: TrainConfig | None = None,
        data: DataConfig | None = None,
    ) -> None:
        self.network, self.vocabulary, self.targets = network, vocabulary, targets
        self.training, self.data = training, data or DataConfig(level=vocabulary.level)

    def __repr__(self) -> str:
        config = self.config
        return (
            f"Transducer(cell={config.cell!r}, layers={config.layers}, hidden={config.hidden}, "
            f"attention={config.attention!r}, parameters={self.network.weights.flat.size})"
        )

    @property
    def config(self) -> ModelConfig:
        """The architecture."""
        return self.network.config

    def predict(self, sources: Iterable[Any], *, beam: int = 1) -> list[Written]:
        """Return the target of each source, the best that a beam of ``beam`` hypotheses finds.

        Symbols that the model does not know are left out, or read as its unknown symbol.

        Raises
        ------
        UsageError
            If ``sources`` is not a list of strings (or, at byte level, bytes), or ``beam`` is below
            1.
        """
        return [best for (best,) in self.most_likely(sources, beam=beam, count=1)]

    def most_likely(
        self, sources: Iterable[Any], *, beam: int = 5, count: int | None = None
    ) -> list[list[Written]]:
        """Return for each source the ``count`` best targets of a beam, by default all of it.

        Raises
        ------
        UsageError
            As :meth:`predict`, and if ``count`` exceeds ``beam``.
        """
        beam = _BEAM.check("beam", beam)
        count = _BEAM.check("count", beam if count is None else count)
        if count > beam:
            raise UsageError(f"count {count} is more than beam {beam} holds", "raise beam")
        if isinstance(sources, str | bytes):
            raise UsageError("sources must be a list of strings, not a string", "give [source]")
        pairs = Pairs.untranslated([self._ids(source) for source in arguments.lines(sources)])
        show = self.network.decoder.attention is not None
        found = dict(written(self.network, pairs, beam=beam, count=count, attention=show))
        return [[self._written(one) for one in found[number]] for number in range(len(pairs))]

    def evaluate(self, pairs: Iterable[Any], *, beam: int = 1) -> TargetScores:
        """Return how well targets are written, given (source, target) pairs.

        Raises
        ------
        UsageError
            If there is no pair, or one is not of this form.
        """
        beam = _BEAM.check("beam", beam)
        scores = scores_of(self.network, self.encoded(pairs), beam=beam)
        assert scores is not None
        return scores

    def encoded(self, pairs: Iterable[Any]) -> Pairs:
        """Return (source, target) pairs in the symbols of the model.

        Raises
        ------
        UsageError
            If there is no pair, or one is not of this form.
        """
        level = self.data.target_level
        known = {symbol: i for i, symbol in enumerate(self.targets)}
        checked = arguments.pairs(pairs, "source", "target")
        if not checked:
            raise UsageError("there is no pair to evaluate on", "give (source, target) pairs")
        ids = [
            np.array([known.get(symbol, len(known)) for symbol in split(target, level)], np.uint32)
            for _, target in checked
        ]
        lengths = np.array([len(each) for each in ids], np.int64)
        targets = Side(np.concatenate(ids), np.cumsum(lengths) - lengths, lengths)
        sources = Pairs.untranslated([self._ids(source) for source, _ in checked]).sources
        return Pairs(sources, targets)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the model to a checkpoint file.

        Raises
        ------
        CharRNNError
            If it cannot be written.
        """
        weights = self.network.backend.get(self.network.weights.flat)
        saved = Checkpoint(
            self.config,
            self.vocabulary,
            weights,
            train=self.training,
            data=self.data,
            labels=self.targets,
        )
        save(saved, path)

    def _written(self, one: Target) -> Written:
        text = joined((self.targets[i] for i in one.ids), self.data.target_level)
        return Written(text, one.log_p, one.attention)

    def _ids(self, source: Any) -> Any:
        return self.vocabulary.encode(arguments.text_of(source, self.vocabulary), "skip")


def transducer(checkpoint: Checkpoint, backend: Backend) -> Transducer:
    """Return the transducer of a checkpoint."""
    network = checkpoint.model(backend)
    assert isinstance(network, Network)
    return Transducer(
        network, checkpoint.vocabulary, checkpoint.labels, checkpoint.train, checkpoint.data
    )
