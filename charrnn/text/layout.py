"""Which part of a source is text, and what is put between texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from charrnn.config import DataConfig
from charrnn.errors import UsageError, setting
from charrnn.text.source import Source, shown
from charrnn.text.vocabulary import Vocabulary

END = "\x03"
"""The default end of a document that is an example: the control character ETX, end of text."""
Text = str | bytes


@dataclass(frozen=True)
class Layout:
    """Which part of a source is text: all of it, or values that are read one by one.

    Attributes
    ----------
    column
        The column of a table (CSV or TSV) that holds the values.
    field
        The field of the objects of a JSON-lines file that holds them.
    join
        The text between values, or between files. None: a newline after each value, and nothing
        between files.
    inherited
        Settings taken over from the run because the user did not give them.
    examples
        Whether each ``line`` or ``document`` (a value, or else a file) is an example of its own,
        which has an end of its own. None: the text is one.
    """

    column: str | None = None
    field: str | None = None
    join: str | None = None
    inherited: frozenset[str] = frozenset()
    examples: str | None = None

    @classmethod
    def of(cls, data: DataConfig) -> Layout:
        """Return the layout of a run's text."""
        return cls(data.column, data.field, data.join, examples=data.examples)

    @property
    def values(self) -> bool:
        """Whether a source is read value by value."""
        return self.column is not None or self.field is not None

    @property
    def end(self) -> str:
        """The end of each example; empty if there is none, or the whole text is one."""
        if self.examples == "line":
            return "\n"
        if self.examples == "document":
            return END if self.join is None else self.join
        return ""

    @property
    def between(self) -> str:
        """The text between two values or files."""
        return "" if self.examples else self.join or ""

    @property
    def after(self) -> str:
        """The text after each value."""
        return self.end or ("\n" if self.values and self.join is None else "")

    @property
    def after_file(self) -> str:
        """The text after each file that is read as a whole; a newline only if it lacks one."""
        return "" if self.values else self.end

    def examples_of(self, text: Text) -> list[Text]:
        """Return the examples in a text, each with its end: lines, or the text as one document."""
        end: Any = self.end.encode() if isinstance(text, bytes) else self.end
        if self.examples != "line":
            return [text + end] if text else []
        lines: list[Any] = text.split(end)
        return [line + end for line in (lines if lines[-1] else lines[:-1])]

    def pieces_of(self, texts: Sequence[Text]) -> list[Text]:
        """Return texts in memory as pieces that are joined with nothing: examples, or texts.

        Raises
        ------
        UsageError
            If ``join`` was given and there is nothing to join.
        """
        texts = [text for text in texts if text]
        if self.examples:
            return [one for text in texts for one in self.examples_of(text)]
        if self.join is not None and len(texts) < 2:
            raise UsageError(
                f"{setting('join')} stands between texts, but there is a single one", "leave it out"
            )
        if not self.join:
            after: Any = self.after
            return [text + (after.encode() if isinstance(text, bytes) else after) for text in texts]
        between: Any = self.join
        ends = [between.encode() if isinstance(text, bytes) else between for text in texts[:-1]]
        joined: list[Any] = [
            text + end for text, end in zip(texts, [*ends, texts[-1][:0]], strict=True)
        ]
        return joined

    def start(self, vocabulary: Vocabulary) -> int:
        """Return the symbol that is read before each example: the last one of its end.

        Without an end it is the newline, or the first symbol of a vocabulary without.
        """
        ids = vocabulary.encode(vocabulary.text(self.end), "skip")
        return int(ids[-1]) if len(ids) else vocabulary.newline or 0

    def key(self) -> list[str | None]:
        """Return a key that identifies the layout; empty if all of a source is text."""
        key = [self.column, self.field, self.join, *([self.examples] if self.examples else [])]
        return [] if key == [None, None, None] else key

    def check(self, *parts: Sequence[Source]) -> None:
        """Raise :class:`UsageError` if ``join`` was given and there is nothing to join."""
        if self.join is None or self.values or self.examples or "join" in self.inherited:
            return
        if all(len(part) < 2 for part in parts):
            names = ", ".join(shown(part[0].name) for part in parts if part)
            raise UsageError(
                f"{setting('join')} stands between files, but {names} is a single one",
                f"leave it out, or give {setting('column')} or {setting('field')}",
            )


WHOLE = Layout()
DOCUMENTS = Layout(examples="document")
"""Each text is read by itself, and ends with :data:`END`."""
