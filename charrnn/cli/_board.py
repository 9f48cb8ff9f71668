"""The metrics of a run for TensorBoard, which ``charrnn export --to tensorboard`` writes."""

from __future__ import annotations

from pathlib import Path

from charrnn.cli._output import write_json, write_text
from charrnn.display import one_line, size
from charrnn.errors import CharRNNError, UsageError

BOARD = "tensorboard"


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
    path = out / f"events.out.tfevents.{name}"
    files.write(path, events(records, begun))
    if as_json:
        write_json({"file": str(path), "to": BOARD, "bytes": path.stat().st_size})
    else:
        write_text(f"{one_line(path)}: {size(path.stat().st_size)}\n")
