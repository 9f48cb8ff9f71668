"""Encoding a text into the cache: a first pass counts its symbols, a second writes their ids."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import sys
import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from charrnn.display import size
from charrnn.errors import CorpusError, UsageError, VocabularyError, setting
from charrnn.files import FILE_TIME_TICK, write_all
from charrnn.text.cache import store
from charrnn.text.decoding import Border, check_codec, pieces_and_borders
from charrnn.text.finding import text_sources
from charrnn.text.formats import is_plain
from charrnn.text.layout import WHOLE, Layout
from charrnn.text.remarks import CarriageReturns, EmptyValues, EndsInside, Replaced, Tell
from charrnn.text.source import Source, changed, empty, shown
from charrnn.text.symbols.counts import SymbolCounts
from charrnn.text.units import index
from charrnn.text.units.index import EndsWriter
from charrnn.text.vocabulary import LEVELS, SURROGATE, Level, Vocabulary

_SPOOLED = 1 << 20
_FORMAT = 5  # of a cache entry; raise it with every change of what is written
_LARGEST_VOCABULARY = 60_000_000  # bytes in a checkpoint, well below what its reader accepts


@dataclass(frozen=True)
class EncodingRequest:
    """What to encode and how: all that the key of a cache entry depends on."""

    parts: tuple[tuple[Source, ...], ...]  # training, validation, test
    level: Level
    encoding: str
    errors: str
    min_count: int
    layout: Layout = WHOLE
    units: str = ""
    """Which unit ends are recorded as well: ``line``, ``document``, or empty for none."""

    def key(self) -> str:
        """Return the name of the cache entry: a SHA-256 that is computed without reading a file."""
        parts = [[(s.kind, s.name, s.directory, s.identity) for s in p] for p in self.parts]
        text = [self.level, self.encoding, self.errors, self.min_count]
        # Python's Unicode tables decide what a word is; ids have the machine's byte order.
        machine = [sys.byteorder, unicodedata.unidata_version if self.level == "word" else ""]
        layout = self.layout.key()
        described = [_FORMAT, parts, text, machine, *([layout] if layout else [])]
        described += [self.units] if self.units else []
        content = json.dumps(described).encode("ascii")
        return hashlib.sha256(content).hexdigest()


def check_options(level: str, encoding: str, errors: str, min_count: int) -> tuple[str, str]:
    """Return the canonical encoding and errors, both empty at byte level.

    Raises
    ------
    UsageError
        If an option is invalid.
    """
    if level not in LEVELS:
        message = f"{setting('level')} {level!r} is invalid"
        raise UsageError(message, "choose char, byte or word")
    if min_count < 1:
        message = f"{setting('min_count')} {min_count} is below 1"
        raise UsageError(message, "1 keeps every symbol")
    codec = check_codec(encoding, errors)
    return ("", "") if level == "byte" else (codec, errors)


def spool_pipes(
    sources: Sequence[Source], stdin: BinaryIO | None, stack: contextlib.ExitStack
) -> Iterator[Source]:
    """Copy sources that can be read only once into temporary files, which ``stack`` closes."""
    for source in sources:
        pipe = source.kind in ("pipe", "stdin")
        yield _spooled(source, stdin, stack) if pipe else source


def _spooled(source: Source, stdin: BinaryIO | None, stack: contextlib.ExitStack) -> Source:
    try:
        spooled = source.spool(store.cache_dir(), stdin)
    except OSError as error:
        if source.kind == "builtin":
            return source  # it can be generated twice
        raise store.unwritable(error) from None
    if spooled.spooled is not None:
        stack.callback(spooled.spooled.close)
    return spooled


class CountedText:
    """A text after the first pass over it, in which its symbols were counted.

    Attributes
    ----------
    request
        What to encode: with copies of sources that can be read only once, and without binary files.
    vocabulary
        Of the whole text.
    meta
        Digests, sizes, names and notes, as in the description of a cache entry.
    """

    def __init__(self, request: EncodingRequest, stack: contextlib.ExitStack) -> None:
        notes: list[str] = []
        self.request = _readable(request, stack, notes.append)
        self.vocabulary, self.meta = _count(self.request)
        self.meta["notes"] = [*notes, *self.meta["notes"]]
        self.meta["vocabulary"] = self.vocabulary.to_json()

    def to_cache(self, key: str) -> tuple[Path, dict[str, Any]]:
        """Make the second pass, into a new cache entry; return what :func:`store.load` would.

        Raises
        ------
        UnwritableError
            If the cache cannot be written.
        """
        sizes, digest = [0, 0, 0], hashlib.sha256()

        def write(data: bytes | memoryview) -> None:
            digest.update(data)
            _write(file, data)

        with store.writing() as (folder, file), _temporary(folder) as spool:
            ends = EndsWriter(spool)
            for part, ids in self._ids(ends):
                write(np.ascontiguousarray(ids).view(np.uint8).data)
                sizes[part] += len(ids)
            meta = {**self.meta, "parts": sizes}
            if self.request.units:
                write(bytes(index.padding(sum(sizes), self.vocabulary.dtype.itemsize)))
                spool.seek(0)
                while data := spool.read(_SPOOLED):
                    write(data)
                meta["units"] = ends.counts
            meta["ids_sha256"] = digest.hexdigest()
            try:
                os.fsync(file.fileno())
                file.close()
                return store.publish(folder, key, meta)
            except OSError as error:
                raise store.unwritable(error, folder.parent) from None

    def to_memory(self) -> tuple[NDArray[Any], NDArray[np.int64], dict[str, Any]]:
        """Make the second pass, into memory; return all ids, ends of units and the description.

        Raises
        ------
        CorpusError
            If there is not enough memory.
        """
        try:
            parts: list[list[NDArray[Any]]] = [[], [], []]
            spool = io.BytesIO()
            ends = EndsWriter(spool)
            for part, ids in self._ids(ends):
                parts[part].append(ids)
            sizes = [sum(map(len, part)) for part in parts]
            empty = np.empty(0, self.vocabulary.dtype)
            joined = np.concatenate([empty, *parts[0], *parts[1], *parts[2]])
        except MemoryError:
            message = "the encoded text fits neither on the disk nor in memory"
            remedy = "set CHARRNN_CACHE to a folder with more free space"
            raise CorpusError(message, remedy) from None
        joined.flags.writeable = False
        meta = {**self.meta, "parts": sizes}
        meta |= {"units": ends.counts} if self.request.units else {}
        return joined, np.frombuffer(spool.getvalue(), index.TYPE), meta

    def _ids(self, ends: EndsWriter) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield the number of its part and the ids of every piece; note where units end."""
        level, units = self.request.level, self.request.units
        for number, part in enumerate(self.request.parts):
            found: Any = _pieces(self.request, part)
            for piece, borders in index.batches(found, level) if units else zip(found, repeat([])):
                try:
                    ids = self.vocabulary.encode(piece)
                except VocabularyError:
                    raise changed(part[0].name) from None
                if units == "line":
                    ends.add(number, len(ids), index.lines(ids, self.vocabulary))
                elif units:
                    at = [len(ids)] if borders and level == "word" else borders
                    ends.add(number, len(ids), np.array(at, index.TYPE))
                yield number, ids
        ends.close()


