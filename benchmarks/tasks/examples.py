"""A table of examples that both sides read, and a run on it. Imports no peer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from charrnn.architecture import defaults
from charrnn.backend import Backend
from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.model.network import Network
from charrnn.tasks.base import Task
from charrnn.train import recipes
from charrnn.train.loop import Loop


@dataclass(frozen=True)
class Plan:
    """A run: the kind of task, its table, and what differs from the task's defaults."""

    kind: str
    table: str
    cell: str
    steps: int
    seed: int
    level: str = "char"
    hidden: int | None = None


class Run:
    """A model, its data and its training loop, as ``charrnn train`` makes them."""

    def __init__(self, plan: Plan, backend: Backend | None = None) -> None:
        own: dict[str, Any] = {"cell": plan.cell, "task": plan.kind}
        own |= {"ngrams": 0, "counts": 0.0}  # PyTorch's model has none
        own |= {"hidden": plan.hidden} if plan.hidden else {}
        settings = defaults(plan.kind, plan.level)
        of_model = {n: value for n, value in settings.items() if ModelConfig.knows(n)}
        of_train = {n: value for n, value in settings.items() if TrainConfig.knows(n)}
        of_data = {n: value for n, value in settings.items() if DataConfig.knows(n)}
        self.config = ModelConfig(**of_model | own)
        more = {"steps": plan.steps, "seed": plan.seed, "eval_every": 0}
        self.train = TrainConfig(**of_train | more)
        recipe = recipes.of(plan.kind)
        self.data = recipe.read(
            DataConfig(sources=(plan.table,), level=plan.level, **of_data), plan.seed
        )
        self.model: Network = recipe.fresh(self.config, self.data, plan.seed, backend)
        self.loop: Loop = recipe.loop(self.model, self.data, self.train)[0]

    @property
    def task(self) -> Task:
        """The batches, the loss and the metric."""
        return self.loop.task
