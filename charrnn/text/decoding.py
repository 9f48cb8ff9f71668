"""From chunks of bytes to pieces of text that split no character and no word.

A *chunk* is bytes as they are read, a *piece* is text (bytes at byte level) with whole symbols.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, BinaryIO, NamedTuple

from charrnn.errors import CorpusError, UsageError, setting
from charrnn.text.formats import SNIFF, compression, has_nul, text_of, unmarked
from charrnn.text.layout import WHOLE, Layout
from charrnn.text.source import CHUNK, Source, shown
from charrnn.text.values import bordered, joined, values_of
from charrnn.text.vocabulary import SURROGATE, UNKNOWN_CHAR, Level

_NO_WORD = re.compile(r"\W")
# These codecs never produce a lone surrogate, so none is searched for.
_CLEAN = frozenset({"utf-8", "utf-8-sig", "ascii", "iso8859-1", "utf-16", "utf-32"})
DECODE_OTHERWISE = f"name another {setting('encoding')}, or set {setting('errors')} to replace"
_DECODE_OR_NOT = (
    f"name another {setting('encoding')}, set {setting('level')} to byte, "
    f"or set {setting('errors')} to replace"
)
_NAME_TEXT = f"name a text, or its {setting('encoding')}"
_NOT_TEXT = f"name a text, or its {setting('encoding')}, or set {setting('level')} to byte"
_NOT_UTF8 = "JSON is in UTF-8"


def check_codec(encoding: str, errors: str) -> str:
    """Return the canonical name of a text codec.

    Raises
    ------
    UsageError
        If this Python has no text codec ``encoding``, or ``errors`` is neither strict nor replace.
    """
    if errors not in ("strict", "replace"):
        message = f"{setting('errors')} {errors!r} is invalid"
        raise UsageError(message, "choose strict or replace")
    problem = UsageError(
        f"{setting('encoding')} {encoding!r} is not a text encoding of this Python",
        "choose for example utf-8, latin-1 or cp1252",
    )
    try:
        name = codecs.lookup(encoding).name
        codecs.getincrementaldecoder(encoding)
        with suppress(UnicodeDecodeError):  # one byte alone is not always a character
            b"a".decode(encoding)
    except (LookupError, ValueError):
        raise problem from None
    return name


def decodes_all(encoding: str) -> bool:
    """Return whether any bytes are a text of this encoding, as in latin-1."""
    every = bytes(range(256)) + rb"\x\u"  # escapes without their digits are not valid
    try:
        return len(every.decode(encoding)) == len(every)
    except (LookupError, ValueError):
        return False


def decode_chunks(
    chunks: Iterable[bytes],
    source_name: str,
    encoding: str,
    errors: str,
    remedy: str = _DECODE_OR_NOT,
) -> Iterator[str]:
    """Decode the chunks of one source; a character may lie across the edge of two chunks.

    ``remedy`` says what to do about bytes that are not valid.

    Raises
    ------
    CorpusError
        If the bytes are not valid in ``encoding``; the message gives the byte offset.
    """
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    clean = codecs.lookup(encoding).name in _CLEAN
    end, begun = 0, b""
    for chunk, final in _mark_last(chunks):
        begun = begun or chunk
        end += len(chunk)
        try:
            text = decoder.decode(chunk, final)
        except UnicodeDecodeError as error:
            # The decoder was given the rest of the last chunk and all of this one, which ends here.
            offset = end - len(error.object) + error.start
            byte = f"0x{error.object[error.start]:02x}" if error.object else "end of file"
            message = f"{shown(source_name)} is not valid {encoding} at byte offset {offset}"
            if b"\0" in begun[:SNIFF] and not has_nul(encoding):
                what = "and has NUL bytes, as binary files have"
                remedy = _NOT_TEXT if remedy == _DECODE_OR_NOT else _NAME_TEXT
                raise CorpusError(f"{message} ({byte}), {what}", remedy) from None
            raise CorpusError(f"{message} ({byte})", remedy) from None
        except UnicodeError as error:
            if "BOM" in str(error):
                raise _unmarked(source_name, encoding, begun) from None
            message = f"{shown(source_name)} is not valid {encoding} before byte offset {end}"
            raise CorpusError(message, remedy) from None
        if not clean and not text.isascii() and SURROGATE.search(text):
            if errors == "strict":
                message = f"{shown(source_name)} holds a lone surrogate before byte offset {end}"
                raise CorpusError(message, remedy)
            text = SURROGATE.sub(UNKNOWN_CHAR, text)
        if text:
            yield text


def _unmarked(source_name: str, encoding: str, begun: bytes) -> CorpusError:
    """Return the error for a text without the byte order mark that its encoding needs."""
    form = unmarked(begun).lower()
    right = form or ("utf-8" if b"\0" not in begun else f"{encoding}-le")
    message = f"{shown(source_name)} has no byte order mark of {encoding}"
    return CorpusError(message, f"use {setting('encoding')} {right}")


class Border:
    """Stands in a sequence of pieces where a document ends and the next one begins."""


BORDER = Border()


def whole_words(pieces: Iterable[Any]) -> Iterator[Any]:
    """Split a text anew, so that no boundary falls inside a word; a border ends a word."""
    pending: list[str] = []
    for piece in pieces:
        if piece is BORDER:
            if pending:
                yield "".join(pending)
                pending.clear()
            yield piece
            continue
        cut = _last_edge(piece)
        if cut:
            yield "".join([*pending, piece[:cut]])
            pending.clear()
        if cut < len(piece):
            pending.append(piece[cut:])
    if pending:
        yield "".join(pending)


def _last_edge(text: str) -> int:
    """Return the index after the last character outside a word, 0 if there is none."""
    stop, size = len(text), 64
    while stop:
        start = max(0, stop - size)
        if matches := list(_NO_WORD.finditer(text, start, stop)):
            return matches[-1].end()
        stop, size = start, 8 * size
    return 0


def pieces(
    sources: Iterable[Source],
    level: Level,
    encoding: str,
    errors: str,
    *,
    layout: Layout = WHOLE,
    stdin: BinaryIO | None = None,
    chunk: int = CHUNK,
    verify: bool = False,
    observe: Callable[[bytes], None] | None = None,
    remedy: str = _DECODE_OR_NOT,
    empty: Callable[[int], object] = lambda count: None,
) -> Iterator[str | bytes]:
    """Read the sources, joined, in pieces that split no symbol of the level.

    Parameters and errors are those of :func:`pieces_and_borders`.
    """
    found = pieces_and_borders(
        sources,
        level,
        encoding,
        errors,
        layout=layout,
        stdin=stdin,
        chunk=chunk,
        verify=verify,
        observe=observe,
        remedy=remedy,
        empty=empty,
        borders=False,
    )
    return (piece for piece in found if not isinstance(piece, Border))


def pieces_and_borders(
    sources: Iterable[Source],
    level: Level,
    encoding: str,
    errors: str,
    *,
    layout: Layout = WHOLE,
    stdin: BinaryIO | None = None,
    chunk: int = CHUNK,
    verify: bool = False,
    observe: Callable[[bytes], None] | None = None,
    remedy: str = _DECODE_OR_NOT,
    empty: Callable[[int], object] = lambda count: None,
    borders: bool = True,
) -> Iterator[str | bytes | Border]:
    """Read the sources, joined, in pieces that split no symbol of the level.

    Parameters
    ----------
    layout
        Which part of the sources is text, and the text between them.
    stdin
        What ``-`` reads; None: the standard input of the process.
    chunk
        Bytes read at a time.
    verify
        Raise an error if a file changes after its source was found.
    observe
        Called with every chunk of raw bytes, to count or hash them. Those of a compressed file are
        the bytes on the disk.
    remedy
        What to do about bytes that cannot be decoded. The text of a built-in corpus is UTF-8
        whatever the encoding of the others.
    empty
        Called with the number of values of each source that were left out because they are empty.
    borders
        Whether a border stands between two documents: files, or the values in them.
    """

    def raw(source: Source) -> Iterator[bytes]:
        for data in source.chunks(stdin=stdin, size=chunk, verify=verify):
            if observe is not None:
                observe(data)
            yield data

    how = _How(encoding, errors, layout, borders, remedy, empty)
    if level == "byte":
        yield from _joined((_bytes_of(source, raw(source), how) for source in sources), how)
        return
    decoded = _joined((_text_of(source, raw(source), how) for source in sources), how)
    yield from whole_words(decoded) if level == "word" else decoded


class _How(NamedTuple):
    """How sources become text."""

    encoding: str
    errors: str
    layout: Layout
    borders: bool
    remedy: str
    empty: Callable[[int], object]


def _joined(texts: Iterable[Iterator[Any]], how: _How) -> Iterator[Any]:
    """Chain the pieces of texts, with ``layout.between`` between texts that are not empty."""
    between, first = how.layout.between, True
    for text in texts:
        begun = False
        for piece in text:
            if not begun and not first:
                if between:
                    yield between if isinstance(piece, str) else _bytes(between)
                if how.borders:
                    yield BORDER
            begun, first = True, False
            yield piece
        if begun and how.layout.after_file:
            end: Any = how.layout.after_file
            end = end if isinstance(piece, str) else _bytes(end)
            if how.layout.examples != "line" or not piece.endswith(end):
                yield end


def _text_of(source: Source, raw: Iterator[bytes], how: _How) -> Iterator[Any]:
    """Yield the text of one source, and borders between its values."""
    chunks, codec = raw, "utf-8"
    if source.kind != "builtin":
        chunks, codec = text_of(raw, source.name, how.encoding), how.encoding
    remedy = how.remedy
    if source.directory:
        one = f"convert the file, for example with iconv -f cp1252 -t {codec}"
        remedy = f"if the others of the directory are {codec}, {one}; else {remedy}"
    text = decode_chunks(chunks, source.name, codec, how.errors, remedy)
    found: Iterator[Any] = text
    if how.layout.values:
        groups = values_of(text, source, how.layout, how.errors, how.empty)
        layout = how.layout
        found = bordered(groups, layout, BORDER) if how.borders else joined(groups, layout)
    try:
        yield from found
    except CorpusError:
        if source.kind == "file" and compression(source.head(SNIFF)):
            for _ in chunks:  # a damaged archive, which its end tells, has such bytes, too
                pass
        raise


def _bytes_of(source: Source, raw: Iterator[bytes], how: _How) -> Iterator[Any]:
    """Yield the bytes of one source; of a table, a value's own bytes, whatever they encode."""
    if not how.layout.values:
        yield from raw if source.kind == "builtin" else text_of(raw, source.name, "")
        return
    errors = "surrogateescape" if how.layout.column is not None else "strict"
    how = how._replace(encoding="utf-8", errors=errors, remedy=_NOT_UTF8)
    for text in _text_of(source, raw, how):
        yield text if text is BORDER else _bytes(text)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _mark_last(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    # An empty chunk marks the end: waiting for a pipe's next chunk would delay this one.
    for chunk in chunks:
        yield chunk, False
    yield b"", True
