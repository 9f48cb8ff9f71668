"""A run's ``metrics.jsonl``: written so that checkpoints can count on it, and read by lines."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from charrnn import files
from charrnn.display import one_line
from charrnn.errors import CharRNNError

METRICS = "metrics.jsonl"
_LONGEST_LINE = 1 << 20


class Metrics:
    """A run's ``metrics.jsonl``, one JSON object a line, appended as training goes."""

    def __init__(self, folder: Path, keep: int) -> None:
        """Open the file and drop all beyond its first ``keep`` bytes.

        Where it is shorter, or does not end with a line there, it is kept to its last whole line.

        Raises
        ------
        CharRNNError
            If it cannot be written.
        """
        self._path = folder / METRICS
        self._handle: int | None = None
        with self._failing():
            self._handle = files.open_regular(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
            self.cut(_last_line(self._handle, min(keep, self.size)))

    def write(self, line: dict[str, Any]) -> None:
        """Append one line."""
        with self._failing():
            files.write_all(self._open(), (json.dumps(line, ensure_ascii=False) + "\n").encode())

    def flush(self) -> int:
        """Flush the file to disk and return its length in bytes."""
        with self._failing():
            files.flush(self._open())
        return self.size

    def cut(self, keep: int) -> None:
        """Drop all beyond the first ``keep`` bytes."""
        with self._failing():
            if self.size > keep:
                os.ftruncate(self._open(), keep)

    def close(self) -> None:
        """Close the file; once more does nothing."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)

    def _open(self) -> int:
        assert self._handle is not None
        return self._handle

    @property
    def size(self) -> int:
        """Length of the file in bytes."""
        return os.fstat(self._open()).st_size

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except OSError as problem:
            raise CharRNNError(
                f"cannot write {str(self._path)!r}: {problem.strerror or problem}",
                "the last checkpoint is intact; make room or see who may write there",
            ) from None


def _last_line(handle: int, end: int) -> int:
    """Return where the last whole line of the first ``end`` bytes of a file ends."""
    while end:
        start = max(0, end - (1 << 16))
        os.lseek(handle, start, os.SEEK_SET)
        found = os.read(handle, end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def is_shorter(folder: Path, keep: int) -> bool:
    """Whether a run's metrics are shorter than the ``keep`` bytes that a checkpoint counts on."""
    try:
        return (folder / METRICS).stat().st_size < keep
    except OSError:
        return keep > 0


def read_metrics(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of a run's metrics; an unfinished last line is passed over.

    Raises
    ------
    CharRNNError
        If the file cannot be read, or a line is no JSON object of at most 1 MiB.
    """
    path = folder / METRICS
    number = 0
    try:
        with os.fdopen(files.open_regular(path, follow=True), "rb") as file:
            while line := file.readline(_LONGEST_LINE):
                number += 1
                if not line.endswith(b"\n"):
                    if len(line) == _LONGEST_LINE:
                        raise ValueError
                    return
                record = json.loads(line)
                if not isinstance(record, dict):
                    raise ValueError
                yield record
    except (FileNotFoundError, NotADirectoryError, files.NotRegularError):
        return
    except OSError as problem:
        raise CharRNNError(f"cannot read {one_line(path)}: {problem.strerror or problem}") from None
    except (ValueError, RecursionError):
        raise CharRNNError(
            f"{one_line(path)} is damaged: its line {number:,} is no record", "remove that line"
        ) from None
