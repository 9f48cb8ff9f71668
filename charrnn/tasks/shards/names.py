"""Which rank reads which files."""

from __future__ import annotations

from collections.abc import Sequence

from charrnn.config import DataConfig
from charrnn.display import count, one_line
from charrnn.errors import UsageError, setting


def names_of(names: Sequence[str], rank: int, size: int) -> list[str]:
    """Return the files that a rank reads."""
    return list(names[rank::size])


def files_of_ranks(data: DataConfig, ranks: int, most: int) -> list[list[str]] | None:
    """Return the names of the first files of each rank; None if all of them read everything."""
    if not data.shard_files:
        return None
    of_each = (names_of(data.sources, rank, ranks)[:most] for rank in range(ranks))
    return [[one_line(name) for name in names] for names in of_each]


def check(data: DataConfig, size: int) -> None:
    """Raise :class:`UsageError` if a list of files cannot be divided among ``size`` ranks."""
    if not data.shard_files:
        return
    files = setting("shard_files")
    if data.examples or data.hold_out == "examples":
        name = "examples" if data.examples else "hold_out"
        message = f"{files} divides a text, but {setting(name)} {data.get(name)} cuts it otherwise"
        raise UsageError(message, "leave one of them out")
    if size == 1:
        message = f"{files} divides the files among ranks, but this is a single process"
        raise UsageError(message, "start it with mpirun, or leave it out")
    if len(data.sources) < size:
        raise UsageError(
            f"{files}: {count(len(data.sources), 'file')} cannot be divided among {size} ranks",
            "name more files, or start fewer ranks",
        )
