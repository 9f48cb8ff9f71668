"""Reading a text once, as it comes: ids in chunks, lines, or all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

from numpy.typing import NDArray

from charrnn.display import one_line
from charrnn.errors import CorpusError
from charrnn.text.decoding import check_codec, pieces
from charrnn.text.source import CHUNK, Source, Spec, find_sources, text_sources
from charrnn.text.vocabulary import Level, Unknown, Vocabulary


def iter_ids(
    specs: Spec | Sequence[Spec],
    vocabulary: Vocabulary,
    *,
    encoding: str = "utf-8",
    errors: str = "strict",
    unknown: Unknown = "error",
    stdin: BinaryIO | None = None,
    chunk: int = CHUNK,
) -> Iterator[NDArray[Any]]:
    """Stream the ids of a text, without cache, in memory that does not grow with it.

    Parameters
    ----------
    specs
        As in :func:`charrnn.text.open_corpus`.
    unknown
        As in :meth:`Vocabulary.encode`.
    chunk
        Bytes read at a time.

    Yields
    ------
    ids
        1-D arrays of the vocabulary's type, none empty.

    Raises
    ------
    CorpusError
        The text is missing, unreadable, empty or wrongly encoded.
    VocabularyError
        It holds a symbol that the vocabulary does not.
    """
    offset = 0
    for piece in _text(specs, vocabulary.level, encoding, errors, stdin, chunk):
        ids = vocabulary.encode(piece, unknown, offset=offset)
        offset += len(piece)
        if len(ids):
            yield ids


def iter_lines(
    specs: Spec | Sequence[Spec],
    vocabulary: Vocabulary,
    *,
    encoding: str = "utf-8",
    errors: str = "strict",
    unknown: Unknown = "error",
    stdin: BinaryIO | None = None,
    chunk: int = CHUNK,
) -> Iterator[tuple[str | bytes, NDArray[Any]]]:
    r"""Stream a text line by line, each as soon as it has been read.

    A line ends with ``"\n"`` alone, which it keeps (the last may have none); a carriage return is
    part of its line. Parameters and errors are those of :func:`iter_ids`.

    Yields
    ------
    line, ids
        The line (bytes at byte level) and the ids of its symbols.
    """
    offset = 0
    for line in _lines(_text(specs, vocabulary.level, encoding, errors, stdin, chunk)):
        yield line, vocabulary.encode(line, unknown, offset=offset)
        offset += len(line)


def read_text(
    path: Spec,
    level: Level = "char",
    encoding: str = "utf-8",
    errors: str = "strict",
    *,
    stdin: BinaryIO | None = None,
) -> str | bytes:
    """Read a whole text (a file, or ``-``) into memory: bytes at byte level, else ``str``.

    Raises
    ------
    CorpusError
        The file is missing, unreadable or wrongly encoded. An empty one is no error.
    """
    source = find_sources(path)
    read = list(pieces(source, level, _codec(level, encoding, errors), errors, stdin=stdin))
    if level == "byte":
        return b"".join(piece for piece in read if isinstance(piece, bytes))
    return "".join(piece for piece in read if isinstance(piece, str))


def _text(
    specs: Spec | Sequence[Spec],
    level: Level,
    encoding: str,
    errors: str,
    stdin: BinaryIO | None,
    chunk: int,
) -> Iterator[str | bytes]:
    codec = _codec(level, encoding, errors)
    sources: list[Source] = find_sources(specs)
    if level != "byte" and b"\0" not in "a".encode(codec):
        sources = text_sources(sources)
    some = False
    for piece in pieces(sources, level, codec, errors, stdin=stdin, chunk=chunk):
        some = True
        yield piece
    if not some:
        first = sources[0].name
        name = "standard input" if first == "-" else one_line(first)
        raise CorpusError(f"{name} is empty", "name a text that is not")


def _lines(texts: Iterator[str | bytes]) -> Iterator[str | bytes]:
    held: list[Any] = []
    for text in texts:
        newline: Any = "\n" if isinstance(text, str) else b"\n"
        start = 0
        find: Callable[..., int] = text.find
        while (end := find(newline, start) + 1) > 0:
            yield newline[:0].join([*held, text[start:end]])
            held.clear()
            start = end
        if start < len(text):
            held.append(text[start:])
    if held:
        yield held[0][:0].join(held)


def _codec(level: Level, encoding: str, errors: str) -> str:
    return "" if level == "byte" else check_codec(encoding, errors)
