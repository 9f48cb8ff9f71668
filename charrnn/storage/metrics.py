"""A run's ``metrics.jsonl``: one JSON object per line.

A checkpoint stores the length of the file (``Progress.metrics_bytes``). The file is flushed before
the checkpoint is written, so that a checkpoint never relies on lines that a crash could lose.
"""

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
from charrnn.own import METRICS

_MAX_LINE = 1 << 20


class Metrics:
    """A run's ``metrics.jsonl``, open for appending."""

    def __init__(self, folder: Path, keep: int) -> None:
        """Open the file and drop all but its first ``keep`` bytes.

        If it is shorter, or no line ends there, it is cut after its last complete line.

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
        """Append one line; bytes of a file's name that are not UTF-8 are escaped, as JSON can."""
        text = json.dumps(line, ensure_ascii=False) + "\n"
        with self._failing():
            files.write_all(self._open(), text.encode("utf-8", "backslashreplace"))

    def flush(self) -> int:
        """Flush the file to disk; return its length in bytes."""
        with self._failing():
            files.flush(self._open())
        return self.size

    def cut(self, keep: int) -> None:
        """Drop all but the first ``keep`` bytes."""
        with self._failing():
            if self.size > keep:
                os.ftruncate(self._open(), keep)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
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
                "the last checkpoint is intact; free space or check the permissions",
            ) from None


def _last_line(handle: int, end: int) -> int:
    """Return where the last complete line of the first ``end`` bytes of a file ends."""
    while end:
        start = max(0, end - (1 << 16))
        os.lseek(handle, start, os.SEEK_SET)
        newline = os.read(handle, end - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def is_shorter(folder: Path, keep: int) -> bool:
    """Whether a run's metrics are shorter than the ``keep`` bytes that a checkpoint names."""
    try:
        return (folder / METRICS).stat().st_size < keep
    except OSError:
        return keep > 0


def read_metrics(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a run's metrics; an unfinished last line is left out.

    Raises
    ------
    CharRNNError
        If the file cannot be read, or a line is not a JSON object of at most 1 MiB.
    """
    path = folder / METRICS
    number = 0
    try:
        with os.fdopen(files.open_regular(path, follow=True), "rb") as file:
            while line := file.readline(_MAX_LINE):
                number += 1
                if not line.endswith(b"\n"):
                    if len(line) == _MAX_LINE:
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
            f"{one_line(path)} is damaged: its line {number:,} is not a JSON object",
            "remove that line",
        ) from None
