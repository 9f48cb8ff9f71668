"""``charrnn.Generator``: a network that writes the texts of labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from os import PathLike
from typing import Any

import numpy as np

from charrnn.api import arguments
from charrnn.api.model import Model
from charrnn.api.saving import save
from charrnn.backend import Backend
from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.display import brief
from charrnn.errors import UsageError
from charrnn.evaluate.generated import TextScores
from charrnn.model.sequences.generator import Generator as Network
from charrnn.sampling import Sample
from charrnn.sampling.options import DEFAULT_LENGTH
from charrnn.storage.checkpoint import Checkpoint
from charrnn.storage.given import number_of
from charrnn.text import Vocabulary
from charrnn.text.labelled.examples import Labelled
from charrnn.text.layout import DOCUMENTS


class Generator:
    """A language model whose text depends on a label.

    Made by :func:`charrnn.fit` with ``task="generate"``, and by :func:`charrnn.load`.

    Attributes
    ----------
    network
        The :class:`charrnn.model.sequences.generator.Generator` with its weights.
    vocabulary, labels
        Its symbols, and the names of its labels.
    training, data
        The settings that it was trained with, and how its texts were read.
    """

    def __init__(
        self,
        network: Network,
        vocabulary: Vocabulary,
        labels: tuple[str, ...],
        training: TrainConfig | None = None,
        data: DataConfig | None = None,
    ) -> None:
        self.network, self.vocabulary, self.labels = network, vocabulary, labels
        self.training = training
        self.data = data or DataConfig(level=vocabulary.level, examples="document")

    def __repr__(self) -> str:
        config = self.config
        return (
            f"Generator(cell={config.cell!r}, layers={config.layers}, hidden={config.hidden}, "
            f"level={self.vocabulary.level!r}, labels={len(self.labels)}, "
            f"parameters={self.network.weights.flat.size})"
        )

    @property
    def config(self) -> ModelConfig:
        """The architecture."""
        return self.network.config

    def given(self, label: str) -> Model:
        """Return the language model of one label; its weights are copies.

        Its texts are documents: each begins from a zero state and has an end of its own.

        Raises
        ------
        UsageError
            If there is no such label.
        """
        network = self.network.given(self._number(label))
        data = DataConfig(level=self.vocabulary.level, examples="document")
        return Model(network, self.vocabulary, self.training, data)

    def sample(self, length: int = DEFAULT_LENGTH, *, label: str, **options: Any) -> str | bytes:
        """Return a text of a label, of at most ``length`` symbols; bytes at byte level.

        Takes the options of :meth:`charrnn.Model.stream`, and raises the same errors.
        """
        return self.given(label).sample(length, **options)

    def samples(
        self, count: int, length: int = DEFAULT_LENGTH, *, label: str, **options: Any
    ) -> Iterator[Sample]:
        """Yield ``count`` texts of a label; see :meth:`charrnn.Model.samples`.

        The texts are without their ends, whose log-probabilities are the last of ``log_probs``.
        """
        made = self.given(label).samples(count, length, **options)
        end: Any = self.vocabulary.text(DOCUMENTS.end)
        return (replace(one, text=one.text.removesuffix(end)) for one in made)

    def evaluate(self, pairs: Iterable[Any]) -> TextScores:
        """Return how well texts are predicted, given (text, label) pairs.

        Each text is scored from its first symbol to its end. Symbols that the model does not know
        are left out, or read as its unknown symbol; empty texts are left out.

        Raises
        ------
        UsageError
            If there is no pair, one is not of this form, or the model does not know a label.
        """
        texts, skipped = self.labelled(pairs)
        start = DOCUMENTS.start(self.vocabulary)
        return TextScores.of(self.network, texts, self.vocabulary, self.labels, start, skipped)

    def labelled(self, pairs: Iterable[Any]) -> tuple[Labelled, int]:
        """Return (text, label) pairs in the symbols of the model, and the symbols left out.

        Raises
        ------
        UsageError
            As :meth:`evaluate`.
        """
        ids, of, skipped = [], [], 0
        end = self.vocabulary.encode(self.vocabulary.text(DOCUMENTS.end), "skip")
        for given, label in arguments.pairs(pairs, "text", "label"):
            text = arguments.text_of(given, self.vocabulary)
            known = self.vocabulary.encode(text, "skip")
            number = self._number(label)
            if text:
                skipped += self.vocabulary.count(text) - len(known)
                cut = self.vocabulary.count(text) > self.data.max_length
                ids.append(known[: self.data.max_length] if cut else np.append(known, end))
                of.append(number)
        if not ids:
            raise UsageError("there is no pair to evaluate on", "give (text, label) pairs")
        return replace(Labelled.unlabelled(ids), labels=np.array(of, np.int32)), skipped

    def save(self, path: str | PathLike[str]) -> None:
        """Write the model to a checkpoint file.

        Raises
        ------
        CharRNNError
            If it cannot be written.
        """
        weights = self.network.backend.get(self.network.weights.flat)
        saved = Checkpoint(
            self.config,
            self.vocabulary,
            weights,
            train=self.training,
            data=self.data,
            labels=self.labels,
        )
        save(saved, path)

    def _number(self, label: Any) -> int:
        if not isinstance(label, str):
            raise UsageError(f"label must be a string, not {brief(label)}")
        return number_of(label, self.labels, "the model")


def generator(checkpoint: Checkpoint, backend: Backend) -> Generator:
    """Return the generator of a checkpoint."""
    network = checkpoint.model(backend)
    assert isinstance(network, Network)
    return Generator(
        network, checkpoint.vocabulary, checkpoint.labels, checkpoint.train, checkpoint.data
    )
