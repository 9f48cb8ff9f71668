"""Texts inside of files: the values of a column of a table, or of a field of JSON lines.

A reader gets the decoded text of one source in pieces and returns the values that are complete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from charrnn.errors import CorpusError, setting
from charrnn.text.layout import Layout
from charrnn.text.source import Source, shown

SUFFIXES = {
    "column": (".csv", ".tsv", ".tab"),
    "field": (".jsonl", ".ndjson", ".jsonlines", ".json"),
}
"""The suffixes of files with columns and of files with fields."""
_COMPRESSED = (".gz", ".bz2", ".xz")


class Reader(Protocol):
    """Takes values from the pieces of one text."""

    def feed(self, text: str) -> list[str]:
        """Return the values that are complete with this piece."""

    def end(self) -> list[str]:
        """Return the values that end with the text."""


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


def values_of(
    pieces: Iterable[str],
    source: Source,
    layout: Layout,
    errors: str,
    left_out: Callable[[int], object] = lambda empty: None,
) -> Iterator[list[str]]:
    """Yield the values that are complete with each piece of a source, without empty ones.

    ``left_out`` is called with the number of empty values at the end.

    Raises
    ------
    CorpusError
        If the source has no such column or field, or is damaged; the message names the line.
    """
    reader, empty = _reader(source, layout, errors), 0

    def groups() -> Iterator[list[str]]:
        yield from map(reader.feed, pieces)
        yield reader.end()

    for values in groups():
        kept = [value for value in values if value]
        empty += len(values) - len(kept)
        yield kept
    if empty:
        left_out(empty)


def joined(groups: Iterable[list[str]], layout: Layout) -> Iterator[str]:
    """Yield values as text, with the layout's text after each value and between them."""
    after, between, first = layout.after, layout.between, True
    for group in groups:
        text = between.join([value + after for value in group])
        if text:
            yield text if first else between + text
            first = False


def bordered(groups: Iterable[list[str]], layout: Layout, border: object) -> Iterator[Any]:
    """Yield the text of :func:`joined` with a border before each value but the first."""
    first = True
    for group in groups:
        for value in group:
            if not first:
                if layout.between:
                    yield layout.between
                yield border
            first = False
            yield value + layout.after


def _reader(source: Source, layout: Layout, errors: str) -> Reader:
    name = shown(source.name)
    if source.kind == "builtin":
        raise CorpusError(
            f"{name} is a built-in corpus, which has no {kind(layout)}s",
            f"leave out {setting(kind(layout))}",
        )
    inherited = kind(layout) in layout.inherited
    advice = f"; {setting(kind(layout))} '' reads the whole text" if inherited else ""
    if layout.column is not None:
        from charrnn.text.values.table import Table

        return Table(name, layout.column, suffix(source.name) in (".tsv", ".tab"), advice)
    from charrnn.text.values.json_lines import JsonField

    assert layout.field is not None
    return JsonField(name, layout.field, errors, advice)
