"""Streaming a text: ids in chunks, lines, or the whole text."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, BinaryIO, NamedTuple, TypedDict, Unpack

from numpy.typing import NDArray

from charrnn.config import DataConfig
from charrnn.errors import CorpusError, VocabularyError
from charrnn.text.decoding import (
    BORDER,
    DECODE_OTHERWISE,
    Border,
    check_codec,
    pieces,
    pieces_and_borders,
)
from charrnn.text.finding import SourceName, find_sources, text_sources
from charrnn.text.layout import WHOLE, Layout
from charrnn.text.remarks import EmptyValues, Replaced, Tell
from charrnn.text.source import CHUNK, empty
from charrnn.text.tally import Tally
from charrnn.text.vocabulary import Level, Unknown, Vocabulary


class Reading(TypedDict, total=False):
    """How a text is read; what is left out has its default.

    Attributes
    ----------
    encoding, errors, layout, stdin
        As for :func:`charrnn.text.open_corpus`.
    chunk
        Bytes read at a time.
    tell
        Is called with each note on the text, such as on the files of a directory left out.
    """

    encoding: str
    errors: str
    layout: Layout
    stdin: BinaryIO | None
    chunk: int
    tell: Tell | None


class _How(NamedTuple):
    """How a text is read: its level, and the fields of :class:`Reading`."""

    level: Level
    encoding: str = DataConfig.encoding
    errors: str = DataConfig.errors
    layout: Layout = WHOLE
    stdin: BinaryIO | None = None
    chunk: int = CHUNK
    tell: Tell | None = None


def iter_ids(
    names: SourceName | Sequence[SourceName],
    vocabulary: Vocabulary,
    *,
    unknown: Unknown = "error",
    tally: Tally | None = None,
    **reading: Unpack[Reading],
) -> Iterator[NDArray[Any]]:
    r"""Yield the ids of a text, without the cache; memory does not grow with the text.

    If the vocabulary has no carriage return, ``"\r\n"`` is read as ``"\n"``.

    Parameters
    ----------
    names
        As for :func:`charrnn.text.open_corpus`.
    unknown
        As for :meth:`Vocabulary.encode`.
    tally
        Counts what has been read.
    reading
        How the text is read; see :class:`Reading`.

    Yields
    ------
    ids
        1-D arrays of the vocabulary's type, none empty.

    Raises
    ------
    CorpusError
        If the text is missing, unreadable, empty or wrongly encoded.
    VocabularyError
        If the text holds a symbol that the vocabulary does not.
    """
    offset = 0
    how = _How(vocabulary.level, **reading)
    for piece in _whole_ends(_pieces(names, how)):
        ids = encoded(vocabulary, piece, unknown, offset)
        offset += len(piece)
        if tally is not None:
            tally.add(vocabulary, piece, ids)
        if len(ids):
            yield ids


def iter_lines(
    names: SourceName | Sequence[SourceName],
    vocabulary: Vocabulary,
    *,
    unknown: Unknown = "error",
    **reading: Unpack[Reading],
) -> Iterator[tuple[str | bytes, NDArray[Any]]]:
    r"""Yield the lines of a text, each as soon as it has been read.

    A line ends with ``"\n"``, which is part of it; the last line may have none. A carriage return
    does not end a line. Parameters and errors are those of :func:`iter_ids`; ``"\r\n"`` is read as
    there.

    Yields
    ------
    line, ids
        The line (bytes at byte level) and the ids of its symbols.
    """
    offset = 0
    how = _How(vocabulary.level, **reading)
    for line in _lines(_pieces(names, how)):
        yield line, encoded(vocabulary, line, unknown, offset)
        offset += len(line)


def iter_documents(
    names: SourceName | Sequence[SourceName],
    vocabulary: Vocabulary,
    *,
    unknown: Unknown = "error",
    **reading: Unpack[Reading],
) -> Iterator[tuple[str | bytes, NDArray[Any]]]:
    """Yield the documents of a text: values, or files, each with what stands after it.

    Parameters and errors are those of :func:`iter_ids`.

    Yields
    ------
    document, ids
        The document (bytes at byte level) and the ids of its symbols.
    """
    how = _How(vocabulary.level, **reading)
    held: list[Any] = []
    offset = 0
    for piece in chain(_pieces_and_borders(names, how), [BORDER]):
        if not isinstance(piece, Border):
            held.append(piece)
        elif held:
            document = vocabulary.join(held)
            held.clear()
            yield document, encoded(vocabulary, document, unknown, offset)
            offset += len(document)


def read_text(
    name: SourceName,
    level: Level = "char",
    encoding: str = DataConfig.encoding,
    errors: str = DataConfig.errors,
    *,
    stdin: BinaryIO | None = None,
) -> str | bytes:
    """Return a whole text (a file, or ``-``): bytes at byte level, else ``str``; it may be empty.

    Raises
    ------
    CorpusError
        If the file is missing, unreadable or wrongly encoded.
    """
    sources, codec = find_sources(name), _codec(level, encoding, errors)
    read: Any = list(pieces(sources, level, codec, errors, stdin=stdin, remedy=DECODE_OTHERWISE))
    joined: str | bytes = (b"" if level == "byte" else "").join(read)
    return joined


def live_lines(
    level: Level = "char",
    encoding: str = DataConfig.encoding,
    errors: str = DataConfig.errors,
    *,
    stdin: BinaryIO | None = None,
) -> Iterator[str | bytes]:
    r"""Yield the lines of standard input without their ends, each as soon as it is complete.

    A line ends with ``"\n"`` or ``"\r\n"``. Nothing beyond the end of a line is waited for. There
    may be no line.

    Raises
    ------
    CorpusError
        If it cannot be read or is wrongly encoded.
    """
    chunks = find_sources("-")[0].chunks(stdin=stdin)
    for line in _lines(chunks if level == "byte" else _live(chunks, encoding, errors)):
        one: Any = line
        newline, pair = ("\n", "\r\n") if isinstance(line, str) else (b"\n", b"\r\n")
        yield one.removesuffix(pair if one.endswith(pair) else newline)


def _live(chunks: Iterator[bytes], encoding: str, errors: str) -> Iterator[str]:
    """Decode chunks as they come."""
    decoder = codecs.getincrementaldecoder(check_codec(encoding, errors))(errors)
    end = 0
    for chunk in chain(chunks, [b""]):
        end += len(chunk)
        try:
            yield decoder.decode(chunk, final=not chunk)
        except UnicodeError as problem:
            before = problem.object if isinstance(problem, UnicodeDecodeError) else b""
            offset = end - len(before) + getattr(problem, "start", 0)
            message = f"standard input is not valid {encoding} at byte offset {offset}"
            raise CorpusError(message, DECODE_OTHERWISE) from None


def _pieces(names: SourceName | Sequence[SourceName], how: _How) -> Iterator[str | bytes]:
    found = _pieces_and_borders(names, how)
    return (piece for piece in found if not isinstance(piece, Border))


def _pieces_and_borders(
    names: SourceName | Sequence[SourceName], how: _How
) -> Iterator[str | bytes | Border]:
    codec = _codec(how.level, how.encoding, how.errors)
    found = find_sources(names)
    how.layout.check(found)
    sources = text_sources(found, codec, how.tell, how.layout)
    any_piece, empty_values, replaced = False, EmptyValues(), Replaced(how.errors)
    for piece in pieces_and_borders(
        sources,
        how.level,
        codec,
        how.errors,
        layout=how.layout,
        stdin=how.stdin,
        chunk=how.chunk,
        remedy=DECODE_OTHERWISE,
        empty=empty_values.add,
    ):
        any_piece = True
        if not isinstance(piece, Border):
            replaced.add(piece)
        yield piece
    if not any_piece:
        raise empty(sources[0].name, how.layout.values)
    for note in (empty_values.note(), replaced.note()):
        if note and how.tell is not None:
            how.tell(note)


def encoded(
    vocabulary: Vocabulary, text: str | bytes, unknown: Unknown = "error", offset: int = 0
) -> NDArray[Any]:
    """Return the ids of a text with line ends that the vocabulary knows.

    Parameters and errors are those of :meth:`Vocabulary.encode`.
    """
    plain = vocabulary.newlines(text)
    if len(plain) == len(text):
        return vocabulary.encode(text, unknown, offset=offset)
    try:
        return vocabulary.encode(plain, unknown)
    except VocabularyError:
        marked: Any = text  # the offset of the symbol is that in the text as it came
        for line in marked.split("\r\n" if isinstance(text, str) else b"\r\n"):
            vocabulary.encode(line, unknown, offset=offset)
            offset += len(line) + 2
        raise


def _whole_ends(pieces: Iterator[str | bytes]) -> Iterator[str | bytes]:
    r"""Split a text anew, so that no boundary falls inside ``"\r\n"``."""
    held: Any = None
    for piece in pieces:
        whole: Any = piece if held is None else held + piece
        ends = whole.endswith("\r" if isinstance(whole, str) else b"\r")
        held = whole[-1:] if ends else None
        if rest := whole[:-1] if ends else whole:
            yield rest
    if held is not None:
        yield held


def _lines(pieces: Iterator[str | bytes]) -> Iterator[str | bytes]:
    unfinished: list[Any] = []
    for piece in pieces:
        newline: Any = "\n" if isinstance(piece, str) else b"\n"
        start = 0
        find: Callable[..., int] = piece.find
        while (end := find(newline, start) + 1) > 0:
            yield newline[:0].join([*unfinished, piece[start:end]])
            unfinished.clear()
            start = end
        if start < len(piece):
            unfinished.append(piece[start:])
    if unfinished:
        yield unfinished[0][:0].join(unfinished)


def _codec(level: Level, encoding: str, errors: str) -> str:
    return "" if level == "byte" else check_codec(encoding, errors)
