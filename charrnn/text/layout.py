"""What of a source is text, and what stands between texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from charrnn.config import DataConfig
from charrnn.errors import UsageError, setting
from charrnn.text.source import Source, shown

SETTINGS = ("column", "field", "join")
"""Fields of :class:`~charrnn.config.DataConfig` that say it."""


@dataclass(frozen=True)
class Layout:
    """What of a source is text: all of it, or values that are read one by one.

    Attributes
    ----------
    column
        The column of a table (CSV or TSV) that holds the values.
    field
        The field of the objects of a JSON-lines file that holds them.
    join
        What stands between values, or between files. None: a newline after each value, and nothing
        between files.
    inherited
        The settings that a run gave, because the user did not.
    """

    column: str | None = None
    field: str | None = None
    join: str | None = None
    inherited: frozenset[str] = frozenset()

    @classmethod
    def of(cls, data: DataConfig) -> Layout:
        """Return the layout of a run's text."""
        return cls(data.column, data.field, data.join)

    @property
    def values(self) -> bool:
        """Whether a source is read value by value."""
        return self.column is not None or self.field is not None

    @property
    def between(self) -> str:
        """What stands between two values or files."""
        return self.join or ""

    @property
    def after(self) -> str:
        """What stands after each value."""
        return "\n" if self.values and self.join is None else ""

    def key(self) -> list[str | None]:
        """Return what identifies the layout; empty if all of a source is text."""
        found = [self.column, self.field, self.join]
        return [] if found == [None, None, None] else found

    def check(self, *parts: Sequence[Source]) -> None:
        """Raise :class:`UsageError` if ``join`` was given and there is nothing to join."""
        if self.join is None or self.values or "join" in self.inherited:
            return
        if all(len(part) < 2 for part in parts):
            names = ", ".join(shown(part[0].name) for part in parts if part)
            raise UsageError(
                f"{setting('join')} stands between files, and {names} is a single one",
                f"leave it out, or give {setting('column')} or {setting('field')}",
            )


WHOLE = Layout()
