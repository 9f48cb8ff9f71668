"""A text as memory-mapped ids: encoded once, split, and found again in the cache."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from math import floor
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import CharRNNError, CorpusError, UsageError
from charrnn.text.cache import store
from charrnn.text.counts import SymbolCounts
from charrnn.text.encode import Counted, Request, check_options, spool_pipes, vocabulary_of
from charrnn.text.source import Spec, find_sources
from charrnn.text.vocabulary import Level, Vocabulary

Ids = NDArray[Any]


@dataclass(frozen=True)
class Corpus:
    """An encoded text and its splits.

    Attributes
    ----------
    train, val, test
        1-D read-only arrays of ids in the smallest unsigned type; ``val`` and ``test`` may be
        empty.
    vocabulary
        Of the whole text: training, validation and test together.
    sha256
        SHA-256 of the raw bytes of the training sources, joined.
    heldout_sha256
        The same of the validation files followed by the test files; empty where there are none.
    chars
        Number of symbols in all.
    bytes
        Number of raw bytes in all.
    sources
        Absolute paths, ``-`` or names of built-in corpora, in the order read.
    cached
        Whether the ids were found in the cache.
    notes
        What the user should know, one line each: that there is no lasting cache, for example.
    """

    train: Ids
    val: Ids
    test: Ids
    vocabulary: Vocabulary
    sha256: str
    heldout_sha256: str
    chars: int
    bytes: int
    sources: tuple[str, ...]
    cached: bool
    notes: tuple[str, ...] = ()


def open_corpus(
    specs: Spec | Sequence[Spec],
    *,
    level: Level = "char",
    encoding: str = "utf-8",
    errors: str = "strict",
    min_count: int = 1,
    val_frac: float = 0.1,
    test_frac: float = 0.0,
    val: Spec | Sequence[Spec] = (),
    test: Spec | Sequence[Spec] = (),
    stdin: BinaryIO | None = None,
) -> Corpus:
    """Encode a text, or find it in the cache, and split it.

    The text is read in chunks, twice, so that memory does not grow with it; newlines are never
    translated and a byte order mark is a character (``encoding="utf-8-sig"`` drops it).

    Parameters
    ----------
    specs
        Files, directories, ``-`` or names of built-in corpora, joined with nothing between.
    level, encoding, errors, min_count
        Symbols rarer than ``min_count`` in the whole text are folded into the unknown symbol.
        ``encoding`` and ``errors`` (strict, replace) do not matter at byte level.
    val_frac, test_frac
        Fractions of the text: training first, validation next, test last.
    val, test
        Sources for validation and test instead of a fraction.
    stdin
        What ``-`` reads from; ``None`` is the standard input of the process.

    Raises
    ------
    CorpusError
        The text is missing, unreadable, empty, wrongly encoded, or changes while it is read.
    UsageError
        An impossible option.
    """
    held_out = (_as_list(val), _as_list(test))
    fractions = _fractions(0 if held_out[0] else val_frac, 0 if held_out[1] else test_frac)
    encoding, errors = check_options(level, encoding, errors, min_count)
    named = (_as_list(specs), *held_out)
    if sum(group.count("-") for group in named) > 1:
        raise UsageError("- (standard input) is named more than once", "name it once")
    with contextlib.ExitStack() as stack:
        parts = []
        for i, group in enumerate(named):
            sources = find_sources(group) if group or i == 0 else []
            parts.append(tuple(spool_pipes(sources, stdin, stack)))
        request = Request(tuple(parts), level, encoding, errors, min_count)
        key = request.key()
        corpus = _open_entry(store.load(key), fractions, cached=True)
        if corpus is None:
            corpus = _encode(Counted(request, stack), key, fractions)
    return corpus


def corpus_from_text(
    text: str | bytes,
    *,
    level: Level = "char",
    min_count: int = 1,
    val_frac: float = 0.1,
    test_frac: float = 0.0,
) -> Corpus:
    """Encode a text that is in memory; nothing is written to the cache.

    At byte level ``text`` may also be a ``str``, taken as UTF-8; at the others it must be a ``str``
    without lone surrogates. Parameters, result and errors are those of :func:`open_corpus`;
    ``sources`` is empty.
    """
    fractions = _fractions(val_frac, test_frac)
    check_options(level, "utf-8", "strict", min_count)
    try:
        raw = text.encode() if isinstance(text, str) else bytes(text)
    except UnicodeEncodeError as error:
        message = f"the text holds a lone surrogate at character offset {error.start}"
        raise CorpusError(message, "remove it") from None
    if not raw:
        raise CorpusError("the text is empty", "give at least two symbols")
    piece = raw if level == "byte" else text
    if isinstance(piece, bytes) != (level == "byte"):
        raise UsageError(f"the {level} level takes str, not bytes", 'decode it, or level="byte"')
    counts = SymbolCounts(level)
    counts.add(piece)
    vocabulary = vocabulary_of(counts, min_count)
    ids = vocabulary.encode(piece)
    ids.flags.writeable = False
    digest = hashlib.sha256(raw).hexdigest()
    train, val, test = _split([ids, ids[:0], ids[:0]], fractions)
    return Corpus(train, val, test, vocabulary, digest, "", len(ids), len(raw), (), False)


def _as_list(specs: Spec | Sequence[Spec]) -> list[str]:
    return [os.fspath(s) for s in ([specs] if isinstance(specs, str | os.PathLike) else specs)]


def _fractions(val_frac: float, test_frac: float) -> tuple[Fraction, Fraction]:
    exact = []
    for name, value in (("--val-frac", val_frac), ("--test-frac", test_frac)):
        if not 0 <= value < 1:
            raise UsageError(f"{name} {value} is not a fraction", "give 0 <= fraction < 1")
        # By way of the decimal text: 0.1 means one tenth, not the nearest binary number.
        exact.append(Fraction(str(value)))
    if sum(exact) >= 1:
        message = f"--val-frac {val_frac} and --test-frac {test_frac} leave no text to train on"
        raise UsageError(message, "give fractions whose sum is below 1")
    return exact[0], exact[1]


def _split(parts: Sequence[Ids], fractions: tuple[Fraction, Fraction]) -> tuple[Ids, Ids, Ids]:
    text, val, test = parts
    n, (val_part, test_part) = len(text), fractions
    first, second = floor(n * (1 - val_part - test_part)), floor(n * (1 - test_part))
    return (
        text[:first],
        text[first:second] if val_part else val,
        text[second:] if test_part else test,
    )


def _encode(text: Counted, key: str, fractions: tuple[Fraction, Fraction]) -> Corpus:
    """Encode a text into the cache or, where that cannot be written, into memory."""
    try:
        entry, note = text.write(key), store.place()[1]
        corpus = _open_entry(entry, fractions, cached=False)
        store.evict(entry[0].parent)
    except store.UnwritableError as problem:
        corpus, note = None, f"{problem.message}: the text is kept in memory for this run"
    if corpus is None:
        ids, meta = text.keep()
        corpus = _corpus(ids, meta, text.vocabulary, fractions, cached=False)
    return replace(corpus, notes=(note,)) if note else corpus


def _open_entry(
    entry: tuple[Path, dict[str, Any]] | None,
    fractions: tuple[Fraction, Fraction],
    *,
    cached: bool,
) -> Corpus | None:
    if entry is None:
        return None
    path, meta = entry
    try:
        vocabulary = Vocabulary.from_json(meta["vocabulary"])
        ids = np.memmap(path, vocabulary.dtype, mode="r", shape=(sum(meta["parts"]),))
    except (CharRNNError, OSError, ValueError):
        return None
    return _corpus(ids, meta, vocabulary, fractions, cached=cached)


def _corpus(
    ids: Ids,
    meta: dict[str, Any],
    vocabulary: Vocabulary,
    fractions: tuple[Fraction, Fraction],
    *,
    cached: bool,
) -> Corpus:
    ends = np.cumsum([0, *meta["parts"]]).tolist()
    train, val, test = _split([ids[a:b] for a, b in pairwise(ends)], fractions)
    return Corpus(
        train=train,
        val=val,
        test=test,
        vocabulary=vocabulary,
        sha256=meta["sha256"],
        heldout_sha256=meta["heldout_sha256"],
        chars=len(ids),
        bytes=meta["bytes"],
        sources=tuple(meta["sources"]),
        cached=cached,
    )
