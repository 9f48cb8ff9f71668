"""``charrnn.Tagger``: a network that labels the symbols or tokens of sequences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from charrnn.api import arguments
from charrnn.api.trained import Trained
from charrnn.config import DataConfig, TrainConfig
from charrnn.display import brief, count
from charrnn.errors import CorpusError, UsageError
from charrnn.evaluate.tagging import Tagging, Tokens
from charrnn.evaluate.tags import TagScorer, TagScores
from charrnn.model.sequences.tagger import Tagger as Network
from charrnn.text import Vocabulary
from charrnn.text.pairs.symbols import split
from charrnn.text.tagged.dataset import TaggedTable, tagged_of
from charrnn.text.tagged.examples import Tagged
from charrnn.train.recipes.applies import refuse_bytes

Sequences = list[tuple[Sequence[str], Sequence[str]]]


class Tagger(Trained):
    """A network that labels the symbols or tokens of sequences.

    Made by :func:`charrnn.fit` with ``task="tag"``, and by :func:`charrnn.load`.

    Attributes are those of :class:`~charrnn.api.trained.Trained`.
    """

    kind = Network
    network: Network

    def __init__(
        self,
        network: Network,
        vocabulary: Vocabulary,
        labels: tuple[str, ...],
        training: TrainConfig | None = None,
        data: DataConfig | None = None,
    ) -> None:
        super().__init__(network, vocabulary, labels, training, data)
        how = (self.data.format, self.data.max_length)
        self._tokens = Tokens(network, vocabulary, labels, *how)
        self._level = "char" if self._tokens.single else "word"

    @classmethod
    def table(cls, pairs: Any, data: DataConfig, seed: int) -> tuple[TaggedTable, DataConfig]:
        """Return what is trained on, and its format, given (tokens, labels) pairs."""
        refuse_bytes("tag", data)
        found = tagged_pairs(pairs, data.level)
        table = tagged_of(found, replace(data, format="columns"), seed)
        return table, replace(data, format=table.format)

    def predict(self, sequences: Iterable[Any]) -> list[Tagging]:
        """Return the labels of sequences, and their probabilities, in their order.

        A sequence is a list of tokens, or a string: if the tagger labels characters, these are the
        tokens, else what is between spaces.

        Raises
        ------
        UsageError
            If ``sequences`` is not a list of such sequences, or the tokens are not of the kind that
            the tagger was trained on.
        """
        if isinstance(sequences, str | bytes):
            raise UsageError("sequences must be a list, not a string", "give [sequence]")
        found = []
        for number, sequence in enumerate(arguments.lines(sequences)):
            tokens = tokens_of(sequence, self._level, f"sequence {number}")
            self._check(tokens, number)
            found.append(tokens)
        return self._tokens.tags(found)

    def evaluate(self, pairs: Iterable[Any]) -> TagScores:
        """Return how well sequences are labelled, given (tokens, labels) pairs.

        Raises
        ------
        UsageError
            If there is no pair, or one is not of this form.
        CorpusError
            If the model does not know a label.
        """
        scores = TagScorer(self.network).of(self.encoded(pairs), self.labels)
        assert scores is not None
        return scores

    def encoded(self, pairs: Iterable[Any]) -> Tagged:
        """Return (tokens, labels) pairs in the symbols and labels of the model.

        Raises
        ------
        UsageError, CorpusError
            As :meth:`evaluate`.
        """
        known = {label: number for number, label in enumerate(self.labels)}
        found, tags = [], []
        for number, (tokens, labels) in enumerate(tagged_pairs(pairs, self._level)):
            self._check(tokens, number)
            for label in labels:
                if label not in known:
                    message = f"the label {brief(label)} is unknown"
                    raise CorpusError(message, f"known: {brief(known)}")
            ids, ends = self._tokens.ids(tokens)
            at = np.full(len(ids), len(known), np.uint32)
            at[ends] = [known[label] for label in labels]
            found.append((ids, ends))
            tags.append(at)
        if not found:
            raise UsageError("there is no pair to evaluate on", "give (tokens, labels) pairs")
        whole = Tagged.untagged(found, len(known))
        whole = Tagged(whole.ids, np.concatenate(tags), whole.begins, whole.lengths, len(known))
        pieces, _ = whole.cut(self.data.max_length)
        return pieces

    def _check(self, tokens: Sequence[str], number: int) -> None:
        """Raise :class:`UsageError` if tokens have several characters, but should have one."""
        for token in tokens if self._tokens.single else ():
            if len(token) > 1:
                raise UsageError(
                    f"sequence {number} has a token of {len(token)} characters, {brief(token)}, "
                    "but the tagger labels single ones",
                    "give a string, or a list of characters",
                )


def tagged_pairs(pairs: Any, level: str) -> Sequences:
    """Return checked (tokens, labels) pairs.

    Raises
    ------
    UsageError
        If ``pairs`` is not a list of pairs of as many tokens as labels.
    """
    if isinstance(pairs, str | bytes):
        raise UsageError("pairs must be a list of (tokens, labels), not a string")
    found: Sequences = []
    for number, pair in enumerate(arguments.lines(pairs)):
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            message = f"pair {number} must be tokens and their labels, not {brief(pair)}"
            raise UsageError(message, "give strings, or lists of strings, of equal length")
        tokens, labels = (tokens_of(each, level, f"pair {number}") for each in pair)
        if len(tokens) != len(labels):
            raise UsageError(
                f"pair {number} has {count(len(tokens), 'token')}, "
                f"but {count(len(labels), 'label')}",
                "give a label for each",
            )
        if tokens:
            found.append((tokens, labels))
    return found


def tokens_of(value: Any, level: str, name: str) -> Sequence[str]:
    """Return tokens, or labels, given as a list or as a string.

    Raises
    ------
    UsageError
        If they are not strings, or one is empty.
    """
    if isinstance(value, str):
        value = split(value, level)
    if not isinstance(value, str | list | tuple) or not all(
        isinstance(token, str) and token for token in value
    ):
        raise UsageError(
            f"{name} must be a string or a list of strings that are not empty, not {brief(value)}"
        )
    return list(value)
