"""Writing a language model for another library, or as a web page."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from charrnn import files, own
from charrnn.display import one_line
from charrnn.errors import UsageError, setting
from charrnn.exchange.page.words import About
from charrnn.exchange.portable import Portable
from charrnn.exchange.rounding import DEFAULT_BITS, checked_bits

PAGE = "html"
FORMATS = {
    "torch": "pytorch",
    "onnx": "onnx_graph",
    "keras": "keras_archive",
    PAGE: "page.document",
}
"""For each library, or the page, the module that writes for it; ``write`` is a :data:`Writer`."""
Writer = Callable[..., str]
"""Takes a model and a path, writes the file, and returns Python code that opens it there.

That of the page also takes the bits of a weight and an :class:`About`, and returns a line on it.
"""


def export(
    portable: Portable,
    to: str,
    path: Path,
    bits: int | None = None,
    about: About | None = None,
) -> str:
    """Write a model to a file, and return Python code that opens it in the library ``to``.

    For a page ``bits`` are those of a weight (8 by default), and ``about`` is what it says of the
    model; a line on the page is returned.

    Raises
    ------
    UsageError
        If ``path`` is a folder or holds a checkpoint, or ``bits`` is invalid or for another file.
    CharRNNError
        If the file cannot be written.
    """
    check(path, to, bits)
    write: Writer = import_module(f"charrnn.exchange.{FORMATS[to]}").write
    more = {"bits": bits or DEFAULT_BITS, "about": about} if to == PAGE else {}
    return write(portable, path, **more)


def check(path: Path, to: str, bits: int | None) -> None:
    """Raise as :func:`export` does."""
    if path.is_dir():
        raise UsageError(f"{setting('out')} {one_line(path)} is a folder", "name a file in it")
    if own.is_checkpoint(path):
        raise UsageError(
            f"{setting('out')} {one_line(path)} is a checkpoint of charrnn", "name another file"
        )
    if bits is not None and to != PAGE:
        raise UsageError(
            f"{setting('bits')} has no effect: only a page has rounded weights",
            f"leave it out, or set {setting('to')} to {PAGE}",
        )
    if bits is not None:
        checked_bits(bits)
    files.require_writable(path)
