"""From bytes to pieces of text: decoding that survives chunk edges, and words left whole."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from charrnn.display import one_line
from charrnn.errors import CorpusError, UsageError
from charrnn.text.source import CHUNK, Source
from charrnn.text.vocabulary import UNKNOWN_CHAR, Level

_NO_WORD = re.compile(r"\W")
_SURROGATE = re.compile("[\ud800-\udfff]")
# Codecs that can produce no lone surrogate: nothing to look for.
_CLEAN = frozenset({"utf-8", "utf-8-sig", "ascii", "iso8859-1", "utf-16", "utf-32"})
_DECODING = "use --errors replace, --encoding NAME, or --level byte"


def check_codec(encoding: str, errors: str) -> str:
    """Return the normal name of a text codec.

    Raises
    ------
    UsageError
        ``encoding`` is no text codec of this Python, or ``errors`` neither strict nor replace.
    """
    if errors not in ("strict", "replace"):
        message = f"--errors {errors!a} is not known"
        raise UsageError(message, "use strict or replace")
    problem = UsageError(
        f"--encoding {encoding!a} is not a text encoding of this Python",
        "use for example utf-8, latin-1 or cp1252",
    )
    try:
        name = codecs.lookup(encoding).name
        codecs.getincrementaldecoder(encoding)
        b"a".decode(encoding)
    except UnicodeDecodeError:
        pass  # one byte alone need not be a character
    except (LookupError, ValueError):
        raise problem from None
    return name


def decode_chunks(
    chunks: Iterable[bytes], source_name: str, encoding: str, errors: str
) -> Iterator[str]:
    """Decode one source; characters that straddle a chunk's edge are handled.

    Raises
    ------
    CorpusError
        The bytes are not valid in ``encoding`` (with the byte offset in the source).
    """
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    clean = codecs.lookup(encoding).name in _CLEAN
    end = 0
    for chunk, final in _mark_last(chunks):
        end += len(chunk)
        try:
            text = decoder.decode(chunk, final)
        except UnicodeDecodeError as error:
            # The decoder saw what was left of the last chunk and this one: both end here.
            offset = end - len(error.object) + error.start
            byte = f"0x{error.object[error.start]:02x}" if error.object else "end of file"
            message = f"{one_line(source_name)} is not valid {encoding} at byte offset {offset}"
            raise CorpusError(f"{message} ({byte})", _DECODING) from None
        except UnicodeError:
            message = f"{one_line(source_name)} is not valid {encoding} before byte offset {end}"
            raise CorpusError(message, _DECODING) from None
        if not clean and not text.isascii() and _SURROGATE.search(text):
            if errors == "strict":
                message = f"{one_line(source_name)} holds a lone surrogate before byte offset {end}"
                raise CorpusError(message, _DECODING)
            text = _SURROGATE.sub(UNKNOWN_CHAR, text)
        if text:
            yield text


def whole_words(texts: Iterable[str]) -> Iterator[str]:
    """Cut a text given in pieces anew, so that no edge falls inside a word."""
    held: list[str] = []
    for text in texts:
        cut = _last_edge(text)
        if cut:
            yield "".join([*held, text[:cut]])
            held.clear()
        if cut < len(text):
            held.append(text[cut:])
    if held:
        yield "".join(held)


def _last_edge(text: str) -> int:
    """Return the place after the last character that is in no word, 0 if there is none."""
    stop, size = len(text), 64
    while stop:
        start = max(0, stop - size)
        if found := list(_NO_WORD.finditer(text, start, stop)):
            return found[-1].end()
        stop, size = start, 8 * size
    return 0


def pieces(
    sources: Iterable[Source],
    level: Level,
    encoding: str,
    errors: str,
    *,
    stdin: BinaryIO | None = None,
    chunk: int = CHUNK,
    verify: bool = False,
    observe: Callable[[bytes], None] | None = None,
) -> Iterator[str | bytes]:
    """Read sources, joined, as pieces whose edges cut no symbol of the level.

    Parameters
    ----------
    stdin
        What ``-`` reads from; ``None`` is the standard input of the process.
    chunk
        Bytes read at a time.
    verify
        Raise where a file is no longer what it was when its source was found.
    observe
        Called with every chunk of raw bytes, for digests and counts.
    """

    def raw(source: Source) -> Iterator[bytes]:
        for data in source.chunks(stdin=stdin, size=chunk, verify=verify):
            if observe is not None:
                observe(data)
            yield data

    if level == "byte":
        for source in sources:
            yield from raw(source)
        return
    texts = (
        text
        for source in sources
        for text in decode_chunks(raw(source), source.name, encoding, errors)
    )
    yield from whole_words(texts) if level == "word" else texts


def _mark_last(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    # The end is reported with an empty chunk, so that a pipe's data is not held back by one chunk.
    for chunk in chunks:
        yield chunk, False
    yield b"", True
