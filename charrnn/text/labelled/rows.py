"""The examples of files, directories, standard input or a built-in corpus, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

from charrnn.config import DataConfig
from charrnn.text.decoding import DECODE_OTHERWISE, check_codec, decode_chunks
from charrnn.text.finding import find_sources, text_sources
from charrnn.text.formats import text_of
from charrnn.text.labelled.lines import Row
from charrnn.text.labelled.readers import LabelledField, LabelledTable, Lines, Unfit
from charrnn.text.layout import Layout
from charrnn.text.remarks import Tell
from charrnn.text.source import Source, shown
from charrnn.text.values import suffix


class How(NamedTuple):
    """How a table of examples is read; the fields are those of :class:`DataConfig`."""

    level: str = "char"
    encoding: str = "utf-8"
    errors: str = "strict"
    column: str | None = None
    field: str | None = None
    label_column: str | None = None
    label_field: str | None = None

    @classmethod
    def of(cls, data: DataConfig) -> How:
        """Return how the table of a run is read."""
        return cls(*(getattr(data, name) for name in cls._fields))

    @property
    def layout(self) -> Layout:
        """Which part of a source is text."""
        return Layout(self.column, self.field)


def examples(
    names: Sequence[str],
    how: How,
    unfit: Unfit,
    *,
    stdin: BinaryIO | None = None,
    observe: Callable[[bytes], object] = lambda data: None,
    tell: Tell | None = None,
) -> Iterator[tuple[Source, Row]]:
    """Yield the examples of tables, each with its source.

    Parameters
    ----------
    unfit
        Takes the lines that are not examples.
    stdin
        What ``-`` reads; None: the standard input of the process.
    observe
        Called with all raw bytes.
    tell
        Called with a note on the files of a directory that were left out.

    Raises
    ------
    CorpusError
        If a table is missing, unreadable, wrongly encoded or damaged.
    """
    errors = "surrogateescape" if how.errors == "skip" or how.level == "byte" else how.errors
    codec = "utf-8" if how.level == "byte" else check_codec(how.encoding, "strict")
    for source in text_sources(find_sources(names), codec, tell, how.layout):
        reader = _reader(source, how, unfit, tell)

        def raw(source: Source = source) -> Iterator[bytes]:
            for data in source.chunks(stdin=stdin):
                observe(data)
                yield data

        encoding = "utf-8" if source.kind == "builtin" else codec
        found = text_of(raw(), source.name, encoding)
        text = decode_chunks(found, source.name, encoding, errors, DECODE_OTHERWISE)
        for rows in _groups(reader, text, whole=source.kind != "builtin"):
            for row in rows:
                if how.errors == "skip" and how.level != "byte" and not _is_text(row.text):
                    unfit(shown(source.name), row.line, "")
                else:
                    yield source, row


def _groups(reader: Any, text: Iterator[str], whole: bool) -> Iterator[list[Row]]:
    """Yield rows; unless the text is ``whole``, a last line without a newline is left out."""
    yield from map(reader.feed, text)
    if whole:
        yield reader.end()


def _is_text(text: str) -> bool:
    """Return whether a text has no byte that could not be decoded."""
    return text.isascii() or not any("\udc80" <= c <= "\udcff" for c in text)


def _reader(source: Source, how: How, unfit: Unfit, tell: Tell | None) -> Any:
    name = shown(source.name)
    if how.column is None and how.field is None:
        return Lines(name, unfit, tell)
    if how.column is not None:
        tabs = suffix(source.name) in (".tsv", ".tab")
        return LabelledTable(name, how.column, str(how.label_column), tabs, unfit)
    assert how.field is not None
    return LabelledField(name, how.field, str(how.label_field), how.errors, unfit)
