"""What a file seems to be whose first line is not an example: a table, or JSON lines."""

from __future__ import annotations

import json
from collections.abc import Sequence

from charrnn.display import brief_list, quoted
from charrnn.errors import setting
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


def advice(line: str) -> str:
    """Return how to read the file with this first line; empty if it is neither kind of file."""
    if line.lstrip().startswith("{"):
        try:
            found = json.loads(line)
        except ValueError:
            return ""
        fields = [name for name, value in found.items() if isinstance(value, str | int)]
        return _named("the fields of these JSON lines", "field", fields)
    rows = [_names(line, separator) for separator in _SEPARATORS]
    names = max(rows, key=len)
    if len(names) < 2 or any(not name or len(name) > 40 or name[-1] in ".!?" for name in names):
        return ""
    return _named("the columns of this table", "column", names)


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
