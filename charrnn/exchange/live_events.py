"""The event file of a run that is being trained: what its metrics hold, as soon as they hold it.

Each session of a run writes a file of its own, and begins it with all metrics that are kept. A
reader is told to forget everything before (:func:`charrnn.exchange.event_file.restart`). The same
happens when a rollback drops the metrics of the steps that it undoes. So TensorBoard shows each
step once, whatever was interrupted, resumed or undone.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from charrnn import files
from charrnn.display import one_line
from charrnn.errors import CharRNNError
from charrnn.exchange.event_file import opening, restart, summaries
from charrnn.storage.metrics import read_metrics

_PREFIX, _SUFFIX = "events.out.tfevents.", ".charrnn"
_DIGITS = 4


def whole_file(folder: Path, name: str) -> Path:
    """Return the place of an event file with all metrics of a run; readers take it first."""
    return folder / f"{_PREFIX}{name}"


def live_files(folder: Path) -> list[Path]:
    """Return the event files that were written during training, in the order of their names."""
    return sorted(folder.glob(f"{_PREFIX}*{_SUFFIX}"))


class LiveEvents:
    """An event file that grows with the metrics of a run.

    Parameters
    ----------
    folder
        Where the file is made; it is made, too, if it does not exist.
    run
        The folder with the run's metrics.

    Attributes
    ----------
    path
        The file. By name it comes after those of earlier sessions, as readers need it to.

    Raises
    ------
    CharRNNError
        If the file cannot be made.
    """

    def __init__(self, folder: Path, run: Path) -> None:
        self._run, name = run, run.resolve().name
        self.path = folder / f"{_PREFIX}{name}"
        try:
            if not folder.is_dir():
                files.make_folder(folder)
            earlier = (path.name.removesuffix(_SUFFIX) for path in live_files(folder))
            numbers = [int(n) for each in earlier if (n := each.rpartition(".")[2]).isdecimal()]
            number = f"{max(numbers, default=0) + 1:0{_DIGITS}}"
            self.path = folder / f"{_PREFIX}{name}.{number}{_SUFFIX}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            self._handle: int | None = files.open_regular(self.path, flags)
        except OSError as problem:
            raise self._error(problem) from None
        try:
            self._write([opening(time.time())])
        except CharRNNError:
            self.close()
            self.path.unlink(missing_ok=True)
            raise

    def take(self, line: Mapping[str, Any]) -> None:
        """Write a record of training that the metrics hold already.

        Raises
        ------
        CharRNNError
            If it cannot be written, or the metrics cannot be read.
        """
        event = line.get("event")
        if event == "start":
            self._begin(0)
        elif event == "rollback":
            self._begin(line["to_step"])
        else:
            now = time.time()
            self._write(summaries([line], now - (line.get("seconds") or 0.0)))

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)

    def _begin(self, step: int) -> None:
        """Write all metrics from a step on, in place of what was written from there."""
        kept = list(read_metrics(self._run))
        now = time.time()
        begun = now - max((line.get("seconds") or 0.0 for line in kept), default=0.0)
        later = (line for line in kept if line.get("step", 0) >= step)
        self._write([restart(now, step), *summaries(later, begun)])

    def _write(self, records: Iterable[bytes]) -> None:
        assert self._handle is not None
        size = os.fstat(self._handle).st_size
        try:
            files.write_all(self._handle, b"".join(records))
        except OSError as problem:
            with contextlib.suppress(OSError):  # a reader would stop at a part of a record
                os.ftruncate(self._handle, size)
            raise self._error(problem) from None

    def _error(self, problem: OSError) -> CharRNNError:
        return CharRNNError(
            f"cannot write {one_line(self.path)}: {problem.strerror or problem}",
            "name another folder",
        )
