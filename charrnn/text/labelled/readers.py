"""Readers of examples: they take the decoded pieces of one source and return complete rows."""

from __future__ import annotations

from typing import Any

from charrnn.display import brief, brief_list, count
from charrnn.errors import CorpusError, setting
from charrnn.text.labelled.lines import Row, UnfitError, checked, parse
from charrnn.text.labelled.looks import advice, of_header
from charrnn.text.remarks import Tell
from charrnn.text.values.json_lines import JsonField
from charrnn.text.values.table import Table

MAX_LINE = 1 << 26
"""Maximum characters of a line."""


_FORMS = {
    "example": "write one a line: label<TAB>text",
    "pair": "write one a line: source<TAB>target",
    "labelled sequence": "write symbol<TAB>label a line, or input<TAB>output",
}
"""What examples are called, and how they are written."""


class Unfit:
    """Lines that are not examples: an error, or counted and passed over.

    Attributes
    ----------
    skip
        Whether they are passed over.
    count
        How many were.
    """

    def __init__(self, skip: bool = False) -> None:
        self.skip, self.count = skip, 0
        self._first: tuple[str, str] | None = None

    def __call__(self, name: str, line: int, problem: str, remedy: str = "") -> None:
        """Raise :class:`CorpusError` for a line, or count it."""
        if not self.skip:
            remedy = (
                remedy
                or f"mend that line, or set {setting('errors')} to skip, which passes it over"
            )
            raise CorpusError(f"{name} line {line} {problem}", remedy)
        if not self.count:
            if not problem:
                problem, remedy = "cannot be decoded", f"set {setting('encoding')} to its encoding"
            self._first = (f"{name} line {line} {problem}", remedy)
        self.count += 1

    def nothing(self, name: str, what: str) -> CorpusError:
        """Return the error for a source that has no ``what``, with the first line passed over."""
        problem, remedy = self._first or ("", "")
        message = f"no line is an example: {problem}" if problem else f"{name} has no {what}"
        return CorpusError(message, remedy or _FORMS[what])

    def note(self) -> str:
        """Return a note on the lines passed over; empty if there are none."""
        return (
            f"passed over {count(self.count, 'line')} that are not examples" if self.count else ""
        )


class Lines:
    """Reads ``label<TAB>text`` or ``__label__NAME text``, one example a line.

    Parameters
    ----------
    name
        The source, for messages.
    unfit
        Called for a line that is not an example; it raises, or passes the line over.
    tell
        Called with a note if the first line seems to be the header of a table.
    """

    def __init__(self, name: str, unfit: Unfit, tell: Tell | None = None) -> None:
        self._name, self._unfit, self._tell = name, unfit, tell
        self._pending: list[str] = []
        self._held = 0
        self._line = 0

    def feed(self, text: str) -> list[Row]:
        """Return the examples that are complete with this piece."""
        *lines, rest = text.split("\n")
        if lines:
            lines[0] = "".join([*self._pending, lines[0]])
            self._pending, self._held = [], 0
        self._pending.append(rest)
        self._held += len(rest)
        if self._held > MAX_LINE:
            problem = f"line {self._line + 1 + len(lines)} has more than {MAX_LINE:,} characters"
            raise CorpusError(f"{self._name} {problem}", "mend that line")
        return self._rows(lines)

    def end(self) -> list[Row]:
        """Return the example of a last line without a newline."""
        last = "".join(self._pending)
        return self._rows([last]) if last else []

    def _rows(self, lines: list[str]) -> list[Row]:
        rows = []
        for line in lines:
            self._line += 1
            if self._line == 1:
                line = line.removeprefix("\ufeff")
            line = line.removesuffix("\r")
            if not line:
                continue
            if self._line == 1 and self._tell is not None and (seems := of_header(line)):
                self._tell(f"{self._name} line 1 is read as an example; {seems}")
            try:
                rows.append(Row(*parse(line), self._line))
            except UnfitError as problem:
                seems = advice(line) if self._line == 1 else ""
                self._unfit(self._name, self._line, str(problem), seems)
        return rows


class LabelledTable(Table):
    """Reads a column of texts and a column of labels of a CSV or TSV."""

    def __init__(self, name: str, column: str, label: str, tabs: bool, unfit: Unfit) -> None:
        super().__init__(name, column, tabs, "")
        self._label, self._unfit = label, unfit
        self._label_index = 0

    def _found(self, names: list[str]) -> None:
        super()._found(names)
        if self._label not in names:
            message = f"{self._name} has no column {brief(self._label)}"
            raise CorpusError(message, f"its columns are {brief_list(names)}")
        self._label_index = names.index(self._label)

    def _value(self, fields: list[str]) -> Any:
        try:
            return Row(checked(fields[self._label_index]), fields[self._index], self._line)
        except UnfitError as problem:
            self._unfit(self._name, self._line, str(problem))
            return None

    def feed(self, text: str) -> Any:
        """Return the examples that are complete with this piece."""
        return [row for row in super().feed(text) if row is not None]

    def end(self) -> Any:
        """Return the example of a last row without a newline."""
        return [row for row in super().end() if row is not None]


class LabelledField(JsonField):
    """Reads a field of texts and a field of labels of JSON lines; a label may be a number."""

    def __init__(self, name: str, field: str, label: str, errors: str, unfit: Unfit) -> None:
        super().__init__(name, field, errors, "")
        self._label, self._unfit = label, unfit

    def _value(self, line: str) -> Any:
        try:
            return super()._value(line)
        except CorpusError:
            if not self._unfit.skip:
                raise
            self._unfit(self._name, self._line, "")
            return None

    def _of(self, record: Any) -> Any:
        text = super()._of(record)
        label = self._look_up(record, self._label)
        if isinstance(label, int):
            label = str(label).lower()  # true and false, as JSON writes them
        try:
            if not isinstance(label, str):
                raise UnfitError(f"has no string in {setting('label_field')}")
            return Row(checked(label), text, self._line)
        except UnfitError as problem:
            self._unfit(self._name, self._line, str(problem))
            return None
