"""The optimizers, one per file; found by file name.

Adding an optimizer means adding one file with a class that derives from
:class:`charrnn.train.optimizers.base.Optimizer`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from charrnn.backend import Backend
from charrnn.config import TrainConfig
from charrnn.registry import OPTIMIZERS

if TYPE_CHECKING:
    from charrnn.model.parameters import Parameters
    from charrnn.train.optimizers.base import Optimizer


def moments(config: TrainConfig) -> int:
    """Return how many arrays of the size of the weights are kept for their updates."""
    outer = 2 if config.sync_every > 1 else 0  # see charrnn.train.local.outer
    return len(OPTIMIZERS.get(config.optimizer).slots) + outer


def create(config: TrainConfig, backend: Backend, parameters: Parameters) -> Optimizer:
    """Return the optimizer that ``config`` describes, for these parameters."""
    kind = OPTIMIZERS.get(config.optimizer)
    optimizer: Optimizer = kind(
        backend, parameters, config.weight_decay, **config.optimizer_options
    )
    return optimizer