def _readable(request: EncodingRequest, stack: contextlib.ExitStack, tell: Tell) -> EncodingRequest:
    """Leave out binary files and spool built-in corpora, so that both passes read the same text."""
    files = [s for part in request.parts for s in part if s.kind == "file"]
    newest = max((int(s.identity[1]) for s in files), default=0) / 1e9
    if -FILE_TIME_TICK < time.time() - newest < FILE_TIME_TICK:
        # Written just now: another change within the same tick would go unnoticed.
        time.sleep(FILE_TIME_TICK)
    parts = []
    for part in request.parts:
        kept = text_sources(part, request.encoding, tell, request.layout)
        parts.append(tuple(_spooled(s, None, stack) if s.kind == "builtin" else s for s in kept))
    return replace(request, parts=tuple(parts))


def _count(request: EncodingRequest) -> tuple[Vocabulary, dict[str, Any]]:
    """Make the first pass; return the vocabulary and the metadata."""
    counts = SymbolCounts(request.level)
    digests = [hashlib.sha256(), hashlib.sha256()]
    returns, left_out, replaced = CarriageReturns(), EmptyValues(), Replaced(request.errors)
    document = request.layout.examples == "document"
    inside = EndsInside(_as_read(request.layout.end, request.level) if document else "")
    total = 0
    for i, part in enumerate(request.parts):
        digest, symbols = digests[min(i, 1)], 0

        def observe(data: bytes, digest: Any = digest) -> None:
            nonlocal total
            digest.update(data)
            total += len(data)

        for piece in _pieces(request, part, observe, left_out):
            if isinstance(piece, Border):
                inside.next()
                continue
            inside.add(piece)
            counts.add(piece)
            returns.add(piece)
            replaced.add(piece)
            symbols += len(piece)
        if part and not symbols:
            raise empty(_names(part), request.layout.values)
        if i + 1 < len(request.parts) and request.parts[i + 1]:
            inside.next()
    notes = [left_out.note(), replaced.note(), inside.note()]
    if request.level != "byte" and returns.note():
        sources = [source for part in request.parts for source in part]
        plain = request.layout.field is None and is_plain(sources, request.encoding)
        notes.append(returns.note(plain))
    return vocabulary_of(counts, request.min_count), {
        "sha256": digests[0].hexdigest(),
        "heldout_sha256": digests[1].hexdigest() if any(request.parts[1:]) else "",
        "bytes": total,
        "sources": [source.name for source in request.parts[0]],
        "notes": [note for note in notes if note],
    }


