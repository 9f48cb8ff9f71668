"""Options whose hyphens a word processor or a web page has made long dashes: ``—temp``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from charrnn.errors import UsageError

_LONG = tuple("\N{FIGURE DASH}\N{EN DASH}\N{EM DASH}\N{HORIZONTAL BAR}\N{MINUS SIGN}")
_DASHES = "-" + "".join(_LONG)


def refuse_long_dashes(words: Sequence[str], options: Mapping[str, Any]) -> None:
    """Raise :class:`UsageError` for an option that begins with a long dash.

    ``options`` are those of the command, by all their names. The value of an option may begin so.
    """
    for before, word in zip(["", *words], words, strict=False):
        typed = f"--{word.lstrip(_DASHES)}"
        if word[:1] in _LONG and typed.partition("=")[0] in options:
            owner = options.get(before)
            if owner is None or getattr(owner, "is_flag", False):
                raise UsageError(f"{word} begins with a long dash", f"type {typed}")
