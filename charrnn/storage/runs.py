"""Run folders: where they are, which checkpoint of one is meant, and what else is kept there."""

from __future__ import annotations

import io
import mmap
import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from charrnn import files
from charrnn.errors import CharRNNError, UsageError, shown
from charrnn.storage import lock
from charrnn.storage.lock import Lock, LockedError
from charrnn.storage.metrics import METRICS as METRICS
from charrnn.storage.metrics import read_metrics as read_metrics

HOME = Path("checkpoints")
SUFFIX = ".safetensors"
BEST, LAST = "best" + SUFFIX, "last" + SUFFIX
_NPY = re.compile(
    rb"\x93NUMPY(?:\x01\0(?P<short>..)|\x02\0(?P<length>....))"
    rb"\{'descr': '(?P<dtype>[<|>]u[1248])', 'fortran_order': False, "
    rb"'shape': \((?P<count>[0-9]{1,18}),\), \} *\n",
    re.DOTALL,
)
_HELDOUT = ("val.npy", "test.npy")
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
    return bool(names & {METRICS, lock.NAME}) and names <= {METRICS, lock.NAME, *_HELDOUT}


def _free(folder: Path) -> bool:
    """Whether a new run may begin in a folder that is locked; clear what an unsaved one left."""
    if any(_checkpoints(folder)):
        return False
    if not (folder / METRICS).exists():
        return True
    with (folder / METRICS).open("rb") as file:
        beginning = file.read(len(_BEGINNING))
    if not _BEGINNING.startswith(beginning):
        return False  # of something else
    for name in (*_HELDOUT, METRICS):
        (folder / name).unlink(missing_ok=True)
    return True


def keep_heldout(folder: Path, split: str, ids: np.ndarray) -> None:
    """Keep the ids of a held-out text in the run, so that it can be scored without the corpus."""
    files.write(folder / f"{split}.npy", _npy(ids))


def _npy(ids: np.ndarray) -> Iterator[bytes]:
    """Yield the parts of an ``.npy`` file."""
    header = io.BytesIO()
    np.lib.format.write_array_header_2_0(
        header, {"descr": ids.dtype.str, "fortran_order": False, "shape": ids.shape}
    )
    yield header.getvalue()
    for start in range(0, len(ids), 1 << 22):
        yield ids[start : start + (1 << 22)].tobytes()
        _release(ids)


def _release(ids: np.ndarray) -> None:
    """Give the pages of a memory-mapped array back; reading it again brings them in again."""
    owner: Any = ids
    while isinstance(owner, np.ndarray):
        owner = owner.base
    if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        owner.madvise(mmap.MADV_DONTNEED)


def heldout(checkpoint: Path, split: str, symbols: int | None = None) -> np.ndarray:
    """Return the ids of the run's own validation (``val``) or test text, memory-mapped.

    ``symbols`` is the size of the vocabulary that they must be of. They must not be shortened by
    anyone while they are in use.

    Raises
    ------
    CharRNNError
        If the run kept none, or the file holds something else.
    """
    path = checkpoint.parent / f"{split}.npy"
    if not path.is_file():  # a FIFO would have to be waited for
        raise CharRNNError(
            f"there is no {split} text beside {shown(checkpoint)}",
            f"train with --{split}-frac or --{split}, or give a text to score",
        )
    try:
        ids = _mapped(path)
    except (OSError, ValueError):
        raise CharRNNError(f"{shown(path)} does not hold encoded text") from None
    for start in range(0, len(ids) if symbols is not None else 0, 1 << 20):
        if int(ids[start : start + (1 << 20)].max()) >= (symbols or 0):
            raise CharRNNError(f"{shown(path)} does not hold text of the run's vocabulary")
    return ids


def _mapped(path: Path) -> np.ndarray:
    """Map a file that :func:`keep_heldout` wrote.

    NumPy's own reader takes a Python expression for the header and tries to make sense of much.
    """
    with path.open("rb") as file:
        header = _NPY.match(file.read(1 << 10))
        size = os.fstat(file.fileno()).st_size
    if header is None:
        raise ValueError("not a header that was written here")
    dtype, count = np.dtype(header["dtype"].decode()), int(header["count"])
    length = header["length"] or header["short"]  # of the header, in version 2 and 1
    start = 8 + len(length) + int.from_bytes(length, "little")
    if header.end() != start or count * dtype.itemsize != size - start:
        raise ValueError("the header does not fit the file")
    if not count:
        return np.empty(0, dtype)
    return np.memmap(path, dtype, mode="r", offset=start, shape=(count,))
