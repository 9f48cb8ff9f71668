"""Labelled texts as ids, and how they are put side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.text.units.pieces import Numbers


@dataclass(frozen=True)
class Labelled:
    """Texts and their labels.

    Attributes
    ----------
    ids
        The symbols of all texts, 1-D; may be memory-mapped and hold others, too.
    begins, lengths
        (examples,): where each text begins, and its number of symbols.
    labels
        (examples,): the number of each label.
    """

    ids: NDArray[Any]
    begins: Numbers
    lengths: Numbers
    labels: NDArray[np.int32]

    @classmethod
    def unlabelled(cls, texts: Sequence[NDArray[Any]]) -> Labelled:
        """Return texts whose labels are not known, and 0."""
        lengths = np.array([len(text) for text in texts], np.int64)
        ids = np.concatenate(list(texts)) if texts else np.empty(0, np.uint8)
        return cls(ids, np.cumsum(lengths) - lengths, lengths, np.zeros(len(texts), np.int32))

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def symbols(self) -> int:
        """The number of symbols of all texts."""
        return int(self.lengths.sum())

    def of(self, numbers: Numbers) -> Labelled:
        """Return some of the examples."""
        return Labelled(self.ids, self.begins[numbers], self.lengths[numbers], self.labels[numbers])

    def each(self) -> Iterator[NDArray[Any]]:
        """Yield the ids of each text."""
        for begin, length in zip(self.begins.tolist(), self.lengths.tolist(), strict=True):
            yield self.ids[begin : begin + length]

    def labels_of(self, numbers: Numbers, places: int) -> NDArray[np.int32]:
        """Return the labels of texts (places,); that of an empty place is 0."""
        labels = np.zeros(places, np.int32)
        labels[: len(numbers)] = self.labels[numbers]
        return labels

    def padded(self, numbers: Numbers, places: int) -> tuple[NDArray[Any], Numbers]:
        """Return texts side by side, (T, places), with padding at their ends, and their lengths.

        T is the length of the longest, at least 1; places beyond those of ``numbers`` are empty.
        """
        lengths = np.zeros(places, np.int64)
        lengths[: len(numbers)] = self.lengths[numbers]
        inputs = np.zeros((max(1, int(lengths.max())), places), self.ids.dtype)
        for place, begin in enumerate(self.begins[numbers].tolist()):
            length = int(lengths[place])
            inputs[:length, place] = self.ids[begin : begin + length]
        return inputs, lengths


def thinned(
    inputs: NDArray[Any], lengths: Numbers, rate: float, rng: np.random.Generator
) -> tuple[NDArray[Any], Numbers]:
    """Return sequences (T, N) without some of their symbols, and their lengths.

    Each symbol is left out with probability ``rate``; a sequence that would lose all keeps all.
    """
    inside = np.arange(len(inputs))[:, None] < lengths
    kept = inside & (rng.random(inputs.shape, np.float32) >= rate)
    kept |= inside & ~kept.any(axis=0)
    order = np.argsort(~kept, axis=0, kind="stable")
    shorter = kept.sum(axis=0)
    steps = max(1, int(shorter.max()))
    return np.take_along_axis(np.where(kept, inputs, 0), order[:steps], axis=0), shorter
