"""Text for people: made safe for a terminal, and numbers with their units.

Texts, vocabularies, file names and samples may hold characters that must not reach a terminal:
control characters, line and paragraph separators, and those that override or embed a direction.
Code that shows them uses one of the functions here. Every other character is text, spaces of any
kind, joiners and direction marks among them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TextIO

_SEPARATORS_AND_BIDI = "\u2028-\u202e\u2066-\u2069"
_IN_JSON = re.compile(f"[\x7f-\x9f{_SEPARATORS_AND_BIDI}]")
_UNSAFE = re.compile(f"[\x00-\x1f\x7f-\x9f{_SEPARATORS_AND_BIDI}\ud800-\udfff]")
_UNSAFE_IN_LINES = re.compile(_UNSAFE.pattern.replace("\x00-\x1f", "\x00-\x08\x0b-\x1f"))
_BRIEF = 60  # characters of a value in a message
_LISTED = 20  # names in a message
_SIZES = ("bytes", "kB", "MB", "GB", "TB", "PB", "EB")


def printable(text: str) -> str:
    """Return multi-line text with all unsafe characters but newlines and tabs escaped."""
    return _UNSAFE_IN_LINES.sub(_escape, text)


def one_line(text: object) -> str:
    """Return text for one line: all unsafe characters are escaped, newlines and tabs included."""
    return _UNSAFE.sub(_escape, str(text))


def shell(word: object) -> str:
    r"""Return a path or a name for a command line that is pasted into a shell.

    It is :func:`quoted`; unsafe characters are written as in ``$'\x1b'``. If it would be taken for
    an option, it gets ``./`` before it.
    """
    text = str(word)
    return quoted(f"./{text}" if text.startswith("-") else text)


def quoted(text: str) -> str:
    """Return a word for a command line that is pasted into a shell, quoted if needed."""
    from shlex import quote

    if not _UNSAFE.search(text):
        return quote(text)
    plain = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{_UNSAFE.sub(_escape_bytes, plain)}'"


def _escape_bytes(unsafe: re.Match[str]) -> str:
    return "".join(f"\\x{byte:02x}" for byte in unsafe[0].encode("utf-8", "surrogateescape"))


def symbol(item: str | int) -> str:
    r"""Return a symbol of a vocabulary on one line; a backslash in it is escaped too.

    An invisible symbol, such as a no-break space, is escaped so that it can be distinguished from
    others; inside a word, such characters are text.

    A byte (an integer) is shown as its ASCII character or ``\xff``, the unknown byte as ``?``.
    """
    if isinstance(item, int):
        if item >= 127:
            return f"\\x{item:02x}" if item < 256 else "?"
        item = chr(item)
    if any(c.isprintable() for c in item):
        return one_line(item.replace("\\", "\\\\"))
    return item.encode("unicode_escape").decode()


def label(name: str) -> str:
    """Return the name of a label on one line; one of blanks alone is quoted, to be seen."""
    return one_line(name) if name.strip() else repr(name)


def brief(value: object) -> str:
    """Return any value for a message: as Python writes it, and short."""
    line = repr(value)
    if "\n" in line:  # an array, for example
        line = " ".join(line.split())
    line = one_line(line)
    return line if len(line) <= _BRIEF else line[:_BRIEF] + "…"


def either(names: Sequence[str]) -> str:
    """Return names of which one is meant: ``a, b or c``."""
    return " or ".join([*([", ".join(names[:-1])] if names[1:] else []), names[-1]])


def is_moving(stream: TextIO) -> bool:
    """Whether a stream is a terminal on which lines can be erased."""
    import os

    terminal = os.environ.get("TERM", "" if os.name == "nt" else "dumb")
    return stream.isatty() and terminal not in ("dumb", "unknown")


def did_you_mean(word: str, names: Iterable[str], cutoff: float = 0.7) -> str:
    """Ask whether the name most like a word is meant; empty if none is ``cutoff`` like it."""
    from difflib import get_close_matches

    found = get_close_matches(word, list(names), 1, cutoff=cutoff)
    return f"did you mean {found[0]}?" if found else ""


def near(word: str, names: Iterable[str]) -> str:
    """Return the one of some names that is most like a word, whatever its case; empty if none is.

    Blanks and hyphens do not count, nor does what follows a dot if the word has no dot.
    """
    from difflib import get_close_matches

    def plain(name: str) -> str:
        name = name.strip().lower().replace("_", "-").replace(" ", "-")
        return name if "." in word else name.partition(".")[0] or name

    known = {plain(name): name for name in sorted(names, reverse=True)}
    found = get_close_matches(plain(word), known, 1, cutoff=0.75)
    return known[found[0]] if found else ""


def brief_list(names: Sequence[object]) -> str:
    """Return the first names for a message, each as by :func:`brief`."""
    return ", ".join(map(brief, names[:_LISTED])) + (", …" if len(names) > _LISTED else "")


def safe_json(line: str) -> str:
    """Return JSON with the control characters escaped that its writer leaves as they are.

    These are DEL, the C1 controls, line and paragraph separators, and those that override or embed
    a direction. In valid JSON they occur inside strings only.
    """
    return _IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", line)


def _escape(unsafe: re.Match[str]) -> str:
    return unsafe[0].encode("unicode_escape").decode()


def size(count: float) -> str:
    """Format a byte count with a decimal unit and three digits."""
    unit = 0
    while count >= 999.5 and unit < len(_SIZES) - 1:
        count, unit = count / 1000, unit + 1
    if unit == 0 and count == 1:
        return "1 byte"
    return f"{count:,.3g} {_SIZES[unit]}" if count < 1000 else f"{count:.3g} {_SIZES[unit]}"


def count(number: float, unit: str) -> str:
    """Return a number of things: ``1 symbol``, ``12,345 symbols``, ``0.5 minutes``."""
    amount = f"{number:,}" if isinstance(number, int) else f"{number:g}"
    return f"{amount} {unit}" if number == 1 else f"{amount} {unit}s"


def unit(level: str) -> str:
    """Return what a symbol of a level of text is called: ``character``, ``byte`` or ``word``."""
    return "character" if level == "char" else level


def speed(symbols: float, level: str) -> str:
    """Return a number of symbols a second: ``12,345 char/s``, ``12,345 word/s``."""
    return f"{symbols:,.0f} {level}/s"


def duration(seconds: float) -> str:
    """Return a time as ``45 s``, ``3 m 05 s`` or ``2 h 07 m``."""
    rounded = max(0, round(seconds))
    if rounded < 60:
        return f"{rounded} s"
    if rounded < 3600:
        return f"{rounded // 60} m {rounded % 60:02d} s"
    return f"{rounded // 3600} h {rounded % 3600 // 60:02d} m"


def loss(value: float | None) -> str:
    """Return a loss in nats with four decimals, or a dash."""
    return "–" if value is None else f"{value:.4f}"
