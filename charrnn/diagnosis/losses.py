"""What the losses that a run has recorded say about it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from charrnn.errors import CharRNNError
from charrnn.evaluate.course import Course, Outcome
from charrnn.storage.metrics import read_metrics


def recorded(checkpoint: Path | None) -> Outcome | None:
    """Return what the metrics beside a checkpoint say; None if they are missing or damaged."""
    if checkpoint is not None:
        with suppress(CharRNNError):
            return Course.of(read_metrics(checkpoint.parent)).recorded()
    return None
