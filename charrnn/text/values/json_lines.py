"""A field of JSON lines: one JSON object per line."""

from __future__ import annotations

import json
from typing import Any

from charrnn.display import brief, brief_list
from charrnn.errors import CorpusError, setting
from charrnn.text.vocabulary import SURROGATE, UNKNOWN_CHAR

MAX_LINE = 1 << 26
"""Maximum characters of a line."""
_KINDS = {dict: "an object", list: "a list", bool: "true or false", int: "a number"}


class JsonField:
    """Reads the values of one field of JSON objects that come in pieces of text.

    Parameters
    ----------
    name
        The file, for messages.
    field
        The name of the field; ``a.b`` is the field ``b`` of the object in ``a``, unless there is a
        field ``a.b``.
    errors
        ``replace`` turns half of a surrogate pair into U+FFFD; otherwise it is an error.
    advice
        Advice in the message if no field has that name, after the names of the fields.
    """

    def __init__(self, name: str, field: str, errors: str, advice: str) -> None:
        self._name, self._field, self._errors, self._advice = name, field, errors, advice
        self._pending: list[str] = []
        self._held = 0  # characters in it
        self._line = 0  # complete lines

    def feed(self, text: str) -> list[str]:
        """Return the values of the lines that are complete with this piece; null is empty.

        Raises
        ------
        CorpusError
            If a line is not an object with the field, or the field is not a string.
        """
        *lines, rest = text.split("\n")
        if lines:
            lines[0] = "".join([*self._pending, lines[0]])
            self._pending, self._held = [], 0
        self._pending.append(rest)
        self._held += len(rest)
        if self._held > MAX_LINE:
            problem = f"has more than {MAX_LINE:,} characters"
            raise self._damaged(self._line + 1 + len(lines), problem)
        return [value for line in lines if (value := self._value(line)) is not None]

    def end(self) -> list[str]:
        """Return the value of a last line without a newline; errors as in :meth:`feed`."""
        value = self._value("".join(self._pending))
        return [] if value is None else [value]

    def _value(self, line: str) -> Any:
        self._line += 1
        if self._line == 1:
            line = line.removeprefix("\ufeff")
        if not line or line.isspace():
            return None
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as problem:
            reason = getattr(problem, "msg", "") or "it cannot be read"
            at = f" at column {problem.colno}" if isinstance(problem, json.JSONDecodeError) else ""
            remedy = "mend that line"
            if self._line == 1:
                remedy = f"write one object per line; for a table give {setting('column')}"
            if line.lstrip()[0] == "[" or (self._line == 1 and line.strip() == "{"):
                remedy = "write one object per line, for example with jq -c '.[]' or jq -c ."
            message = f"{self._where()} is not JSON: {reason}{at}"
            raise CorpusError(message, remedy + self._advice) from None
        return self._of(record)

    def _of(self, record: Any) -> Any:
        """Return the value of a line's object."""
        value = self._look_up(record, self._field)
        if value is None:
            return ""
        if not isinstance(value, str):
            kind = _KINDS.get(type(value), "a number")
            message = f"{self._where()}: field {brief(self._field)} is {kind}, not a string"
            raise CorpusError(message, f"name another {setting('field')}")
        if SURROGATE.search(value):
            if self._errors != "replace":
                message = f"{self._where()}: field {brief(self._field)} holds half a surrogate pair"
                raise CorpusError(message, f"set {setting('errors')} to replace, or mend that line")
            value = SURROGATE.sub(UNKNOWN_CHAR, value)
        return value

    def _look_up(self, record: Any, field: str) -> Any:
        """Return the value of a field."""
        name, place = field, record
        while True:
            if not isinstance(place, dict):
                kind = "a list" if isinstance(place, list) else "a single value"
                message = f"{self._where()}: {kind} is not an object with fields"
                remedy = "write one object per line, for example with jq -c '.[]'"
                raise CorpusError(message, remedy)
            if name in place:
                return place[name]
            first, dot, rest = name.partition(".")
            if not dot or not isinstance(place.get(first), dict):
                break
            name, place = rest, place[first]
        names = list(place)
        fields = f"its fields are {brief_list(names)}" if names else "it has none"
        raise CorpusError(f"{self._where()} has no field {brief(field)}", f"{fields}{self._advice}")

    def _where(self) -> str:
        return f"{self._name} line {self._line}"

    def _damaged(self, line: int, problem: str) -> CorpusError:
        return CorpusError(f"{self._name} line {line} {problem}", "mend that line")