def _pieces(
    request: EncodingRequest,
    part: Sequence[Source],
    observe: Callable[[bytes], None] | None = None,
    left_out: EmptyValues | None = None,
) -> Iterator[str | bytes | Border]:
    level, encoding, errors = request.level, request.encoding, request.errors
    how: dict[str, Any] = {"layout": request.layout, "borders": request.units == "document"}
    how |= {"empty": (left_out or EmptyValues()).add, "verify": True, "observe": observe}
    return pieces_and_borders(part, level, encoding, errors, **how)


def _as_read(text: str, level: Level) -> str:
    """Return a text as its pieces hold it: at byte level a character for each byte."""
    return text.encode().decode("latin-1") if level == "byte" else text


def vocabulary_of(counts: SymbolCounts, min_count: int) -> Vocabulary:
    """Return the vocabulary.

    Raises
    ------
    UsageError
        If ``min_count`` leaves nothing but the unknown symbol.
    CorpusError
        If the vocabulary is too large for a checkpoint, or as :func:`refuse_surrogates` does.
    """
    vocabulary = counts.vocabulary(min_count)
    refuse_surrogates(vocabulary.symbols)
    if len(vocabulary) == 1 and vocabulary.unknown is not None:
        message = f"{setting('min_count')} {min_count} folds every symbol into the unknown one"
        raise UsageError(message, "choose a smaller number")
    if vocabulary.level == "word" and (bytes_ := _listed_size(vocabulary)) > _LARGEST_VOCABULARY:
        raise CorpusError(
            f"the vocabulary of {len(vocabulary):,} words needs {size(bytes_)} in a checkpoint, "
            f"more than {size(_LARGEST_VOCABULARY)}",
            f"raise {setting('min_count')}, or set {setting('level')} to char",
        )
    return vocabulary


def refuse_surrogates(symbols: Iterable[str | int]) -> None:
    """Raise :class:`CorpusError` if a symbol is no text, which may be in strings of Python."""
    for symbol in symbols:
        if isinstance(symbol, str) and (found := SURROGATE.search(symbol)):
            raise CorpusError(
                f"the text holds a lone surrogate, U+{ord(found[0]):04X}", "remove it"
            )


def _listed_size(vocabulary: Vocabulary) -> int:
    """Return at least the number of bytes that the symbols take as JSON inside JSON."""
    return sum(map(_listed_symbol, vocabulary.symbols))


def _listed_symbol(symbol: str | int) -> int:
    # Quotes and comma take 5 bytes; a character takes at most two escapes of 7 bytes each.
    text = str(symbol)
    return 5 + (len(text) if text.isascii() else 14 * len(text))


@contextlib.contextmanager
def _temporary(folder: Path) -> Iterator[BinaryIO]:
    """Yield a file without a name."""
    try:
        with tempfile.TemporaryFile(dir=folder.parent) as file:
            yield file
    except OSError as error:
        raise store.unwritable(error, folder.parent) from None


def _write(file: BinaryIO, view: bytes | memoryview) -> None:
    try:
        write_all(file.fileno(), view)
    except OSError as error:
        raise store.unwritable(error) from None


def _names(part: Sequence[Source]) -> str:
    return ", ".join(shown(s.name) for s in part[:3]) + (", …" if len(part) > 3 else "")
