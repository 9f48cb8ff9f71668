"""How much a diagnosis measures, and which training settings it can be asked to assume.

Light to import: the command line builds its options from these.
"""

from __future__ import annotations

from dataclasses import dataclass

from charrnn.display import brief
from charrnn.errors import UsageError, setting
from charrnn.options import check_fields, declare

DEFAULT_LAG = 64
"""Default of the largest lag, unless the training window is longer."""

STEPS = 1000
"""Updates for which each cell of a comparison is trained, by default."""
HIDDEN = 128
"""Hidden units of a layer of a compared cell, by default."""

ASSUMABLE = ("seq_len", "batch", "state", "optimizer", "lr", "clip_norm")
"""Fields of :class:`~charrnn.config.TrainConfig` that can be assumed in place of a run's own."""


@dataclass(frozen=True)
class Settings:
    """How much to measure.

    If only ``context`` is given, ``max_lag`` is 64 or, if that is not less, ``context`` - 1.

    Raises
    ------
    UsageError
        If a value is invalid.
    """

    windows: int = declare(20, "Training windows over which norms and gates are taken.", least=1)
    max_lag: int | None = declare(
        None,
        "Largest lag of the lag profile, in steps.",
        kind=int,
        least=1,
        shown="64, or the training window if that is longer, at most 256",
    )
    context: int | None = declare(
        None,
        "Symbols read before each anchor, and the longest context.",
        kind=int,
        least=2,
        shown="twice the largest lag",
    )
    anchors: int = declare(256, "Number of single-step losses in the lag profile.", least=2)
    targets: int = declare(256, "Number of symbols predicted with reduced context.", least=2)
    lyapunov_steps: int = declare(3000, "Steps along which Jacobians are multiplied.", least=10)
    exponents: int = declare(8, "Lyapunov exponents of a layer, at most.", least=1)
    seed: int = declare(0, "Seed of anchors, targets and fresh weights.")
    gradcheck: bool = False
    """Whether gradients are compared with central differences, and NumPy with CuPy."""

    def __post_init__(self) -> None:
        check_fields(self)
        if not isinstance(self.gradcheck, bool):
            raise UsageError(f"gradcheck must be True or False, not {brief(self.gradcheck)}")
        if self.context is None:
            return
        if self.max_lag is None:
            object.__setattr__(self, "max_lag", min(DEFAULT_LAG, self.context - 1))
        elif self.context <= self.max_lag:
            raise UsageError(
                f"{setting('context')} must be at least {self.max_lag + 1}, not {self.context}",
                f"it must be above {setting('max_lag')}",
            )
