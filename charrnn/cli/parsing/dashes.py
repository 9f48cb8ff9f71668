"""What a word processor or a web page has made of a command line: ``—temp``, ``“hello”``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from charrnn.display import shell
from charrnn.errors import UsageError, VocabularyError

_LONG = tuple("\N{FIGURE DASH}\N{EN DASH}\N{EM DASH}\N{HORIZONTAL BAR}\N{MINUS SIGN}")
_DASHES = "-" + "".join(_LONG)
_QUOTES = "\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u00ab\u00bb\u2039\u203a"
_QUOTED = re.compile(f"(?:^|(?<= ))[{_QUOTES}](?! )([^{_QUOTES}]*[^{_QUOTES} ])[{_QUOTES}](?= |$)")


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


def typed_quotes(words: Sequence[str], problem: Exception | None = None) -> str | None:
    """Return advice on typographic quotes, if they may be why a command line is wrong.

    They are no quotes for a shell, which divides ``“a b”`` into two words. In a single word they
    are its first and last character, and matter only if ``problem`` is that a model lacks them.
    """
    for found in _QUOTED.finditer(" ".join(words)):
        divided = not any(found[0] in word for word in words)
        lacking = isinstance(problem, VocabularyError) and found[0][0] in problem.message
        if divided or lacking:
            return f"{found[0][0]} is no quote for a shell: type {shell(found[1])}"
    return None
