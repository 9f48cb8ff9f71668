"""How a new run begins: with fresh weights, or with those of another run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from charrnn.backend import Backend
from charrnn.config import ModelConfig
from charrnn.model.network import Network
from charrnn.storage.checkpoint import Checkpoint
from charrnn.train.recipes.base import Recipe


class Beginning:
    """A network with the first weights of a run, which can be had again.

    Parameters
    ----------
    recipe, corpus
        Of the run's task, and the data that it has read.
    config, seed, backend
        The network, the seed of fresh weights, and where to compute.
    start
        The checkpoint whose weights the run starts from; None: they are fresh.

    Attributes
    ----------
    model
        The network.
    origin
        The absolute path of the checkpoint; None without one.
    notes
        What came of the weights of the checkpoint.
    """

    def __init__(
        self,
        recipe: Recipe,
        config: ModelConfig,
        corpus: Any,
        seed: int,
        backend: Backend,
        start: Checkpoint | None,
    ) -> None:
        self._fresh = recipe, config, corpus, seed
        self._kept: np.ndarray | None = None
        self.origin: str | None = None
        self.notes: list[str] = []
        if start is None:
            self.model: Network = recipe.fresh(config, corpus, seed, backend)
            return
        assert start.path is not None
        weights, change = recipe.transfer(start, config, corpus, seed)
        model = recipe.with_weights(config, corpus, backend, weights)
        self.model = recipe.counted(model, corpus, start)
        self.origin = str(Path(start.path).absolute())
        self.notes.append(f"starting from {start.path}: {change}")
        # in memory until the first save: the file may have been replaced by then
        self._kept = self.model.backend.get(self.model.weights.flat).copy()

    def weights(self) -> np.ndarray:
        """Return the first weights again, on the host: fresh ones are drawn again."""
        if self._kept is not None:
            return self._kept
        recipe, config, corpus, seed = self._fresh
        return np.asarray(recipe.fresh(config, corpus, seed).weights.flat)
