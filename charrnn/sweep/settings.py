"""The settings of a sweep itself; those of its trials are the settings of training."""

from __future__ import annotations

from dataclasses import dataclass

from charrnn.options import declare, declared
from charrnn.registry import reserve
from charrnn.settings import Configuration

GRID, RANDOM, TPE = "grid", "random", "tpe"
BEST = "best"
_SWEEP = "Sweep"


@dataclass(frozen=True, init=False)
class SweepConfig(Configuration):
    """How a sweep searches, when it ends, and what it keeps."""

    search: str | None = declare(
        None,
        "grid (every combination, in an order drawn by --seed), random, or tpe (a model of the "
        "trials so far proposes the next one).",
        kind=str,
        group=_SWEEP,
        choices=(GRID, RANDOM, TPE),
        shown="grid if every --try lists its values, else tpe",
    )
    trials: int | None = declare(
        None,
        "End when the sweep has this many trials.",
        kind=int,
        group=_SWEEP,
        least=1,
        shown="with grid, all combinations",
    )
    total_minutes: float | None = declare(
        None,
        "End this command after so many minutes; the same command goes on later.",
        kind=float,
        group=_SWEEP,
        above=0,
    )
    prune: bool = declare(
        True,
        "Stop a trial early if its validation loss is worse than the median of the finished ones "
        "had at that point; --no-prune: never.",
        group=_SWEEP,
        shown="--prune",
        switch=True,
    )
    keep_runs: str = declare(
        BEST,
        "Whose checkpoints to keep: the best trial's (of the others, the metrics stay), or those "
        "of all.",
        group=_SWEEP,
        choices=(BEST, "all"),
    )


reserve(declared(SweepConfig))
