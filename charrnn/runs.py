"""Run folders: where they are, which checkpoint of one is meant, and its metrics file."""

from __future__ import annotations

import json
import mmap
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from charrnn.errors import CharRNNError, UsageError

HOME = Path("checkpoints")
SUFFIX = ".safetensors"
BEST, LAST = "best" + SUFFIX, "last" + SUFFIX
METRICS = "metrics.jsonl"


def resolve(run: str | None = None, which: str = "best") -> Path:
    """Return the checkpoint file that RUN means.

    Parameters
    ----------
    run
        A run folder, a checkpoint file, or a run's name under ``checkpoints/``; None or ``last``
        for the newest run there.
    which
        ``"best"`` or ``"last"`` of a run; where there is no best, the last is meant.

    Raises
    ------
    CharRNNError
        If there is no such run, or it has no checkpoint yet.
    """
    if run is None or (run == "last" and not Path(run).exists()):
        return _of_folder(newest(), which)
    path = Path(run)
    if path.is_file():
        return path
    folder = path if path.is_dir() else HOME / run
    if not folder.is_dir():
        raise CharRNNError(
            f"there is no run {str(run)!r}", "charrnn runs lists them; charrnn train makes one"
        )
    return _of_folder(folder, which)


def _of_folder(folder: Path, which: str) -> Path:
    for name in (BEST, LAST) if which == "best" else (LAST,):
        if (folder / name).is_file():
            return folder / name
    raise CharRNNError(
        f"run {str(folder)!r} has no checkpoint yet",
        "train it to its first save",
    )


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
    found = [(path.stat().st_mtime_ns, path.parent) for path in HOME.glob("*/" + LAST)]
    return [folder for _, folder in sorted(found)]


def create(name: str | None, out: str | None, source: str) -> Path:
    """Make the folder of a new run.

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
        If the folder cannot be made.
    """
    if name is not None and out is not None:
        raise UsageError("--name and --out exclude each other", "give one of them")
    if name is not None and (name in ("", ".", "..", "last") or Path(name).name != name):
        raise UsageError(f"--name cannot be {name!r}", "give a plain word")
    if out is not None or name is not None:
        folder = Path(out) if out is not None else HOME / str(name)
        if (folder / METRICS).exists() or (folder / LAST).exists():
            raise UsageError(
                f"there is a run in {str(folder)!r} already",
                f"continue it with --resume {folder}, or choose another name",
            )
        _make(folder, exist_ok=True)
        return folder
    stem = "stdin" if source == "-" else Path(source).stem
    stem = re.sub(r"[^\w.-]+", "-", stem).strip(".-") or "run"
    for number in range(1, 1_000_000):
        folder = HOME / (stem if number == 1 else f"{stem}-{number}")
        if _make(folder, exist_ok=False):
            return folder
    raise CharRNNError(f"there are too many runs named {stem!r}", "give --name")


def _make(folder: Path, exist_ok: bool) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=exist_ok)
    except FileExistsError:
        if exist_ok:
            raise CharRNNError(f"{str(folder)!r} is not a folder", "choose another") from None
        return False
    except OSError as problem:
        raise CharRNNError(
            f"cannot make folder {str(folder)!r}: {problem.strerror}", "choose another with --out"
        ) from None
    return True


def keep_heldout(folder: Path, split: str, ids: np.ndarray) -> None:
    """Keep the ids of a held-out text in the run, so that it can be scored without the corpus."""
    path = folder / f"{split}.npy"
    temporary = folder / f".{split}.npy.{os.getpid()}.tmp"
    with temporary.open("wb") as file:
        np.lib.format.write_array_header_2_0(
            file, {"descr": ids.dtype.str, "fortran_order": False, "shape": ids.shape}
        )
        for start in range(0, len(ids), 1 << 22):
            file.write(ids[start : start + (1 << 22)].tobytes())
            _release(ids)
    temporary.replace(path)


def _release(ids: np.ndarray) -> None:
    """Give the pages of a memory-mapped array back; reading it again brings them in again."""
    owner: Any = ids
    while isinstance(owner, np.ndarray):
        owner = owner.base
    if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        owner.madvise(mmap.MADV_DONTNEED)


def heldout(checkpoint: Path, split: str) -> np.ndarray:
    """Return the ids of the run's own validation (``val``) or test text, memory-mapped.

    Raises
    ------
    CharRNNError
        If the run kept none.
    """
    path = checkpoint.parent / f"{split}.npy"
    try:
        ids: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError):
        raise CharRNNError(
            f"there is no {split} text beside {checkpoint}",
            f"train with --{split}-frac or --{split}, or give a text to score",
        ) from None
    if ids.ndim != 1 or ids.dtype.kind != "u":
        raise CharRNNError(f"{path} does not hold encoded text")
    return ids


class Metrics:
    """A run's ``metrics.jsonl``, one JSON object a line, appended as training goes."""

    def __init__(self, folder: Path, keep: int) -> None:
        """Open the file and drop all beyond its first ``keep`` bytes."""
        self._file: BinaryIO = (folder / METRICS).open("ab")
        if self._file.tell() > keep:
            self._file.truncate(keep)

    def write(self, line: dict[str, Any]) -> None:
        """Append one line."""
        self._file.write((json.dumps(line, ensure_ascii=False) + "\n").encode())
        self._file.flush()

    def settle(self) -> int:
        """Flush the file to disk and return its length in bytes."""
        os.fsync(self._file.fileno())
        return self._file.seek(0, os.SEEK_END)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_metrics(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of a run's metrics; an unfinished last line is passed over."""
    try:
        with (folder / METRICS).open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    yield json.loads(line)
    except FileNotFoundError:
        return
