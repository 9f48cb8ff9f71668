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

from charrnn.errors import CorpusError, UsageError, VocabularyError
from charrnn.text import cache
from charrnn.text.counts import SymbolCounts
from charrnn.text.source import Source, changed, shown, text_sources
from charrnn.text.tokens import check_codec, pieces
from charrnn.text.vocabulary import LEVELS, Level, Vocabulary

_FORMAT = 1  # of a cache entry: any change of what is written needs another number
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
        spooled = source.spool(cache.cache_dir(), stdin)
    except OSError as error:
        raise cache.unwritable(error) from None
    if spooled.spooled is not None:
        stack.callback(spooled.spooled.close)
    return spooled


def build_entry(
    request: Request, key: str, stack: contextlib.ExitStack
) -> tuple[Path, dict[str, Any]]:
    """Encode the text in two passes, counting and mapping, into a new cache entry."""
    request = _readable(request, stack)
    vocabulary, meta = _count(request)
    sizes = []
    with cache.writing() as (folder, file):
        for part in request.parts:
            sizes.append(0)
            for piece in _pieces(request, part):
                try:
                    ids = vocabulary.encode(piece)
                except VocabularyError:
                    raise changed(part[0].name) from None
                sizes[-1] += len(ids)
                _write(file, ids)
        meta = {**meta, "parts": sizes, "vocabulary": vocabulary.to_json()}
        try:
            os.fsync(file.fileno())
            file.close()
            return cache.publish(folder, key, meta)
        except OSError as error:
            raise cache.unwritable(error) from None


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
    return vocabulary


def _write(file: BinaryIO, ids: NDArray[Any]) -> None:
    view = np.ascontiguousarray(ids).view(np.uint8).data
    try:
        while view:
            view = view[file.write(view) :]
    except OSError as error:
        raise cache.unwritable(error) from None


def _names(part: Sequence[Source]) -> str:
    if part[0].name == "-":
        return "standard input"
    return ", ".join(shown(s.name) for s in part[:3]) + (", …" if len(part) > 3 else "")
