"""``charrnn.Transducer``: a network that turns one text into another, with its symbols."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.api import arguments
from charrnn.api.trained import Trained
from charrnn.config import DataConfig
from charrnn.errors import UsageError
from charrnn.evaluate.pairs import TargetScores
from charrnn.model.transducer.model import Transducer as Network
from charrnn.options import Option
from charrnn.sampling.targets import Target, written
from charrnn.tasks.transduce import scores_of
from charrnn.text.pairs.dataset import Pairs, PairTable, Side, pair_table_of
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


class Transducer(Trained):
    """A network that writes a target for each source.

    Made by :func:`charrnn.fit` with ``task="transduce"``, and by :func:`charrnn.load`.

    Attributes are those of :class:`~charrnn.api.trained.Trained`; the labels are the symbols of the
    targets.
    """

    kind = Network
    network: Network

    @classmethod
    def table(cls, pairs: Any, data: DataConfig, seed: int) -> tuple[PairTable, DataConfig]:
        """Return what is trained on, given (source, target) pairs."""
        return pair_table_of(arguments.pairs(pairs, "source", "target"), data, seed), data

    @property
    def targets(self) -> tuple[str, ...]:
        """The symbols that it writes."""
        return self.labels

    def predict(self, sources: Iterable[Any], *, beam: int = 1) -> list[Written]:
        """Return the target of each source, the best that a beam of ``beam`` hypotheses finds.

        Symbols that the model does not know are left out, or read as its unknown symbol. A source
        is cut where it is longer than those of the training.

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
        ids = [self._ids(source)[: self.data.max_length] for source in arguments.lines(sources)]
        pairs = Pairs.untranslated(ids)
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

    def _written(self, one: Target) -> Written:
        text = joined((self.targets[i] for i in one.ids), self.data.target_level)
        return Written(text, one.log_p, one.attention)

    def _ids(self, source: Any) -> Any:
        return self.vocabulary.encode(arguments.text_of(source, self.vocabulary), "skip")

    def _shown(self) -> str:
        return f"attention={self.config.attention!r}"
