"""Notes on a text for the user, one line each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from charrnn.display import brief, count, shell
from charrnn.errors import setting
from charrnn.text.source import Source
from charrnn.text.vocabulary import UNKNOWN_CHAR

Tell = Callable[[str], object]
"""Called with each note, which may hold marks of settings."""

_NAMED = 3  # files that a note names


def about_files(left_out: Sequence[tuple[Source, str]]) -> str:
    """Return a note on files of directories, with the reason why each was left out or is empty.

    Others of the directory are read, so that no encoding reads them all.
    """
    # Files that are texts come first.
    ordered = sorted(left_out, key=lambda one: not one[1].startswith("UTF"))
    named = [f"{_short(source)} ({_advice(reason)})" for source, reason in ordered[:_NAMED]]
    listing = f"charrnn corpus info {shell(ordered[0][0].directory)} --json lists all"
    more = f", … ({listing})" if len(ordered) > _NAMED else ""
    return f"left out {count(len(ordered), 'file')}: {', '.join(named)}{more}"


class EmptyValues:
    """How many values of a column or field were left out because they are empty."""

    def __init__(self) -> None:
        self._count = 0

    def add(self, empty: int) -> None:
        """Count values of one more source."""
        self._count += empty

    def note(self) -> str:
        """Return what a person should be told; empty if there are none."""
        return f"left out {count(self._count, 'empty value')}" if self._count else ""


def _short(source: Source) -> str:
    """Return the name of a file of a directory, from the directory on."""
    return Path(source.name).relative_to(Path(source.directory).parent).as_posix()


def _advice(reason: str) -> str:
    """Return a reason; with it, how to convert a text."""
    if "UTF" not in reason:
        return reason
    form = reason.replace("-LE", "LE").replace("-BE", "BE")
    return f"{reason}: convert it with iconv -f {form} -t UTF-8, or name it alone"


class Replaced:
    """How often a text, which comes in pieces, has the sign for what cannot be decoded."""

    def __init__(self, errors: str) -> None:
        self._counted, self._count = errors == "replace", 0

    def add(self, piece: str | bytes) -> None:
        """Look at the next piece; bytes have no such sign."""
        if self._counted and isinstance(piece, str):
            self._count += piece.count(UNKNOWN_CHAR)

    def note(self) -> str:
        """Return a note for the user; empty if there is no such sign."""
        if not self._count:
            return ""
        times = count(self._count, "time")
        return (
            f"the text has U+FFFD, the sign for what cannot be decoded, {times}: "
            f"another {setting('encoding')} may read it"
        )


class EndsInside:
    """How often the end of a document stands inside of documents, which come in pieces."""

    def __init__(self, end: str) -> None:
        self._end, self._tail = end, ""
        self._documents, self._ends = 1, 0

    def add(self, piece: str | bytes) -> None:
        """Look at the next piece."""
        if self._end:
            text = self._tail + (piece if isinstance(piece, str) else piece.decode("latin-1"))
            self._ends += text.count(self._end)
            rest = text.rpartition(self._end)[2]
            self._tail = rest[max(0, len(rest) - len(self._end) + 1) :]

    def next(self) -> None:
        """Begin the next document."""
        self._documents, self._tail = self._documents + 1, ""

    def note(self) -> str:
        """Return a note for the user; empty if each document has one end."""
        inside = self._ends - self._documents
        if inside <= 0:
            return ""
        return (
            f"the end of a document, {brief(self._end)}, also stands inside of documents, "
            f"{count(inside, 'time')}; samples stop there: choose another {setting('join')}"
        )


class CarriageReturns:
    """Whether a text, which comes in pieces, has carriage returns, and where."""

    def __init__(self) -> None:
        self._lone = self._before_newline = self._pending = False

    def add(self, piece: str | bytes) -> None:
        """Look at the next piece, which is not empty."""
        text: Any = piece
        cr, newline, pair = (
            ("\r", "\n", "\r\n") if isinstance(piece, str) else (b"\r", b"\n", b"\r\n")
        )
        if self._pending:
            self._seen(text.startswith(newline))
        self._pending = text.endswith(cr)
        if cr in text:
            pairs = text.count(pair)
            self._before_newline |= pairs > 0
            self._lone |= text.count(cr) - self._pending > pairs

    def note(self, plain: bool = True) -> str:
        """Return a note for the user; empty if there are no carriage returns.

        If the text is not plain, but compressed for example, a program that knows only plain text
        would damage it.
        """
        lone = self._lone or self._pending
        if not (lone or self._before_newline):
            return ""
        of_plain = "" if plain else " in plain text"
        if not self._before_newline:
            advice = rf"tr '\r' '\n' makes them newlines{of_plain}"
            return f"the text has carriage returns, which end no line here ({advice})"
        what = "CR LF line ends and other carriage returns" if lone else "CR LF line ends"
        advice = rf"tr -d '\r' removes them{'' if plain else ' from plain text'}"
        return f"the text has {what}; each carriage return is a symbol ({advice})"

    def _seen(self, before_newline: bool) -> None:
        self._before_newline |= before_newline
        self._lone |= not before_newline
