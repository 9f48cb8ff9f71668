"""Writing a model to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from charrnn.api import arguments
from charrnn.errors import UsageError
from charrnn.storage import checkpoint as checkpoints
from charrnn.storage.checkpoint import Checkpoint


def save(checkpoint: Checkpoint, path: Any) -> None:
    """Write a checkpoint file.

    Raises
    ------
    UsageError
        If ``path`` is not one, or is a folder.
    CharRNNError
        If the file cannot be written.
    """
    target = Path(arguments.path(path, "path"))
    if target.is_dir():
        raise UsageError(f"path {str(target)!r} is a folder", "name a file in it")
    checkpoints.save(target, checkpoint)
