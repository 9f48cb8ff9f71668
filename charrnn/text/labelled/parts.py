"""Which examples are held out: of each label the same share, drawn by the seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from charrnn.config import DataConfig
from charrnn.randomness import Purpose, generator
from charrnn.text.units.pieces import Numbers


def parts_of(
    labels: NDArray[np.int32], counts: Sequence[int], data: DataConfig, seed: int
) -> list[Numbers]:
    """Return the numbers of the examples of each part.

    Parameters
    ----------
    labels
        Those of the training files, of which shares may be held out.
    counts
        How many examples come from the files of each part: training, validation and testing.
    """
    fractions = (0 if data.val else data.val_frac, 0 if data.test else data.test_frac)
    parts = stratified(labels, fractions, seed)
    for part, (first, size) in enumerate(zip(np.cumsum(counts)[:2], counts[1:], strict=True), 1):
        if size:
            parts[part] = np.arange(first, first + size)
    return parts


def stratified(
    labels: NDArray[np.int32], fractions: tuple[float, float], seed: int
) -> list[Numbers]:
    """Return the numbers of the examples for training, validation and testing, in order.

    Of each label the same share is held out, drawn by the seed. A rare label's share is rounded so
    that the sum over the labels, rarest first, is never more than half an example off; the last
    example of a label is never held out.
    """
    part = np.zeros(len(labels), np.int8)
    counts = np.bincount(labels)
    of_labels = np.split(np.argsort(labels, kind="stable"), np.cumsum(counts)[:-1])
    owed = np.zeros(2)
    for label in np.argsort(counts, kind="stable").tolist() if any(fractions) else ():
        members = of_labels[label]
        drawn = generator(seed, Purpose.HOLD_OUT, layer=label).permutation(members)
        at = 0
        for k, fraction in enumerate(fractions):
            owed[k] += fraction * len(members)
            take = min(int(np.rint(owed[k])), len(members) - 1 - at)
            owed[k] -= max(0, take)
            part[drawn[at : at + max(0, take)]] = k + 1
            at += max(0, take)
    return [np.flatnonzero(part == k) for k in range(3)]
