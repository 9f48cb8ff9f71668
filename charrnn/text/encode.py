"""Encoding a text into the cache: one pass counts its symbols, a second writes their ids."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import time
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from charrnn.display import one_line
from charrnn.errors import CorpusError, UsageError, VocabularyError
from charrnn.text.cache import store
from charrnn.text.counts import SymbolCounts
from charrnn.text.decoding import check_codec, pieces
from charrnn.text.source import Source, changed, text_sources
from charrnn.text.vocabulary import LEVELS, Level, Vocabulary

_FORMAT = 2  # of a cache entry: any change of what is written needs another number
_MOST_LISTED = 60_000_000  # bytes of a vocabulary in a checkpoint, well below what it may be
_TICK = 0.03  # seconds; the clock of file times may be this coarse


@dataclass(frozen=True)
class Request:
    """What to encode, and how: everything that the cache's key depends on."""

    parts: tuple[tuple[Source, ...], ...]  # training, validation, test
    level: Level
    encoding: str
    errors: str
    min_count: int

    def key(self) -> str:
        """Return the name of the cache entry: a SHA-256, computed without reading any file."""
        parts = [[(s.kind, s.name, s.directory, s.identity) for s in p] for p in self.parts]
        text = [self.level, self.encoding, self.errors, self.min_count]
        # Python's Unicode tables decide what a word is; the byte order is that of the ids.
        machine = [sys.byteorder, unicodedata.unidata_version if self.level == "word" else ""]
        content = json.dumps([_FORMAT, parts, text, machine]).encode("ascii")
        return hashlib.sha256(content).hexdigest()


def check_options(level: str, encoding: str, errors: str, min_count: int) -> tuple[str, str]:
    """Return encoding and errors in normal form (empty at byte level), or raise UsageError."""
    if level not in LEVELS:
        raise UsageError(f"--level {level!a} is not known", "use char, byte or word")
    if min_count < 1:
        raise UsageError(f"--min-count {min_count} is below 1", "1 keeps every symbol")
    normal = check_codec(encoding, errors)
    return ("", "") if level == "byte" else (normal, errors)


def spool_pipes(
    sources: Sequence[Source], stdin: BinaryIO | None, stack: contextlib.ExitStack
) -> Iterator[Source]:
    """Copy what can be read once only into temporary files, closed by ``stack``."""
    for source in sources:
        pipe = source.kind in ("pipe", "stdin")
        yield _spooled(source, stdin, stack) if pipe else source


def _spooled(source: Source, stdin: BinaryIO | None, stack: contextlib.ExitStack) -> Source:
    try:
        spooled = source.spool(store.cache_dir(), stdin)
    except OSError as error:
        if source.kind == "builtin":
            return source  # it can be made twice
        raise store.unwritable(error) from None
    if spooled.spooled is not None:
        stack.callback(spooled.spooled.close)
    return spooled


