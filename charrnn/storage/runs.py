"""Run folders: where they are, which checkpoint of one is meant, and what else is kept there."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from charrnn import files
from charrnn.errors import CharRNNError, UsageError
from charrnn.storage import heldout, lock
from charrnn.storage.lock import Lock, LockedError
from charrnn.storage.metrics import METRICS as METRICS

HOME = Path("checkpoints")
SUFFIX = ".safetensors"
BEST, LAST = "best" + SUFFIX, "last" + SUFFIX
_BEGINNING = b'{"event": "start"'


def resolve(run: str | None = None, which: str = "best") -> Path:
    """Return the checkpoint file that RUN means.

    Parameters
    ----------
    run
        A run folder, a checkpoint file, or a run's name under ``checkpoints/``; None or ``last``
        for the newest run there.
    which
        ``"best"`` or ``"last"`` of a run; where there is only the other, that is meant.

    Raises
    ------
    CharRNNError
        If there is no such run, or it has no checkpoint yet.
    """
    if run is None or (run == "last" and not Path(run).exists()):
        return _of_folder(newest(), which)
    path = Path(run)
    try:
        if path.is_file():
            return path
        folder = path if path.is_dir() else HOME / run
        found = folder.is_dir()
    except OSError as problem:  # a name that is too long, a folder that may not be entered
        raise CharRNNError(f"cannot read {run[:200]!r}: {problem.strerror or problem}") from None
    if not found:
        raise CharRNNError(
            f"there is no run {str(run)!r}", "charrnn runs lists them; charrnn train makes one"
        )
    return _of_folder(folder, which)


def _of_folder(folder: Path, which: str) -> Path:
    for path in _checkpoints(folder, which):
        return path
    raise CharRNNError(
        f"run {str(folder)!r} has no checkpoint yet",
        "train it to its first save",
    )


def _checkpoints(folder: Path, which: str = "last") -> Iterator[Path]:
    """Yield what there is of a run: the one that is meant first, the numbered ones at the end."""
    named = [folder / name for name in ((BEST, LAST) if which == "best" else (LAST, BEST))]
    numbered = sorted(folder.glob(f"step-*{SUFFIX}"), reverse=True)
    yield from (path for path in (*named, *numbered) if path.is_file())


def newest() -> Path:
    """Return the run folder under ``checkpoints/`` with the newest checkpoint.

    Raises
    ------
    CharRNNError
        If there is none.
    """
    found = folders()
    if not found:
        raise CharRNNError(
            f"there is no run under {HOME}/", "train one first: charrnn train python-docs"
        )
    return found[-1]


def folders() -> list[Path]:
    """Return the run folders under ``checkpoints/`` that have a checkpoint, oldest first."""
    found = []
    for folder in HOME.glob("*/"):
        for path in islice(_checkpoints(folder), 1):
            found.append((path.stat().st_mtime_ns, folder))
    return [folder for _, folder in sorted(found)]


def create(name: str | None, out: str | None, source: str) -> Lock:
    """Make and lock the folder of a new run.

    A folder with what is left of a run that was stopped before its first checkpoint is taken over.

    Parameters
    ----------
    name
        ``--name``: must not exist yet.
    out
        ``--out``: a folder that does not hold a run yet.
    source
        What the text came from; names the run if nothing else does.

    Raises
    ------
    UsageError
        If the name cannot be a folder's, or a run of that name exists.
    CharRNNError
        If the folder cannot be made, or another process is training there.
    """
    if name is not None and out is not None:
        raise UsageError("--name and --out exclude each other", "give one of them")
    if name is not None and (name in ("", ".", "..", "last") or Path(name).name != name):
        raise UsageError(f"--name cannot be {name!r}", "give a plain word")
    if out is not None or name is not None:
        folder = Path(out) if out is not None else HOME / str(name)
        held = Lock(folder, made=_make(folder))
        if _free(folder):
            return held
        held.release()
        raise UsageError(
            f"there is a run in {str(folder)!r} already",
            f"continue it with --resume {folder}, or choose another name",
        )
    stem = "stdin" if source == "-" else Path(source).stem
    stem = re.sub(r"[^\w.-]+", "-", stem).strip(".-") or "run"
    for number in range(1, 1_000_000):
        folder = HOME / (stem if number == 1 else f"{stem}-{number}")
        made = _make(folder)
        if not made and not _abandoned(folder):
            continue
        try:
            held = Lock(folder, made)
        except LockedError:
            continue
        if _abandoned(folder) and _free(folder):
            return held
        held.release()
    raise CharRNNError(f"there are too many runs named {stem!r}", "give --name")


def _make(folder: Path) -> bool:
    """Make the folder; False if it is there already."""
    try:
        files.make_folder(folder)
    except FileExistsError:
        if not folder.is_dir():
            raise CharRNNError(f"{str(folder)!r} is not a folder", "choose another") from None
        return False
    except OSError as problem:
        raise CharRNNError(
            f"cannot make folder {str(folder)!r}: {problem.strerror}", "choose another with --out"
        ) from None
    return True


def _abandoned(folder: Path) -> bool:
    """Whether nothing is there but what a run leaves that was stopped before its first save."""
    try:
        names = {path.name for path in folder.iterdir() if not files.is_temporary(path.name)}
    except OSError:
        return False
    return bool(names & {METRICS, lock.NAME}) and names <= {METRICS, lock.NAME, *heldout.NAMES}


def _free(folder: Path) -> bool:
    """Whether a new run may begin in a folder that is locked; clear what an unsaved one left."""
    if any(_checkpoints(folder)):
        return False
    try:
        handle = files.open_regular(folder / METRICS, follow=True)
    except FileNotFoundError:
        return True
    except files.NotRegularError:
        return False
    with os.fdopen(handle, "rb") as file:
        beginning = file.read(len(_BEGINNING))
    if not _BEGINNING.startswith(beginning):
        return False  # of something else
    for name in (*heldout.NAMES, METRICS):
        (folder / name).unlink(missing_ok=True)
    return True
