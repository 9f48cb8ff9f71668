"""How well a classifier labels texts: surprisal, accuracy, and figures for each label."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.evaluate.windows import Windows
from charrnn.model.sequences.classifier import Classifier
from charrnn.model.sequences.padding import Padding
from charrnn.text.labelled.batches import SimilarLengths
from charrnn.text.labelled.examples import Labelled
from charrnn.text.units.pieces import Numbers

BATCH = 64
"""Texts that are labelled together."""


class Labeller:
    """Computes the probabilities of the labels of texts, in batches of similar length.

    Parameters
    ----------
    model
        Read at every call, so it may be trained meanwhile.
    max_length
        New texts are cut after this many symbols, as those of training were; None: they are whole.
    alone
        The network decides without counts of n-grams.
    """

    def __init__(
        self, model: Classifier, max_length: int | None = None, alone: bool = False
    ) -> None:
        self.model, self.max_length, self._alone = model, max_length, alone
        self._windows = Windows(model)

    def log_p(self, texts: Labelled) -> Iterator[tuple[Numbers, NDArray[np.float64]]]:
        """Yield the numbers of some texts, and ln p of each label, (labels, texts)."""
        batches = SimilarLengths(texts.lengths, BATCH, None)
        for step in range(batches.per_epoch):
            numbers, places, _ = batches.at(step)
            ids, lengths = texts.padded(numbers, places)
            yield numbers, self.of_batch(ids, lengths)[:, : len(numbers)]

    def of_texts(self, ids: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
        """Return p of each label, (labels, texts), for texts of ids, in their order."""
        ids = [each[: self.max_length] for each in ids]
        found = np.empty((self.model.outputs, len(ids)))
        for numbers, log_p in self.log_p(Labelled.unlabelled(ids)):
            found[:, numbers] = np.exp(log_p)
        return found

    def of_batch(self, ids: NDArray[Any], lengths: Numbers) -> NDArray[np.float64]:
        """Return ln p of each label, (labels, N), for texts side by side, (T, N)."""
        window, backend = self._windows.of(*ids.shape), self.model.backend
        padding = Padding(lengths, len(ids), backend)
        return self.model.log_p(window, backend.put(ids), padding, self._alone)


@dataclass(frozen=True)
class LabelScore:
    """Figures of one label; those with a denominator of 0 are 0.

    ``precision`` is the share of right ones among the texts given this label, ``recall`` among
    those that have it, ``f1`` their harmonic mean; ``support`` counts those that have it.
    """

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class LabelScores:
    """How well a classifier labels texts.

    Attributes
    ----------
    examples
        Number of texts.
    nats
        Mean of -ln p(label).
    confusion
        (labels, labels): how many texts of each label (row) were given each label (column).
    """

    examples: int
    nats: float
    confusion: NDArray[np.int64]

    @classmethod
    def of(
        cls, labeller: Labeller, texts: Labelled, stopped: Callable[[], bool] = lambda: False
    ) -> LabelScores | None:
        """Return the scores of texts, at least one; None if ``stopped`` returned true."""
        count = labeller.model.outputs
        confusion = np.zeros((count, count), np.int64)
        nats = np.zeros(len(texts))
        for numbers, log_p in labeller.log_p(texts):
            if stopped():
                return None
            labels = texts.labels[numbers]
            nats[numbers] = -log_p[labels, np.arange(len(numbers))]
            np.add.at(confusion, (labels, log_p.argmax(axis=0)), 1)
        return cls(len(texts), float(nats.mean()), confusion)

    @property
    def accuracy(self) -> float:
        """The share of right labels."""
        return float(np.trace(self.confusion) / max(1, self.confusion.sum()))

    @property
    def labels(self) -> list[LabelScore]:
        """The figures of each label."""
        right = np.diagonal(self.confusion).astype(float)
        given, support = self.confusion.sum(axis=0), self.confusion.sum(axis=1)
        precision, recall = right / np.maximum(given, 1), right / np.maximum(support, 1)
        f1 = 2 * right / np.maximum(given + support, 1)
        rows = zip(precision.tolist(), recall.tolist(), f1.tolist(), support.tolist(), strict=True)
        return [LabelScore(*row) for row in rows]

    @property
    def macro_f1(self) -> float:
        """The mean F1 of the labels that texts have or were given."""
        seen = (self.confusion.sum(axis=0) + self.confusion.sum(axis=1)) > 0
        return float(np.mean([one.f1 for one in self.labels], where=seen)) if seen.any() else 0.0

    def to_json(self, names: Sequence[str]) -> dict[str, Any]:
        """Return the scores as one JSON object; ``names`` are those of the labels."""
        return {
            "examples": self.examples,
            "nats": self.nats,
            "accuracy": self.accuracy,
            "macro_f1": self.macro_f1,
            "labels": {n: vars(one) for n, one in zip(names, self.labels, strict=True)},
            "confusion": self.confusion.tolist(),
        }
