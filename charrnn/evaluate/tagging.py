"""Labels of new sequences of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.evaluate.tags import TagScorer
from charrnn.model.sequences.tagger import Tagger
from charrnn.text.tagged.dataset import is_spaced, spaced
from charrnn.text.vocabulary import Vocabulary


class Tagging(NamedTuple):
    """The labels of a sequence: one for each token, and their probabilities."""

    tags: list[str]
    p: list[float]


class Tokens:
    """Labels tokens with a model and its symbols.

    Parameters
    ----------
    model
        Read at every call.
    vocabulary, labels
        Its symbols, and the names of its labels.
    format
        What it was trained on: ``columns``, ``symbols`` or ``lines``.
    most
        Longer sequences are read in pieces of as many symbols.
    """

    def __init__(
        self,
        model: Tagger,
        vocabulary: Vocabulary,
        labels: Sequence[str],
        format: str | None,
        most: int,
    ) -> None:
        self.vocabulary, self.labels, self._most = vocabulary, labels, most
        self._spaced = is_spaced(vocabulary.level, format)
        self._scorer = TagScorer(model)

    @property
    def single(self) -> bool:
        """Whether each token is a single character."""
        return self.vocabulary.level == "char" and not self._spaced

    @property
    def characters(self) -> bool:
        """Whether labels are single characters, too: then they are a text of the same length."""
        return self.single and all(len(label) == 1 for label in self.labels)

    def ids(self, tokens: Sequence[str]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Return the symbols of tokens, and where each has its label."""
        if self.vocabulary.level == "word":
            return self.vocabulary.encode_words(tokens), np.arange(len(tokens))
        if self._spaced:
            text, ends = spaced(tokens)
            return self.vocabulary.encode(text), ends
        return self.vocabulary.encode("".join(tokens)), np.arange(len(tokens))

    def tags(self, sequences: Sequence[Sequence[str]]) -> list[Tagging]:
        """Return the labels of sequences of tokens, in their order."""
        encoded = [self.ids(tokens) for tokens in sequences]
        last = [ends for _, ends in encoded]
        found = []
        for tags, at in zip(self._scorer.best(encoded, self._most), last, strict=True):
            names = [self.labels[tag] for tag in tags.best[at].tolist()]
            found.append(Tagging(names, np.exp(tags.log_p[at]).tolist()))
        return found
