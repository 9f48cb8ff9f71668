"""The interface between a training session and the task of its run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from charrnn.backend import Backend
from charrnn.backend.team import Alone, Team
from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.evaluate.baselines import Baselines
from charrnn.model import memory
from charrnn.model.network import Network
from charrnn.model.networks import NETWORKS
from charrnn.storage.checkpoint import Checkpoint
from charrnn.text.vocabulary import Vocabulary
from charrnn.train.loop import Loop
from charrnn.train.records import Sizes


class Data(Protocol):
    """What a run learns from, whatever its task."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The symbols that the network reads."""

    @property
    def sha256(self) -> str:
        """The digest of the training sources."""

    @property
    def heldout_sha256(self) -> str:
        """The digest of the held-out files; empty without any."""

    @property
    def sources(self) -> tuple[str, ...]:
        """Where the data came from."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the user, one line each."""


class Recipe(ABC):
    """What a session needs to know of a task: its data, network, memory and files."""

    @abstractmethod
    def read(self, data: DataConfig, seed: int) -> Any:
        """Return the data of a run: what :class:`Data` has, and what the task needs."""

    def settled(self, data: DataConfig, corpus: Any) -> DataConfig:
        """Return how the data are read, with what only reading them has shown."""
        return data

    def read_together(self, data: DataConfig, seed: int, team: Team) -> Any:
        """Return the data of a run on every member of a team; all of them call this."""
        return team.in_turn(lambda: self.read(data, seed))

    def suited(
        self, config: ModelConfig, corpus: Any, given: Collection[str], start: Checkpoint | None
    ) -> tuple[ModelConfig, list[str]]:
        """Return a new run's architecture, where not given as suits its data; and notes on it.

        ``start`` is the checkpoint whose weights the run starts from.
        """
        return config, []

    @abstractmethod
    def sizes(self, corpus: Any) -> Sizes:
        """Return how much data there is."""

    @abstractmethod
    def estimate(
        self,
        config: ModelConfig,
        corpus: Any,
        train: TrainConfig,
        backend: Backend,
        members: int = 1,
    ) -> memory.Estimate:
        """Return the memory that training needs on each of the members of a team."""

    def required_memory(
        self,
        config: ModelConfig,
        corpus: Any,
        train: TrainConfig,
        backend: Backend,
        team: Team | None = None,
    ) -> memory.Estimate:
        """Return the memory that training needs, on each member of a team.

        Raises
        ------
        CorpusError
            If the training text has fewer than 2 symbols.
        OutOfMemoryError
            If the backend has less memory, for all the members that use it.
        """
        team = team or Alone()
        needed = self.estimate(config, corpus, train, backend, team.size)
        memory.require(needed, backend, team.beside)
        return needed

    @abstractmethod
    def loop(
        self,
        model: Any,
        corpus: Any,
        train: TrainConfig,
        team: Team | None = None,
        **resumed: Any,
    ) -> tuple[Loop, str | None]:
        """Return the loop, and a note on settings that were lowered to fit the data, or None."""

    @abstractmethod
    def transfer(
        self, start: Checkpoint, config: ModelConfig, corpus: Any, seed: int
    ) -> tuple[np.ndarray, str]:
        """Return flat host weights that begin with those of another run, and a note on them."""

    @abstractmethod
    def write_heldout(self, folder: Path, corpus: Any) -> None:
        """Write the held-out parts into the run's folder."""

    def labels(self, corpus: Any) -> tuple[str, ...]:
        """Return the names of the labels; empty if the task has none."""
        return ()

    def fresh(
        self, config: ModelConfig, corpus: Any, seed: int, backend: Backend | None = None
    ) -> Network:
        """Return a new network."""
        outputs = len(self.labels(corpus)) or None
        network = NETWORKS[config.task]
        model = network.fresh(config, len(corpus.vocabulary), seed, backend, outputs=outputs)
        return self.counted(model, corpus)

    def counted(self, model: Any, corpus: Any, start: Checkpoint | None = None) -> Network:
        """Return a new network that has counted what it knows of the data without learning it.

        What ``start`` has counted, whose weights the run starts from, is kept if it can be.
        """
        return model  # type: ignore[no-any-return]

    def with_weights(
        self, config: ModelConfig, corpus: Any, backend: Backend, weights: np.ndarray
    ) -> Network:
        """Return a network of given weights."""
        outputs = len(self.labels(corpus)) or None
        network = NETWORKS[config.task]
        return network(config, len(corpus.vocabulary), backend, weights, outputs=outputs)

    def sampler(self, model: Any, corpus: Any, data: DataConfig, seed: int) -> Any:
        """Return a function that writes a short sample at a step; None if there are none."""
        return None

    def remarks(self, corpus: Any, data: DataConfig) -> list[str]:
        """Return notes on the data of a new run."""
        return []

    def no_better_than(
        self, corpus: Any, loss: float | None
    ) -> tuple[str, float] | tuple[None, None]:
        """Return a guess that is no worse than a model of this loss, and the guess's loss."""
        return None, None

    def baselines(self, corpus: Any, limit: int) -> Baselines | None:
        """Return what simple models and a compressor reach on the validation text.

        ``limit`` is how many of its symbols are scored at most. None if the data are no text, or if
        there is none for validation.
        """
        return None
