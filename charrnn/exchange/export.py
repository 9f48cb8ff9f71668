"""Writing a language model for another library."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from charrnn import own
from charrnn.display import one_line
from charrnn.errors import UsageError, setting
from charrnn.exchange.portable import Portable

FORMATS = {"torch": "pytorch", "onnx": "onnx_graph", "keras": "keras_archive"}
"""For each library the module that writes for it; its ``write`` is a :data:`Writer`."""
Writer = Callable[[Portable, Path], str]
"""Writes a file for a library, and returns Python code that opens the file there."""


def export(portable: Portable, to: str, path: Path) -> str:
    """Write a model to a file, and return Python code that opens it in the library ``to``.

    Raises
    ------
    UsageError
        If ``path`` is a folder or holds a checkpoint.
    CharRNNError
        If the file cannot be written.
    """
    if path.is_dir():
        raise UsageError(f"{setting('out')} {one_line(path)} is a folder", "name a file in it")
    if own.is_checkpoint(path):
        raise UsageError(
            f"{setting('out')} {one_line(path)} is a checkpoint of charrnn", "name another file"
        )
    write: Writer = import_module(f"charrnn.exchange.{FORMATS[to]}").write
    return write(portable, path)
