"""How well a generator predicts texts, given their labels: all of them, and those of each label."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.evaluate.whole import Score
from charrnn.evaluate.windows import Windows
from charrnn.model.sequences.generator import Generator
from charrnn.text.labelled.batches import SimilarLengths
from charrnn.text.labelled.examples import Labelled
from charrnn.text.vocabulary import Vocabulary

BATCH = 64
"""Texts that are scored together."""


class TextScorer:
    """Computes the surprisal of texts, in batches of similar length.

    Parameters
    ----------
    model
        Read at every call, so it may be trained meanwhile.
    start
        The symbol that is read before each text.
    """

    def __init__(self, model: Generator, start: int) -> None:
        self._model, self._start = model, start
        self._windows = Windows(model)

    def of(
        self, texts: Labelled, stopped: Callable[[], bool] = lambda: False
    ) -> NDArray[np.float64] | None:
        """Return -ln p of each text given its label, in nats; None if ``stopped`` returned true."""
        model, put = self._model, self._model.backend.put
        batches, found = SimilarLengths(texts.lengths, BATCH, None), np.zeros(len(texts))
        for step in range(batches.per_epoch):
            if stopped():
                return None
            numbers, places, _ = batches.at(step)
            targets, lengths = texts.padded(numbers, places)
            labels = texts.labels_of(numbers, places)
            window = self._windows.of(len(targets), places)
            ids = put(model.inputs(targets, labels, self._start))
            nats = model.backend.get(model.surprisal(window, ids, put(targets)))
            real = np.arange(len(targets))[:, None] < lengths
            summed = np.where(real, nats, 0.0).sum(axis=0, dtype=np.float64)
            found[numbers] = summed[: len(numbers)]
        return found


@dataclass(frozen=True)
class TextScores:
    """How well a generator predicts texts.

    Attributes
    ----------
    examples
        Number of texts.
    total
        The score of all texts: ``chars`` counts the end of each, too.
    labels
        Number and score of the texts of each label that occurs, by its name.
    """

    examples: int
    total: Score
    labels: dict[str, tuple[int, Score]]

    @classmethod
    def of(
        cls,
        model: Generator,
        texts: Labelled,
        vocabulary: Vocabulary,
        names: Sequence[str],
        start: int,
        skipped: int = 0,
    ) -> TextScores:
        """Return the scores of texts, at least one; ``skipped`` symbols of them were left out."""
        nats = TextScorer(model, start).of(texts)
        assert nats is not None
        sizes = _sizes(texts, vocabulary)

        def score(numbers: Any, skipped: int | None = 0) -> Score:
            bytes_ = None if sizes is None else int(sizes[numbers].sum())
            chars = int(texts.lengths[numbers].sum())
            return Score(chars, float(nats[numbers].sum()), skipped or 0, bytes_)

        of_label = {
            names[label]: np.flatnonzero(texts.labels == label)
            for label in np.unique(texts.labels).tolist()
        }
        labels = {name: (len(each), score(each)) for name, each in of_label.items()}
        return cls(len(texts), score(slice(None), skipped), labels)

    @property
    def nats_per_char(self) -> float:
        """The mean surprisal of a symbol, the ends of the texts included."""
        return self.total.nats_per_char

    def to_json(self) -> dict[str, Any]:
        """Return the scores as one JSON object; ``labels`` has some of them for each label."""
        labels = {
            name: {"examples": examples, "chars": one.chars, "nats_per_char": one.nats_per_char}
            for name, (examples, one) in self.labels.items()
        }
        return {"examples": self.examples, **self.total.to_json(), "labels": labels}


def _sizes(texts: Labelled, vocabulary: Vocabulary) -> NDArray[np.int64] | None:
    """Return the bytes of each text in UTF-8; None if they are not known."""
    sizes = [vocabulary.size(ids) for ids in texts.each()]
    return None if None in sizes else np.array(sizes, np.int64)
