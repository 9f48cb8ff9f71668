"""``charrnn.Generator``: a network that writes the texts of labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from charrnn.api import arguments
from charrnn.api.model import Model
from charrnn.api.trained import Trained
from charrnn.config import DataConfig, TrainConfig
from charrnn.display import brief
from charrnn.errors import UsageError
from charrnn.evaluate.generated import TextScores
from charrnn.model.sequences.generator import Generator as Network
from charrnn.sampling import Sample
from charrnn.sampling.options import DEFAULT_LENGTH
from charrnn.storage.given import number_of
from charrnn.text import Vocabulary
from charrnn.text.labelled.dataset import Table, table_of
from charrnn.text.labelled.examples import Labelled
from charrnn.text.layout import DOCUMENTS


class Generator(Trained):
    """A language model whose text depends on a label.

    Made by :func:`charrnn.fit` with ``task="generate"``, and by :func:`charrnn.load`.

    Attributes are those of :class:`~charrnn.api.trained.Trained`.
    """

    kind = Network
    network: Network

    def __init__(
        self,
        network: Network,
        vocabulary: Vocabulary,
        labels: tuple[str, ...],
        training: TrainConfig | None = None,
        data: DataConfig | None = None,
    ) -> None:
        data = data or DataConfig(level=vocabulary.level, examples="document")
        super().__init__(network, vocabulary, labels, training, data)

    @classmethod
    def table(cls, pairs: Any, data: DataConfig, seed: int) -> tuple[Table, DataConfig]:
        """Return what is trained on, given (text, label) pairs."""
        return table_of(arguments.pairs(pairs, "text", "label"), data, seed), data

    def given(self, label: str) -> Model:
        """Return the language model of one label; its weights are copies.

        Its texts are documents: each begins from a zero state and has an end of its own.

        Raises
        ------
        UsageError
            If there is no such label.
        """
        network = self.network.given(self._number(label))
        data = DataConfig(level=self.vocabulary.level, examples="document")
        return Model(network, self.vocabulary, self.training, data)

    def sample(self, length: int = DEFAULT_LENGTH, *, label: str, **options: Any) -> str | bytes:
        """Return a text of a label, of at most ``length`` symbols; bytes at byte level.

        Takes the options of :meth:`charrnn.Model.stream`, and raises the same errors.
        """
        return self.given(label).sample(length, **options)

    def samples(
        self, count: int, length: int = DEFAULT_LENGTH, *, label: str, **options: Any
    ) -> Iterator[Sample]:
        """Yield ``count`` texts of a label; see :meth:`charrnn.Model.samples`.

        The texts are without their ends, whose log-probabilities are the last of ``log_probs``.
        """
        made = self.given(label).samples(count, length, **options)
        end: Any = self.vocabulary.text(DOCUMENTS.end)
        return (replace(one, text=one.text.removesuffix(end)) for one in made)

    def evaluate(self, pairs: Iterable[Any]) -> TextScores:
        """Return how well texts are predicted, given (text, label) pairs.

        Each text is scored from its first symbol to its end. Symbols that the model does not know
        are left out, or read as its unknown symbol; empty texts are left out.

        Raises
        ------
        UsageError
            If there is no pair, one is not of this form, or the model does not know a label.
        """
        texts, skipped = self._labelled(pairs)
        start = DOCUMENTS.start(self.vocabulary)
        return TextScores.of(self.network, texts, self.vocabulary, self.labels, start, skipped)

    def encoded(self, pairs: Iterable[Any]) -> Labelled:
        """Return (text, label) pairs in the symbols and labels of the model.

        Raises
        ------
        UsageError
            As :meth:`evaluate`.
        """
        return self._labelled(pairs)[0]

    def _labelled(self, pairs: Iterable[Any]) -> tuple[Labelled, int]:
        """Return the same, and the number of symbols left out."""
        ids, of, skipped = [], [], 0
        end = self.vocabulary.encode(self.vocabulary.text(DOCUMENTS.end), "skip")
        for given, label in arguments.pairs(pairs, "text", "label"):
            text = arguments.text_of(given, self.vocabulary)
            known = self.vocabulary.encode(text, "skip")
            number = self._number(label)
            if text:
                skipped += self.vocabulary.count(text) - len(known)
                cut = self.vocabulary.count(text) > self.data.max_length
                ids.append(known[: self.data.max_length] if cut else np.append(known, end))
                of.append(number)
        if not ids:
            raise UsageError("there is no pair to evaluate on", "give (text, label) pairs")
        return replace(Labelled.unlabelled(ids), labels=np.array(of, np.int32)), skipped

    def _number(self, label: Any) -> int:
        if not isinstance(label, str):
            raise UsageError(f"label must be a string, not {brief(label)}")
        return number_of(label, self.labels, "the model")
