"""Labelled sequences as ids, and how they are put side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.text.labelled.examples import side_by_side
from charrnn.text.units.pieces import Numbers


@dataclass(frozen=True)
class Tagged:
    """Sequences with a label at some of their symbols.

    Attributes
    ----------
    ids, tags
        The symbols of all sequences, and the number of the label at each, 1-D; the number of
        labels stands for none. May be memory-mapped and hold others, too.
    begins, lengths
        (sequences,): where each begins, and its number of symbols.
    labels
        The number of labels.
    """

    ids: NDArray[Any]
    tags: NDArray[Any]
    begins: Numbers
    lengths: Numbers
    labels: int

    @classmethod
    def untagged(cls, sequences: Sequence[tuple[NDArray[Any], Numbers]], labels: int) -> Tagged:
        """Return sequences of ids whose labels are not known, and 0 where they are wanted."""
        lengths = np.array([len(ids) for ids, _ in sequences], np.int64)
        begins = np.cumsum(lengths) - lengths
        ids = np.concatenate([ids for ids, _ in sequences]) if sequences else np.empty(0, np.uint8)
        tags = np.full(len(ids), labels, np.uint32)
        for begin, (_, wanted) in zip(begins.tolist(), sequences, strict=True):
            tags[begin + wanted] = 0
        return cls(ids, tags, begins, lengths, labels)

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def symbols(self) -> int:
        """The number of symbols of all sequences."""
        return int(self.lengths.sum())

    def of(self, numbers: Numbers) -> Tagged:
        """Return some of the sequences."""
        return replace(self, begins=self.begins[numbers], lengths=self.lengths[numbers])

    def tags_at(self, number: int) -> NDArray[Any]:
        """Return the numbers of the labels of a sequence."""
        begin = int(self.begins[number])
        return self.tags[begin : begin + int(self.lengths[number])]

    def padded(self, numbers: Numbers, places: int) -> tuple[NDArray[Any], Numbers]:
        """Return sequences side by side, (T, places), and their lengths.

        As :func:`~charrnn.text.labelled.examples.side_by_side` does.
        """
        return side_by_side(self.ids, self.begins[numbers], self.lengths[numbers], places)

    def padded_tags(self, numbers: Numbers, places: int) -> NDArray[np.int32]:
        """Return the labels of sequences side by side, (T, places); none in the padding."""
        begins, lengths = self.begins[numbers], self.lengths[numbers]
        found, _ = side_by_side(self.tags, begins, lengths, places, self.labels)
        return found.astype(np.int32)

    def cut(self, most: int) -> tuple[Tagged, int]:
        """Return sequences of at most ``most`` symbols, and how many longer ones were divided.

        They are divided after the last label of a piece, if it has one.
        """
        long = np.flatnonzero(self.lengths > most).tolist()
        begins, lengths = self.begins.tolist(), self.lengths.tolist()
        pieces: dict[int, list[tuple[int, int]]] = {}
        for number in long:
            tags, at, found = self.tags_at(number), 0, []
            while at < len(tags):
                size = most
                if at + most < len(tags):
                    ends = np.flatnonzero(tags[at : at + most] < self.labels)
                    size = int(ends[-1]) + 1 if len(ends) else most
                size = min(size, len(tags) - at)
                found.append((begins[number] + at, size))
                at += size
            pieces[number] = found
        if not long:
            return self, 0
        whole = [
            piece
            for number, one in enumerate(zip(begins, lengths, strict=True))
            for piece in pieces.get(number, [one])
        ]
        starts, sizes = (np.array(each, np.int64) for each in zip(*whole, strict=True))
        return replace(self, begins=starts, lengths=sizes), len(long)
