"""What is answered without Typer, which takes longer to import: shell completion and help.

The answers come from a description of the commands in a file, which
``charrnn/cli/parsing/described.py`` makes of the code when charrnn is installed. In an editable
install the file says of which state of the code it was made, and counts no more after an edit.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("described.json")
CODE = Path(__file__).parents[2]
WIDTH = 80
"""Columns from which on help looks the same."""


def answer(words: Sequence[str], file: Path = FILE) -> str | None:
    """Return what a command line prints if that is stored, or None.

    That is ``charrnn completion SHELL -- WORD...``, and ``--help`` alone after a command.
    """
    if _asks_for_completion(words):
        from charrnn.cli.parsing.candidates import lines, of_plain

        stored = _read(file)
        return None if stored is None else lines(of_plain(stored["commands"]), words[3:])
    if not words or words[-1] not in ("-h", "--help"):
        return None
    stored = _read(file)
    return (
        None if stored is None or _looks_otherwise() else stored["help"].get(" ".join(words[:-1]))
    )


def _asks_for_completion(words: Sequence[str]) -> bool:
    return (
        len(words) > 2
        and (words[0], words[2]) == ("completion", "--")
        and words[1] in ("bash", "zsh", "fish")
    )


def _read(file: Path) -> dict[str, Any] | None:
    """Return what is stored, if it is of the code as it stands."""
    if not file.is_file():
        return None
    import json

    stored: dict[str, Any] = json.loads(file.read_bytes())
    edited = stored["code"] is not None and stored["code"] != state()
    return None if edited else stored


def state(folder: Path = CODE) -> list[int]:
    """Return how many files of Python the code has, and when one was last written, in ns."""
    written = [file.stat().st_mtime_ns for file in folder.rglob("*.py")]
    return [len(written), max(written)]


def _looks_otherwise() -> bool:
    """Return whether help differs from what is stored: on a narrow terminal, or with plug-ins."""
    from shutil import get_terminal_size

    from charrnn.installed import plugins_are_installed

    return get_terminal_size().columns < WIDTH or plugins_are_installed()
