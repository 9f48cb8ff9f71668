"""A column of a table: CSV or TSV with a header line, as RFC 4180 describes it.

Fields are separated by commas, semicolons or tabs. A field in double quotes may hold the separator,
newlines, and quotes that are doubled. Lines end with a newline, CR LF or a lone CR. Python's
``csv`` is not used because its limit on the length of a field is a setting of the whole process.
"""

from __future__ import annotations

from typing import Any

from charrnn.display import brief, brief_list, count
from charrnn.errors import CorpusError, setting

MAX_ROW = 1 << 26
"""Maximum characters of a row: a quote that is never closed must not fill the memory."""
_SEPARATORS = (",", ";", "\t")

Row = tuple[list[str], int]
"""The fields of a row, and where the next row begins."""


class DamagedError(Exception):
    """A row that is not valid."""


class Table:
    """Reads the values of one column of a table that comes in pieces.

    Parameters
    ----------
    name
        The table, for messages.
    column
        Its name in the header line.
    tabs
        Whether a tab is the likeliest separator.
    advice
        Advice in the message if no column has that name, after the names of the columns.
    """

    def __init__(self, name: str, column: str, tabs: bool, advice: str) -> None:
        self._name, self._column, self._advice = name, column, advice
        self._separators = _SEPARATORS[::-1] if tabs else _SEPARATORS
        self._pending: list[str] = []
        self._held = 0  # characters in it
        self._line = 1  # on which the pending text begins
        self._first = True
        self._returns: bool | None = None  # whether lines end with a lone CR, once it is known
        self._separator = ""
        self._width = self._index = 0

    def feed(self, text: str) -> list[str]:
        """Return the values that are complete with this piece.

        Raises
        ------
        CorpusError
            If there is no such column, or a row is damaged.
        """
        text = self._with_newlines(text)
        self._pending.append(text)
        self._held += len(text)
        if "\n" in text:
            return self._take(final=False)
        self._check_length()
        return []

    def end(self) -> list[str]:
        """Return the value of a last row without a newline; errors as in :meth:`feed`."""
        return self._take(final=True)

    def _with_newlines(self, text: str) -> str:
        """Return a piece with newlines where its lines end, if they end with a lone CR."""
        if self._returns is None:
            seen = "".join(self._pending) + text
            end, newline = seen.find("\r"), seen.find("\n")
            if newline >= 0 and not 0 <= end < newline:
                self._returns = False
            elif 0 <= end < len(seen) - 1:
                self._returns = seen[end + 1] != "\n"
            if self._returns:
                self._pending = [part.replace("\r", "\n") for part in self._pending]
        return text.replace("\r", "\n") if self._returns else text

    def _take(self, final: bool) -> list[str]:
        buffer, values, at = "".join(self._pending), [], 0
        if self._first:
            buffer, self._first = buffer.removeprefix("\ufeff"), False
        while at < len(buffer):
            row = self._row(buffer, at, final)
            if row is None:
                break
            fields, after = row
            if fields:
                if len(fields) != self._width:
                    has = f"has {count(len(fields), 'field')}, the header has {self._width}"
                    raise self._damaged(has)
                values.append(self._value(fields))
            self._line += buffer.count("\n", at, after)
            at = after
        self._pending, self._held = [buffer[at:]], len(buffer) - at
        self._check_length()
        return values

    def _row(self, buffer: str, at: int, final: bool) -> Row | None:
        """Return a row; without fields if it is blank or the header; None if it is incomplete."""
        stop = buffer.find("\n", at)
        line = buffer[at:] if stop < 0 else buffer[at:stop]
        if stop < 0 and not final:
            return None
        after = len(buffer) if stop < 0 else stop + 1
        if not line.strip("\r"):
            return [], after
        if not self._separator:
            return self._read_header(buffer, at, final)
        if '"' not in line:
            return line.removesuffix("\r").split(self._separator), after
        try:
            return row_at(buffer, at, self._separator, final)
        except DamagedError as problem:
            raise self._damaged(str(problem)) from None

    def _read_header(self, buffer: str, at: int, final: bool) -> Row | None:
        """Find the separator with which the header has the column."""
        found: list[tuple[bool, int, str, list[str]]] = []
        after, problem = 0, ""
        for separator in self._separators:
            try:
                row = row_at(buffer, at, separator, final)
            except DamagedError as damaged:
                problem = str(damaged)
                continue
            if row is None:
                return None
            names, after = row
            found.append((self._column in _bare(names, self._column), len(names), separator, names))
        if not found:
            raise self._damaged(problem)
        has, self._width, self._separator, names = max(found, key=lambda one: one[:2])
        names = _bare(names, self._column)
        if not has:
            verb = "its columns are" if len(names) > 1 else "its only column is"
            message = f"{self._name} has no column {brief(self._column)}"
            json = names[0].lstrip().startswith(("{", "["))
            hint = f"; for JSON lines give {setting('field')}" if json else ""
            raise CorpusError(message, f"{verb} {brief_list(names)}{hint}{self._advice}")
        if names.count(self._column) > 1:
            message = f"{self._name} has several columns {brief(self._column)}"
            raise CorpusError(message, "rename one of them in its header line")
        self._found(names)
        return [], after

    def _found(self, names: list[str]) -> None:
        """Note where in a row the column is, given the names of all columns."""
        self._index = names.index(self._column)

    def _value(self, fields: list[str]) -> Any:
        """Return the value of a row."""
        return fields[self._index]

    def _check_length(self) -> None:
        if self._held > MAX_ROW:
            raise self._damaged(f"begins a row of more than {MAX_ROW:,} characters")

    def _damaged(self, problem: str) -> CorpusError:
        message = f"{self._name} line {self._line} {problem}"
        return CorpusError(message, "mend that line; a field with separators or quotes is quoted")


def row_at(buffer: str, at: int, separator: str, final: bool) -> Row | None:
    """Return the row that begins at ``at``; None if it goes on after the buffer.

    ``final`` says that nothing follows the buffer.

    Raises
    ------
    DamagedError
        If the row is not valid.
    """
    fields = []
    while True:
        if buffer.startswith('"', at):
            close = _closing(buffer, at + 1, final)
            if close is None:
                return None
            fields.append(buffer[at + 1 : close].replace('""', '"'))
            at = close + 1
        else:
            newline = buffer.find("\n", at)
            ends = [end for end in (newline, buffer.find(separator, at)) if end >= 0]
            if not ends and not final:
                return None
            end = min(ends, default=len(buffer))
            field = buffer[at:end]
            fields.append(field if buffer.startswith(separator, end) else field.removesuffix("\r"))
            at = end
        if buffer.startswith(separator, at):
            at += 1
            continue
        for end_of_line in ("\n", "\r\n"):
            if buffer.startswith(end_of_line, at):
                return fields, at + len(end_of_line)
        if buffer[at:] in ("", "\r"):
            return (fields, len(buffer)) if final else None
        raise DamagedError("has text after a closing quote")


def _closing(buffer: str, at: int, final: bool) -> int | None:
    """Return where a quoted field ends that begins at ``at``, at its quote; None if it goes on."""
    while True:
        close = buffer.find('"', at)
        if close < 0 and final:
            raise DamagedError("begins a quoted field that does not end")
        if close < 0 or (close + 1 == len(buffer) and not final):
            return None
        if not buffer.startswith('""', close):
            return close
        at = close + 2


def _bare(names: list[str], column: str) -> list[str]:
    """Return the names of the columns, without blanks around them if one is only so found."""
    return names if column in names else [name.strip() for name in names]
