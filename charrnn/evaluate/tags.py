"""How well a tagger labels sequences: surprisal, accuracy, figures for each label, spans."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.evaluate.labels import BATCH, LabelScores
from charrnn.evaluate.spans import SpanCounts, is_bio
from charrnn.evaluate.windows import Windows
from charrnn.model.sequences.padding import Padding
from charrnn.model.sequences.tagger import Tagger, Tags
from charrnn.text.labelled.batches import SimilarLengths
from charrnn.text.tagged.examples import Tagged
from charrnn.text.units.pieces import Numbers


@dataclass(frozen=True)
class TagScores(LabelScores):
    """How well a tagger labels sequences; ``examples`` is their number.

    Attributes
    ----------
    spans
        The spans of BIO labels; None if the labels are others.
    """

    spans: SpanCounts | None = None

    @property
    def tokens(self) -> int:
        """The number of symbols, or tokens, that have a label."""
        return int(self.confusion.sum())

    def to_json(self, names: Sequence[str]) -> dict[str, Any]:
        """Return the scores as one JSON object; ``names`` are those of the labels."""
        found = super().to_json(names)
        spans = {} if self.spans is None else {"span_f1": self.spans.f1}
        return {"examples": found.pop("examples"), "tokens": self.tokens, **found, **spans}


class TagScorer:
    """Labels the symbols of sequences, in batches of similar length.

    Parameters
    ----------
    model
        Read at every call, so it may be trained meanwhile.
    """

    def __init__(self, model: Tagger) -> None:
        self.model = model
        self._windows = Windows(model)

    def tags(
        self, sequences: Tagged, *, right: bool = False
    ) -> Iterator[tuple[Numbers, Tags, NDArray[np.int32]]]:
        """Yield the numbers of some sequences, their labels (T, N), and the right ones.

        With ``right`` the surprisal of the right ones is computed, too.
        """
        batches, backend = SimilarLengths(sequences.lengths, BATCH, None), self.model.backend
        for step in range(batches.per_epoch):
            numbers, places, _ = batches.at(step)
            ids, lengths = sequences.padded(numbers, places)
            wanted = sequences.padded_tags(numbers, places)
            padding, window = Padding(lengths, len(ids), backend), self._windows.of(*ids.shape)
            known = wanted if right else None
            yield numbers, self.model.tags(window, backend.put(ids), padding, known), wanted

    def of(
        self,
        sequences: Tagged,
        names: Sequence[str] | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> TagScores | None:
        """Return the scores of sequences; None if ``stopped`` returned true.

        ``names`` are those of the labels, if spans are wanted.
        """
        count = self.model.outputs
        confusion, nats = np.zeros((count, count), np.int64), np.zeros(len(sequences))
        spans = SpanCounts() if names is not None and is_bio(names) else None
        for numbers, found, right in self.tags(sequences, right=True):
            if stopped():
                return None
            labelled = right < count
            np.add.at(confusion, (right[labelled], found.best[labelled]), 1)
            nats[numbers] = (found.nats * labelled).sum(axis=0)[: len(numbers)]
            if spans is not None and names is not None:
                for n in range(len(numbers)):
                    at = labelled[:, n]
                    pair = (right[at, n], found.best[at, n])
                    spans.add(*([names[tag] for tag in tags.tolist()] for tags in pair))
        mean = float(nats.sum()) / max(1, int(confusion.sum()))
        return TagScores(len(sequences), mean, confusion, spans)

    def best(self, sequences: Sequence[tuple[NDArray[Any], Numbers]], most: int) -> list[Tags]:
        """Return the labels at each symbol of sequences, (T,) each.

        ``sequences`` are ids, and where labels are wanted; they are read in pieces of at most
        ``most`` symbols.
        """
        whole = Tagged.untagged(sequences, self.model.outputs)
        pieces, _ = whole.cut(most)
        best, log_p = np.zeros(len(whole.ids), np.int32), np.zeros(len(whole.ids))
        for numbers, found, _ in self.tags(pieces):
            for n, number in enumerate(numbers.tolist()):
                begin, length = int(pieces.begins[number]), int(pieces.lengths[number])
                best[begin : begin + length] = found.best[:length, n]
                log_p[begin : begin + length] = found.log_p[:length, n]
        parts = [
            slice(begin, begin + length)
            for begin, length in zip(whole.begins.tolist(), whole.lengths.tolist(), strict=True)
        ]
        return [Tags(best[part], log_p[part], np.zeros(0)) for part in parts]
