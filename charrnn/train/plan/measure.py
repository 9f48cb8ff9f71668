"""How fast this machine trains, measured on a few steps of the model that is planned."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from time import perf_counter
from typing import Any

from charrnn.backend import Backend
from charrnn.backend.team import Team
from charrnn.config import ModelConfig, TrainConfig
from charrnn.train.divergence import DivergedError
from charrnn.train.recipes.base import Recipe

MOST_STEPS = 100
ROUND = 8
"""The most updates between two averages of ranks that train apart: long rounds take too long."""


def symbols_per_second(
    recipe: Recipe,
    config: ModelConfig,
    corpus: Any,
    train: TrainConfig,
    backend: Backend,
    team: Team,
    seconds: float,
) -> float:
    """Return how many symbols a second the team trains on, measured for about ``seconds``.

    The model that is trained for it is thrown away. All members make the same number of steps.

    Raises
    ------
    OutOfMemoryError
        If the backend has not enough memory for it.
    """
    recipe.required_memory(config, corpus, train, backend, team)
    model = recipe.fresh(config, corpus, train.seed, backend)
    updates = min(train.sync_every, ROUND)
    loop, _ = recipe.loop(model, corpus, replace(train, sync_every=updates), team)

    def took(rounds: int) -> float:
        begun = perf_counter()
        for _ in range(rounds):
            loop.step()
        backend.get(model.weights.flat[:1])  # waits for a GPU
        return team.same((perf_counter() - begun) / rounds)

    try:
        each = took(1)  # prepares memory
        left = seconds - each
        if each < left:
            each = took(1)
            rounds = min(MOST_STEPS // updates, ceil((left - each) / each))
            each = took(rounds) if rounds > 1 else each
    except DivergedError:  # not the subject here: it will be met in training
        each = seconds
    return float(loop.task.symbols_per_batch * updates / each)
