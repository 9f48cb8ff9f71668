"""How well a transducer knows targets: their surprisal, and how near its own outputs are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from charrnn.evaluate.windows import Windows
from charrnn.model.transducer.model import Transducer
from charrnn.text.labelled.batches import SimilarLengths
from charrnn.text.pairs.dataset import Pairs

BATCH = 64
"""Pairs that are scored together."""


@dataclass(frozen=True)
class TargetScores:
    """How well a transducer does on pairs.

    Attributes
    ----------
    examples
        Number of pairs.
    exact
        How many of its outputs are the target.
    edits, reference
        The sum of the edit distances between outputs and targets (Levenshtein 1966: symbols
        inserted, deleted or replaced), and the symbols of all targets.
    nats, symbols
        The sum of -ln p over the symbols of the targets, the ends included, and their number;
        without symbols that the model does not know.
    """

    examples: int
    exact: int
    edits: int
    reference: int
    nats: float
    symbols: int

    @property
    def exact_match(self) -> float:
        """The share of outputs that are the target."""
        return self.exact / self.examples

    @property
    def cer(self) -> float:
        """Edits for each symbol of the targets."""
        return self.edits / max(1, self.reference)

    @property
    def nats_per_symbol(self) -> float:
        """The mean surprisal of a symbol of the targets."""
        return self.nats / max(1, self.symbols)

    def to_json(self) -> dict[str, Any]:
        """Return the scores as one JSON object."""
        return {
            "examples": self.examples,
            "nats": self.nats,
            "exact_match": self.exact_match,
            "cer": self.cer,
            "nats_per_symbol": self.nats_per_symbol,
        }


class Surprisal:
    """Computes the surprisal of targets, in batches of similar length.

    Parameters
    ----------
    model
        Read at every call, so it may be trained meanwhile.
    """

    def __init__(self, model: Transducer) -> None:
        self._model, self._spaces = model, Windows(model)

    def of(
        self, pairs: Pairs, stopped: Callable[[], bool] = lambda: False
    ) -> tuple[float, int] | None:
        """Return the nats of all targets, and how many symbols they are of.

        None if ``stopped`` returned true.
        """
        model, batches, sums = self._model, SimilarLengths(pairs.lengths, BATCH, None), []
        for step in range(batches.per_epoch):
            if stopped():
                return None
            numbers, places, _ = batches.at(step)
            ids, lengths = pairs.sources.padded(numbers, places, model.source_end)
            targets, mask = marked(pairs, numbers, places, model.end)
            space = self._spaces.of(max(len(ids), len(targets)), places)
            put, get = model.backend.put, model.backend.get
            nats = get(model.surprisal(space, model.sources(ids, lengths), put(targets)))
            sums.append((float(nats[mask].astype(np.float64).sum()), int(mask.sum())))
        return sum(nats for nats, _ in sums), sum(count for _, count in sums)


def marked(pairs: Pairs, numbers: Any, places: int, end: int) -> tuple[np.ndarray, np.ndarray]:
    """Return targets side by side (T, places), ends included, and which symbols count.

    A symbol that the model does not know does not count.
    """
    targets, lengths = pairs.targets.padded(numbers, places, end)
    t = np.arange(len(targets))[:, None]
    return targets, (t < lengths) & ((targets != end) | (t == lengths - 1))


def edit_distance(one: Sequence[int], other: Sequence[int]) -> int:
    """Return the fewest symbols to insert, delete or replace that make one of the other."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (a != b))
    return row[-1]
