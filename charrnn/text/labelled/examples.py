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
    unknown
        The symbol that stands for all that are unknown; None if there is none.
    """

    ids: NDArray[Any]
    begins: Numbers
    lengths: Numbers
    labels: NDArray[np.int32]
    unknown: int | None = None

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
        places = self.begins[numbers], self.lengths[numbers]
        return Labelled(self.ids, *places, self.labels[numbers], self.unknown)

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
        return side_by_side(self.ids, self.begins[numbers], self.lengths[numbers], places)


def fill(out: NDArray[Any], ids: NDArray[Any], begins: Numbers, lengths: Numbers) -> None:
    """Write the texts that begin at ``begins`` of ``ids`` into the first columns of ``out``.

    ``lengths`` (N,) are those of all columns of ``out`` (T, N), of which the others are left alone.
    """
    count = len(begins)
    t = np.arange(len(out))[:, None]
    inside = t < lengths[:count]
    # a plain array: a memory map makes an object of its own for whatever is taken from it
    out[:, :count][inside] = np.asarray(ids)[(begins + t)[inside]]


def replaced(
    inputs: NDArray[Any], lengths: Numbers, rate: float, rng: np.random.Generator
) -> NDArray[Any]:
    """Return sequences (T, N) with other symbols in place of some of theirs.

    Each symbol is replaced with probability ``rate`` by one of all the symbols of these sequences
    (unigram noising, Xie et al. 2017, arXiv 1703.02573).
    """
    inside = np.arange(len(inputs))[:, None] < lengths
    hidden = inside & (rng.random(inputs.shape, np.float32) < rate)
    found, known = inputs.copy(), inputs[inside]
    found[hidden] = known[rng.integers(len(known), size=int(hidden.sum()))]
    return found


def thinned(
    inputs: NDArray[Any], lengths: Numbers, rate: float, rng: np.random.Generator
) -> tuple[NDArray[Any], Numbers]:
    """Return sequences (T, N) without some of their symbols, and their lengths.

    Each symbol is left out with probability ``rate`` (word dropout, Iyyer et al. 2015, "Deep
    unordered composition rivals syntactic methods for text classification", ACL); a sequence that
    would lose all keeps all.
    """
    inside = np.arange(len(inputs))[:, None] < lengths
    kept = inside & (rng.random(inputs.shape, np.float32) >= rate)
    kept |= inside & ~kept.any(axis=0)
    order = np.argsort(~kept, axis=0, kind="stable")
    shorter = kept.sum(axis=0)
    steps = max(1, int(shorter.max()))
    return np.take_along_axis(np.where(kept, inputs, 0), order[:steps], axis=0), shorter


def side_by_side(
    ids: NDArray[Any], begins: Numbers, lengths: Numbers, places: int, padding: int = 0
) -> tuple[NDArray[Any], Numbers]:
    """Return parts of ``ids`` (1-D) side by side, (T, places), and their lengths (places,).

    ``padding`` stands after their ends. T is the length of the longest, at least 1; places beyond
    the parts are empty.
    """
    sizes = np.zeros(places, np.int64)
    sizes[: len(lengths)] = lengths
    found = np.full((max(1, int(sizes.max())), places), padding, ids.dtype)
    fill(found, ids, begins, sizes)
    return found, sizes
