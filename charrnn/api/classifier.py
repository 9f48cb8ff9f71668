"""``charrnn.Classifier``: a network that labels texts, with its symbols and labels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from charrnn.api import arguments
from charrnn.api.trained import Trained
from charrnn.config import DataConfig, TrainConfig
from charrnn.display import brief
from charrnn.errors import CorpusError, UsageError
from charrnn.evaluate.labels import Labeller, LabelScores
from charrnn.model.sequences.classifier import Classifier as Network
from charrnn.text import Vocabulary
from charrnn.text.labelled.dataset import Table, table_of
from charrnn.text.labelled.examples import Labelled


class Prediction(NamedTuple):
    """The likeliest label of a text, its probability, and that of every label, likeliest first."""

    label: str
    p: float
    labels: dict[str, float]


class Classifier(Trained):
    """A network that labels texts.

    Made by :func:`charrnn.fit` with ``task="classify"``, and by :func:`charrnn.load`.

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
        super().__init__(network, vocabulary, labels, training, data)
        self._labeller = Labeller(network, self.data.max_length)

    @classmethod
    def table(cls, pairs: Any, data: DataConfig, seed: int) -> tuple[Table, DataConfig]:
        """Return what is trained on, given (text, label) pairs."""
        if isinstance(pairs, str | bytes):
            raise UsageError("to classify, give a list of (text, label) pairs, not a string")
        return table_of(arguments.pairs(pairs, "text", "label"), data, seed), data

    def predict(self, texts: Iterable[Any]) -> list[Prediction]:
        """Return the labels of texts, in their order.

        Symbols that the model does not know are left out, or read as its unknown symbol.

        Raises
        ------
        UsageError
            If ``texts`` is not a list of strings (or, at byte level, bytes).
        """
        if isinstance(texts, str | bytes):
            raise UsageError("texts must be a list of strings, not a string", "give [text]")
        ids = [self._ids(text) for text in arguments.lines(texts)]
        predictions = []
        for p in self._labeller.of_texts(ids).T:
            order = (-p).argsort(kind="stable").tolist()
            named = {self.labels[i]: float(p[i]) for i in order}
            predictions.append(Prediction(self.labels[order[0]], float(p[order[0]]), named))
        return predictions

    def evaluate(self, pairs: Iterable[Any]) -> LabelScores:
        """Return how well texts are labelled, given (text, label) pairs.

        Raises
        ------
        UsageError
            If there is no pair, or one is not of this form.
        CorpusError
            If the model does not know a label.
        """
        scores = LabelScores.of(self._labeller, self.encoded(pairs))
        assert scores is not None
        return scores

    def encoded(self, pairs: Iterable[Any]) -> Labelled:
        """Return (text, label) pairs in the symbols and labels of the model.

        Raises
        ------
        UsageError, CorpusError
            As :meth:`evaluate`.
        """
        known = {label: number for number, label in enumerate(self.labels)}
        ids, of = [], []
        for text, label in arguments.pairs(pairs, "text", "label"):
            if label not in known:
                raise CorpusError(f"the label {brief(label)} is unknown", f"known: {brief(known)}")
            ids.append(self._ids(text)[: self._labeller.max_length])
            of.append(known[label])
        if not ids:
            raise UsageError("there is no pair to evaluate on", "give (text, label) pairs")
        return replace(Labelled.unlabelled(ids), labels=np.array(of, np.int32))

    def _ids(self, text: Any) -> Any:
        return self.vocabulary.encode(arguments.text_of(text, self.vocabulary), "skip")
