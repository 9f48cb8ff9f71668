"""Batches of sequences of similar length: a function of the step, without state.

For each epoch the sequences are sorted by length, longest first, and cut into batches, so that one
is padded only up to the longest of its own batch. A length is first multiplied by a random factor
from 1 to 1 + ``SPREAD``: so each epoch puts other sequences together. Then the batches are
shuffled. Both are drawn by the seed and the epoch.

A batch of long sequences has fewer of them: their number is halved until their steps, padding
included, are at most ``batch · STEPS``. The last batch has empty places if the sequences do not
fill it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from charrnn.randomness import Purpose, generator
from charrnn.text.units.pieces import Numbers

STEPS = 256
"""Steps of a sequence up to which a batch is full."""
SPREAD = 0.2
"""By how much, at most, the length of a sequence is multiplied more than that of another."""


class Group(NamedTuple):
    """A batch: the numbers of its sequences, and how many places it has for them."""

    numbers: Numbers
    places: int
    epoch: int


class SimilarLengths:
    """The batches of sequences of some lengths.

    Parameters
    ----------
    lengths
        (sequences,).
    batch
        The most sequences in a batch.
    seed
        Determines the order; None: the same in each epoch, longest first.

    Attributes
    ----------
    per_epoch
        Batches in one pass over the sequences.
    """

    def __init__(self, lengths: Numbers, batch: int, seed: int | None) -> None:
        self._lengths, self._seed = lengths, seed
        longest_first = np.sort(lengths)[::-1]
        self._cuts, self._places = [0], []
        self._shapes: dict[int, int] = {}
        while self._cuts[-1] < len(lengths):
            at = self._cuts[-1]
            places = fitting(batch, int(longest_first[at]))
            self._places.append(places)
            # nothing before it in the order of an epoch is longer than this
            steps = min(int(longest_first[0]), int((longest_first[at] + 1) * (1 + SPREAD)) + 1)
            self._shapes[places] = max(self._shapes.get(places, 1), steps)
            self._cuts.append(min(at + places, len(lengths)))
        self.per_epoch = len(self._places)
        self._order: tuple[int, Numbers, Numbers] | None = None

    def shapes(self) -> dict[int, int]:
        """Return for each number of places of a batch the most steps that such a batch has."""
        return self._shapes

    def at(self, step: int) -> Group:
        """Return the batch of a global step, counted from 0."""
        epoch, place = divmod(step, self.per_epoch)
        if self._order is None or self._order[0] != epoch:
            self._order = (epoch, *self._drawn(epoch))
        _, order, batches = self._order
        number = int(batches[place])
        first, last = self._cuts[number], self._cuts[number + 1]
        return Group(order[first:last], self._places[number], epoch)

    def _drawn(self, epoch: int) -> tuple[Numbers, Numbers]:
        """Return the sequences in the order of an epoch, and the batches in theirs."""
        if self._seed is None:
            order = np.argsort(-self._lengths, kind="stable")
            return order, np.arange(self.per_epoch)
        rng = generator(self._seed, Purpose.ORDER, step=epoch)
        # at least one step, so that sequences of one length are shuffled, too
        stretched = (self._lengths + 1) * (1 + SPREAD * rng.random(len(self._lengths)))
        return np.argsort(-stretched, kind="stable"), rng.permutation(self.per_epoch)


def fitting(batch: int, length: int) -> int:
    """Return how many sequences of a length there are in a batch of at most ``batch``."""
    places = batch
    while places > 1 and places * length > batch * STEPS:
        places = (places + 1) // 2
    return places