class Counted:
    """A text whose symbols have been counted: the first of two passes over it.

    Attributes
    ----------
    request
        What to encode, with everything that can be read but once laid aside.
    vocabulary
        Of the whole text.
    meta
        Digests, sizes and names, as a cache entry describes them.
    """

    def __init__(self, request: Request, stack: contextlib.ExitStack) -> None:
        self.request = _readable(request, stack)
        self.vocabulary, self.meta = _count(self.request)
        self.meta["vocabulary"] = self.vocabulary.to_json()

    def write(self, key: str) -> tuple[Path, dict[str, Any]]:
        """Make the second pass, mapping, into a new cache entry.

        Raises
        ------
        UnwritableError
            If the cache cannot be written.
        """
        sizes, digest = [0, 0, 0], hashlib.sha256()
        with store.writing() as (folder, file):
            for part, ids in self._ids():
                view = np.ascontiguousarray(ids).view(np.uint8).data
                digest.update(view)
                _write(file, view)
                sizes[part] += len(ids)
            meta = {**self.meta, "parts": sizes, "ids_sha256": digest.hexdigest()}
            try:
                os.fsync(file.fileno())
                file.close()
                return store.publish(folder, key, meta)
            except OSError as error:
                raise store.unwritable(error, folder.parent) from None

    def keep(self) -> tuple[NDArray[Any], dict[str, Any]]:
        """Make the second pass into memory; return all ids and their description.

        Raises
        ------
        CorpusError
            If there is not enough memory.
        """
        try:
            parts: list[list[NDArray[Any]]] = [[], [], []]
            for part, ids in self._ids():
                parts[part].append(ids)
            sizes = [sum(map(len, part)) for part in parts]
            empty = np.empty(0, self.vocabulary.dtype)
            whole = np.concatenate([empty, *parts[0], *parts[1], *parts[2]])
        except MemoryError:
            message = "neither the disk nor the memory has room for the encoded text"
            raise CorpusError(message, "name a folder with room in CHARRNN_CACHE") from None
        whole.flags.writeable = False
        return whole, {**self.meta, "parts": sizes}

    def _ids(self) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield the number of the part and the ids of every piece."""
        for number, part in enumerate(self.request.parts):
            for piece in _pieces(self.request, part):
                try:
                    yield number, self.vocabulary.encode(piece)
                except VocabularyError:
                    raise changed(part[0].name) from None


def _readable(request: Request, stack: contextlib.ExitStack) -> Request:
    """Leave out binary files and spool built-in corpora, so that two passes read the same."""
    files = [s for part in request.parts for s in part if s.kind == "file"]
    newest = max((int(s.identity[1]) for s in files), default=0) / 1e9
    if -_TICK < time.time() - newest < _TICK:
        # Written just now: another change within the same tick of the clock would go unnoticed.
        time.sleep(_TICK)
    # Encodings with NUL bytes in plain English (UTF-16) give no way to tell text from binary.
    sniff = request.level != "byte" and b"\0" not in "a".encode(request.encoding)
    parts = []
    for part in request.parts:
        kept = text_sources(part) if sniff else list(part)
        parts.append(tuple(_spooled(s, None, stack) if s.kind == "builtin" else s for s in kept))
    return replace(request, parts=tuple(parts))


def _count(request: Request) -> tuple[Vocabulary, dict[str, Any]]:
    counts = SymbolCounts(request.level)
    digests = [hashlib.sha256(), hashlib.sha256()]
    total = 0
    for i, part in enumerate(request.parts):
        digest, symbols = digests[min(i, 1)], 0

        def observe(data: bytes, digest: Any = digest) -> None:
            nonlocal total
            digest.update(data)
            total += len(data)

        for piece in pieces(
            part, request.level, request.encoding, request.errors, verify=True, observe=observe
        ):
            counts.add(piece)
            symbols += len(piece)
        if part and not symbols:
            raise CorpusError(f"{_names(part)} is empty", "name a text that is not")
    return vocabulary_of(counts, request.min_count), {
        "sha256": digests[0].hexdigest(),
        "heldout_sha256": digests[1].hexdigest() if any(request.parts[1:]) else "",
        "bytes": total,
        "sources": [source.name for part in request.parts for source in part],
    }


def _pieces(request: Request, part: Sequence[Source]) -> Iterator[str | bytes]:
    return pieces(part, request.level, request.encoding, request.errors, verify=True)


def vocabulary_of(counts: SymbolCounts, min_count: int) -> Vocabulary:
    """Build a vocabulary; raise UsageError where nothing is left but the unknown symbol."""
    vocabulary = counts.vocabulary(min_count)
    if len(vocabulary) == 1 and vocabulary.unknown is not None:
        message = f"--min-count {min_count} folds every symbol of the text into the unknown one"
        raise UsageError(message, "give a smaller number")
    if vocabulary.level == "word" and (size := _listed_size(vocabulary)) > _MOST_LISTED:
        raise CorpusError(
            f"the vocabulary of {len(vocabulary):,} words takes {size / 1e6:,.0f} MB as a list, "
            f"a checkpoint has room for {_MOST_LISTED / 1e6:,.0f}",
            "give a higher --min-count, or --level char",
        )
    return vocabulary


def _listed_size(vocabulary: Vocabulary) -> int:
    """Return at least the bytes that the symbols take as JSON within JSON."""
    return sum(map(_listed_symbol, vocabulary.symbols))


def _listed_symbol(symbol: str | int) -> int:
    # Quotes and comma take 5 bytes; two escapes of 7 a character is the most there can be.
    text = str(symbol)
    return 5 + (len(text) if text.isascii() else 14 * len(text))


def _write(file: BinaryIO, view: memoryview) -> None:
    try:
        while view:
            view = view[file.write(view) :]
    except OSError as error:
        raise store.unwritable(error) from None


def _names(part: Sequence[Source]) -> str:
    if part[0].name == "-":
        return "standard input"
    return ", ".join(one_line(s.name) for s in part[:3]) + (", …" if len(part) > 3 else "")
