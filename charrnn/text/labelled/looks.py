"""What a file seems to be whose first line is not an example: a table, or JSON lines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from charrnn.display import brief_list, quoted
from charrnn.errors import setting
from charrnn.text.values import suffix
from charrnn.text.values.table import DamagedError, row_at

_TEXTS = (
    "text texts sentence content review body message comment document description title tweet "
    "utterance question name word input phrase"
)
_LABELS = (
    "label labels class category target sentiment tag topic language lang intent genre type author "
    "country origin nationality rating stars score output y"
)
"""Names that columns of texts and of labels often have."""
_SEPARATORS = ",;|"
_OF_TABLES = (".csv", ".tsv", ".tab")


class Look(NamedTuple):
    """What a file seems to be.

    Attributes
    ----------
    names
        What its first line holds: the columns of a table, or the fields of an object.
    separator
        What stands between the columns; empty for JSON lines.
    record
        The first object of JSON lines.
    """

    names: list[str]
    separator: str
    record: dict[str, Any]


def look(line: str, name: str = "", separators: str = _SEPARATORS) -> Look | None:
    """Return what the file with this first line is; None if it is neither kind of file.

    ``name`` is that of the file: in a table that is called one, a sentence is a field, too.
    """
    if line.lstrip().startswith("{"):
        try:
            record = json.loads(line)
        except ValueError:
            return None
        return Look(list(record), "", record)
    rows = [(_names(line, separator), separator) for separator in separators]
    names, separator = max(rows, key=lambda row: len(row[0]))
    plain = is_table(name) or not any(
        not name or len(name) > 40 or name[-1] in ".!?" for name in names
    )
    return Look(names, separator, {}) if len(names) > 1 and plain else None


def is_table(name: str) -> bool:
    """Whether a file has the name of a table."""
    return suffix(name) in _OF_TABLES


def advice(line: str) -> str:
    """Return how to read the file with this first line; empty if it is neither kind of file."""
    found = look(line)
    if found is None:
        return ""
    if found.separator:
        return _named("the columns of this table", "column", found.names)
    fields = [name for name, value in found.record.items() if isinstance(value, str | int)]
    return _named("the fields of these JSON lines", "field", fields)


def of_header(line: str) -> str:
    """Return how to read a table with this header, which has tabs; empty if it is an example."""
    names = line.split("\t")
    of_texts, of_labels = (
        any(name.lower() in known.split() for name in names) for known in (_TEXTS, _LABELS)
    )
    both = of_texts and of_labels
    return _named("the columns of this table", "column", names) if both else ""


def _names(line: str, separator: str) -> list[str]:
    try:
        row = row_at(line, 0, separator, True)
    except DamagedError:
        return []
    return [name.strip() for name in row[0]] if row else []


def _named(what: str, option: str, names: Sequence[str]) -> str:
    """Return which options to give: with the names of texts and labels, if these are clear."""
    if len(names) < 2:
        return ""
    texts = [name for name in names if name.lower() in _TEXTS.split()]
    labels = [name for name in names if name.lower() in _LABELS.split()]
    text, label = setting(option), setting(f"label_{option}")
    if len(texts) == len(labels) == 1:
        return f"to read {what}, give {text} {quoted(texts[0])} {label} {quoted(labels[0])}"
    return (
        f"{what} are {brief_list(names)}: "
        f"name that of the texts with {text}, and that of the labels with {label}"
    )
