"""What the models of all tasks have in common whose data are examples."""

from __future__ import annotations

from os import PathLike
from typing import Any, ClassVar, Self

from charrnn.api.saving import save
from charrnn.api.shown import Shown
from charrnn.backend import Backend
from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.model.network import Network
from charrnn.storage.checkpoint import Checkpoint
from charrnn.text import Vocabulary


class Trained(Shown):
    """A network with its symbols and labels; the base class of each task's own.

    Attributes
    ----------
    network
        The network with its weights.
    vocabulary, labels
        The symbols that it reads, and the names of its labels.
    training, data
        The settings that it was trained with, and how its examples were read.
    """

    kind: ClassVar[type[Network]]
    """The class of the network."""

    def __init__(
        self,
        network: Any,
        vocabulary: Vocabulary,
        labels: tuple[str, ...],
        training: TrainConfig | None = None,
        data: DataConfig | None = None,
    ) -> None:
        self.network, self.vocabulary, self.labels = network, vocabulary, labels
        self.training, self.data = training, data or DataConfig(level=vocabulary.level)

    @classmethod
    def of(cls, checkpoint: Checkpoint, backend: Backend) -> Self:
        """Return the model of a checkpoint, which is of this task."""
        network = checkpoint.model(backend)
        assert isinstance(network, cls.kind)
        labels, training = checkpoint.labels, checkpoint.train
        return cls(network, checkpoint.vocabulary, labels, training, checkpoint.data)

    @classmethod
    def table(cls, pairs: Any, data: DataConfig, seed: int) -> tuple[Any, DataConfig]:
        """Return what is trained on, and how it was read, given pairs in memory.

        Raises
        ------
        UsageError
            If ``pairs`` is not a list of such pairs.
        CorpusError
            If there are too few.
        """
        raise NotImplementedError

    def encoded(self, pairs: Any) -> Any:
        """Return pairs in the symbols and labels of the model.

        Raises
        ------
        UsageError
            If there is no pair, or one is not of the task's form.
        """
        raise NotImplementedError

    def __repr__(self) -> str:
        config = self.config
        return (
            f"{type(self).__name__}(cell={config.cell!r}, layers={config.layers}, "
            f"hidden={config.hidden}, {self._shown()}, "
            f"parameters={self.network.weights.trained.flat.size})"
        )

    @property
    def config(self) -> ModelConfig:
        """The architecture."""
        config: ModelConfig = self.network.config
        return config

    def save(self, path: str | PathLike[str]) -> None:
        """Write the model to a checkpoint file.

        Raises
        ------
        CharRNNError
            If it cannot be written.
        """
        saved = Checkpoint(
            self.config,
            self.vocabulary,
            self.network.backend.get(self.network.weights.flat),
            train=self.training,
            data=self.data,
            labels=self.labels,
        )
        save(saved, path)

    def _shown(self) -> str:
        """Return what else ``repr`` shows."""
        return f"level={self.vocabulary.level!r}, labels={len(self.labels)}"
