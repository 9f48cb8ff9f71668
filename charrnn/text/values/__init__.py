"""Texts inside of files: the values of a column of a table, or of a field of JSON lines.

A reader gets the decoded text of one source in pieces and returns the values that are complete.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from charrnn.errors import CorpusError, setting
from charrnn.text.layout import Layout
from charrnn.text.source import Source, shown

SUFFIXES = {
    "column": (".csv", ".tsv", ".tab"),
    "field": (".jsonl", ".ndjson", ".jsonlines", ".json"),
}
"""How files with columns and files with fields are named."""
_COMPRESSED = (".gz", ".bz2", ".xz")


class Reader(Protocol):
    """Takes values from the pieces of one text."""

    def feed(self, text: str) -> list[str]:
        """Return the values that are complete with this piece."""

    def end(self) -> list[str]:
        """Return what is left at the end of the text."""


def kind(layout: Layout) -> str:
    """Return the setting that names the values: ``column`` or ``field``."""
    return "field" if layout.column is None else "column"


def suffix(name: str) -> str:
    """Return the suffix of a file's name before that of its compression, in lower case."""
    name = name.lower()
    for ending in _COMPRESSED:
        name = name.removesuffix(ending)
    dot = name.rfind(".")
    return name[dot:] if dot > name.rfind("/") else ""


def values(pieces: Iterable[str], source: Source, layout: Layout, errors: str) -> Iterator[str]:
    """Yield the values of a source as pieces of text: those that each piece of it completes.

    ``layout.after`` follows each value, and ``layout.between`` stands between two of them. Values
    without any character are left out.

    Raises
    ------
    CorpusError
        If the source has no such column or field, or is damaged; the message names the line.
    """
    reader = _reader(source, layout, errors)
    after, between, first = layout.after, layout.between, True

    def joined(found: list[str]) -> str:
        nonlocal first
        text = between.join([value + after for value in found if value])
        if not text:
            return ""
        text, first = (text if first else between + text), False
        return text

    for piece in pieces:
        if text := joined(reader.feed(piece)):
            yield text
    if text := joined(reader.end()):
        yield text


def _reader(source: Source, layout: Layout, errors: str) -> Reader:
    name = shown(source.name)
    if source.kind == "builtin":
        raise CorpusError(
            f"{name} is a built-in corpus, which has no {kind(layout)}s",
            f"leave out {setting(kind(layout))}",
        )
    advice = ""
    if kind(layout) in layout.inherited:
        advice = f", as the run's own text has; {setting(kind(layout))} '' reads the whole text"
    if layout.column is not None:
        from charrnn.text.values.table import Table

        return Table(name, layout.column, suffix(source.name) in (".tsv", ".tab"), advice)
    from charrnn.text.values.json_lines import JsonLines

    assert layout.field is not None
    return JsonLines(name, layout.field, errors, advice)
