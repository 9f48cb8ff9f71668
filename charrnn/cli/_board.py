"""The metrics of a run for TensorBoard: ``export --to tensorboard``, ``train --tensorboard``."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from charrnn.cli.parsing.shared import note
from charrnn.cli.process.output import write_json, write_text
from charrnn.display import one_line, shell, size
from charrnn.errors import CharRNNError, UsageError

if TYPE_CHECKING:
    from charrnn.train.records import Record

BOARD = "tensorboard"


def check_board(folder: Path | None) -> None:
    """Raise :class:`UsageError` if a file is named as the folder for TensorBoard."""
    from charrnn.files import nearest

    if folder is not None and not nearest(folder).is_dir():
        what = "is" if folder.exists() else "is in"
        raise UsageError(f"--tensorboard {one_line(folder)} {what} a file", "name a folder")


class Board:
    """Writes the records of a training run for TensorBoard; a context manager.

    If that fails once training has begun, it says so and writes no more: the metrics hold the same.

    Parameters
    ----------
    folder
        That of the boards; None: nothing is written.
    run
        The run's folder, after which its board is named.

    Raises
    ------
    CharRNNError
        If the board cannot be made.
    """

    def __init__(self, folder: Path | None, run: Path) -> None:
        from charrnn.exchange.live_events import LiveEvents

        self._run = run
        self._place = None if folder is None else folder / run.resolve().name
        self._events = None if self._place is None else LiveEvents(self._place, run)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._events is not None:
            self._events.close()

    def take(self, record: Record) -> None:
        """Write a record, whose line the metrics hold already."""
        if self._events is None:
            return
        try:
            self._events.take(record.to_json())
        except (CharRNNError, OSError) as problem:
            why = problem.message if isinstance(problem, CharRNNError) else str(problem)
            later = f"charrnn export {shell(self._run)} --to {BOARD} --out {shell(self._place)}"
            note(f"{why}; training goes on without it, and later this writes it: {later}")
            self._events.close()
            self._events = None


def write_metrics(checkpoint: Path, out: Path, bits: int | None, as_json: bool) -> None:
    """Write the metrics next to a checkpoint to an event file in a folder.

    Raises
    ------
    UsageError
        If ``out`` is a file, or ``bits`` are given.
    CharRNNError
        If there are no metrics, or the file cannot be written.
    """
    from charrnn import files
    from charrnn.exchange.event_file import events
    from charrnn.exchange.live_events import live_files, whole_file
    from charrnn.own import METRICS
    from charrnn.storage.metrics import read_metrics

    if bits is not None:
        raise UsageError("--bits has no effect: only a page has rounded weights", "leave it out")
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {one_line(out)} is a file", "name a folder for TensorBoard")
    records = list(read_metrics(checkpoint.parent))
    if not records:
        raise CharRNNError(
            f"there are no metrics next to {one_line(checkpoint)}", "name the folder of a run"
        )
    seconds = max((record.get("seconds") or 0.0 for record in records), default=0.0)
    begun = (checkpoint.parent / METRICS).stat().st_mtime - seconds
    name = checkpoint.resolve().parent.name
    try:
        if not out.is_dir():
            files.make_folder(out)
    except OSError as problem:
        raise CharRNNError(
            f"cannot make the folder {one_line(out)}: {problem.strerror}", "name another"
        ) from None
    path = whole_file(out, name)
    files.write(path, events(records, begun))
    for written in live_files(out):  # the same metrics, as they came
        written.unlink(missing_ok=True)
    if as_json:
        write_json({"file": str(path), "to": BOARD, "bytes": path.stat().st_size})
    else:
        write_text(f"{one_line(path)}: {size(path.stat().st_size)}\n")
