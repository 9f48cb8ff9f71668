"""A checkpoint for a team whose first member alone may be able to read the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from charrnn.backend.team import Team
from charrnn.errors import CharRNNError
from charrnn.own import SUFFIX
from charrnn.storage import checkpoint as checkpoints
from charrnn.storage.checkpoint import Checkpoint


def load(team: Team, find: Callable[[], Path]) -> Checkpoint:
    """Return a checkpoint on every member of the team; all of them call this.

    Parameters
    ----------
    find
        Returns the path; called on the first member, which sends the file to the others.

    Raises
    ------
    CharRNNError
        If there is no such file, or it is not a checkpoint.
    """
    if team.size == 1:
        return checkpoints.load(find())
    path, _, data = team.of_first(lambda: _read(find())).partition(b"\0")
    return team.together(lambda: _loaded(Path(path.decode()), data, team.rank == 0))


def _read(path: Path) -> bytes:
    """Return the path and the bytes of a file."""
    try:
        return str(path).encode() + b"\0" + path.read_bytes()
    except OSError as problem:
        raise CharRNNError(f"cannot read {str(path)!r}: {problem.strerror or problem}") from None


def _loaded(path: Path, data: bytes, here: bool) -> Checkpoint:
    """Return the checkpoint at ``path`` if it is ``here``, or else from its bytes."""
    if here:
        return checkpoints.load(path)
    with TemporaryDirectory(prefix="charrnn-") as folder:
        copy = Path(folder) / f"copy{SUFFIX}"
        copy.write_bytes(data)
        checkpoint = checkpoints.load(copy)
    checkpoint.path = path
    return checkpoint
