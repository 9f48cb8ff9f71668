"""Texts without labels, as they come: the lines of a source, or the values of a column or field."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from charrnn.errors import CorpusError
from charrnn.text.decoding import DECODE_OTHERWISE, check_codec, decode_chunks
from charrnn.text.finding import find_sources
from charrnn.text.formats import text_of
from charrnn.text.labelled.rows import How
from charrnn.text.source import shown
from charrnn.text.values import suffix
from charrnn.text.values.json_lines import JsonField
from charrnn.text.values.table import Table


def texts(name: str, how: How, *, stdin: BinaryIO | None = None) -> Iterator[list[str]]:
    r"""Yield the texts of a file, or of standard input (``-``), that are complete with each chunk.

    Without a column or field each line is one, also if it is empty; a line ends with ``"\n"`` or
    ``"\r\n"``, which is no part of it. Nothing beyond the end of a line is waited for, and what
    comes before a line that is damaged is yielded.

    Raises
    ------
    CorpusError
        If the source is missing, unreadable, wrongly encoded or damaged.
    """
    errors = "replace" if how.errors == "skip" else how.errors
    errors = "surrogateescape" if how.level == "byte" else errors
    codec = "utf-8" if how.level == "byte" else check_codec(how.encoding, "strict")
    for source in find_sources(name):
        raw = text_of(source.chunks(stdin=stdin), source.name, codec)
        if errors == "strict":
            raw = _apart(raw, codec)
        text = decode_chunks(raw, source.name, codec, errors, DECODE_OTHERWISE)
        reader = _reader(source.name, how)
        if reader is None:
            yield from _lines(text)
            continue
        for piece in text:
            yield from _values(reader, piece)
        yield reader.end()


def _apart(raw: Iterable[bytes], codec: str) -> Iterator[bytes]:
    """Yield chunks such that one that cannot be decoded begins with what is at fault."""
    decoder = codecs.getincrementaldecoder(codec)()
    for chunk in raw:
        held, _ = decoder.getstate()
        try:
            decoder.decode(chunk)
        except UnicodeError as problem:
            valid = max(0, getattr(problem, "start", 0) - len(held))  # it counts from what was held
            yield from filter(None, (chunk[:valid], chunk[valid:]))
            decoder.reset()
        else:
            yield chunk


def _values(reader: Any, piece: str) -> Iterator[list[str]]:
    """Yield the values that are complete with a piece of text, also those before a damaged line."""
    found: list[str] = []
    try:
        for line in piece.split("\n")[:-1]:
            found += reader.feed(line + "\n")
        found += reader.feed(piece.rpartition("\n")[2])
    except CorpusError:
        yield found
        raise
    yield found


def _reader(name: str, how: How) -> Any:
    if how.column is not None:
        return Table(shown(name), how.column, suffix(name) in (".tsv", ".tab"), "")
    if how.field is not None:
        return JsonField(shown(name), how.field, how.errors, "")
    return None


def _lines(pieces: Iterator[str]) -> Iterator[list[str]]:
    held: list[str] = []
    for piece in pieces:
        *complete, rest = piece.split("\n")
        if complete:
            complete[0] = "".join([*held, complete[0]])
            held.clear()
            yield [line.removesuffix("\r") for line in complete]
        held.append(rest)
    if last := "".join(held):
        yield [last.removesuffix("\r")]
