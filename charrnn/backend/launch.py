"""Whether a launcher of MPI started this process, found without importing MPI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

RANKS = ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")
"""Environment variables in which launchers tell a process its rank."""
SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS")
"""The same for the number of ranks."""


class Launched(NamedTuple):
    """The rank of this process, and the number of ranks; 0 if the launcher does not tell it."""

    rank: int
    size: int


def launched(environment: Mapping[str, str]) -> Launched | None:
    """Return what the launcher told this process; None if none started several."""
    rank, size = (_number(environment, names) for names in (RANKS, SIZES))
    return None if rank is None or size == 1 else Launched(rank, size or 0)


def _number(environment: Mapping[str, str], names: tuple[str, ...]) -> int | None:
    """Return the number in the first of some variables that is set."""
    found = next((environment[name] for name in names if name in environment), "")
    return int(found) if found.isdecimal() else None
