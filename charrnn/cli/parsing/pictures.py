"""The file of a drawing or of a page, as an option names it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from charrnn.cli.parsing.shared import note
from charrnn.display import one_line
from charrnn.errors import UsageError

DRAWINGS, PAGES = (".png", ".svg", ".pdf"), (".html",)
"""Suffixes of files."""


def note_lacking(path: Path, characters: str) -> None:
    """Print which characters a drawing has boxes for, if there are any."""
    if characters:
        some = ", ".join(characters[:5]) + (", …" if len(characters) > 5 else "")
        note(f"{path} has boxes for characters that its font lacks ({some}); an .svg file has them")


def check_picture(path: Path | None, suffixes: Sequence[str]) -> None:
    """Raise if a file is given that cannot be written.

    Raises
    ------
    UsageError
        If it has none of the suffixes.
    CharRNNError
        If it cannot be written, or matplotlib, which drawings need, is not installed.
    """
    if path is None:
        return
    if path.suffix.lower() not in suffixes:
        message = f"{one_line(path)} does not end in {' or '.join(suffixes)}"
        raise UsageError(message, "name such a file")
    from charrnn.files import require_writable

    require_writable(path)
    if suffixes == DRAWINGS:
        from charrnn.report.diagnose.plot import need_matplotlib

        need_matplotlib()
