"""A corpus: a text as memory-mapped ids, split into parts, and encoded only once."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from charrnn.config import DataConfig
from charrnn.display import brief
from charrnn.errors import CharRNNError, CorpusError, UsageError, setting
from charrnn.text.cache import store
from charrnn.text.encode import (
    CountedText,
    EncodingRequest,
    check_options,
    spool_pipes,
    vocabulary_of,
)
from charrnn.text.finding import SourceName, as_list, find_sources
from charrnn.text.layout import WHOLE, Layout, Text
from charrnn.text.symbols.counts import SymbolCounts
from charrnn.text.units import index
from charrnn.text.units.examples import Units
from charrnn.text.units.holdout import Ends, Split, split, split_examples
from charrnn.text.units.pieces import Ids, TextIds
from charrnn.text.vocabulary import Level, Vocabulary


@dataclass(frozen=True)
class Corpus:
    """An encoded text and its splits.

    Attributes
    ----------
    train, val, test
        1-D read-only arrays of ids in the smallest unsigned type, or pieces of one, or, if each
        line or document is an example, the examples; ``val`` and ``test`` may be empty.
    vocabulary
        Of the whole text: training, validation and test together.
    sha256
        SHA-256 of the raw bytes of the training sources, joined.
    heldout_sha256
        The same of the validation files followed by the test files; empty if there are none.
    chars
        Number of symbols, all parts together.
    bytes
        Number of raw bytes, all sources together.
    sources
        Where the text came from, except for validation and test files: absolute paths, ``-`` or
        names of built-in corpora, in the order in which they were read.
    cached
        Whether the ids were found in the cache.
    notes
        Notes for the user, one line each: files of a directory that were left out, carriage
        returns, a cache that cannot be written. They may hold marks of settings.
    """

    train: TextIds | Units
    val: TextIds | Units
    test: TextIds | Units
    vocabulary: Vocabulary
    sha256: str
    heldout_sha256: str
    chars: int
    bytes: int
    sources: tuple[str, ...]
    cached: bool
    notes: tuple[str, ...] = ()


def open_corpus(
    names: SourceName | Sequence[SourceName],
    *,
    level: Level = "char",
    encoding: str = DataConfig.encoding,
    errors: str = DataConfig.errors,
    layout: Layout = WHOLE,
    min_count: int = DataConfig.min_count,
    val_frac: float = DataConfig.val_frac,
    test_frac: float = DataConfig.test_frac,
    val: SourceName | Sequence[SourceName] = (),
    test: SourceName | Sequence[SourceName] = (),
    hold_out: str = "tail",
    seed: int = 0,
    stdin: BinaryIO | None = None,
) -> Corpus:
    """Encode a text, or find it in the cache, and split it.

    The text is read twice, in chunks, so that memory does not grow with it. Newlines are never
    translated. A byte order mark is a character (``encoding="utf-8-sig"`` drops it).

    Parameters
    ----------
    names
        Files, directories, ``-`` or built-in corpora, joined.
    level
        What a symbol is: ``char``, ``byte`` or ``word``.
    encoding, errors
        How bytes are decoded; ``errors`` is strict or replace. Unused at byte level.
    layout
        Which part of the files is text, and the text between them.
    min_count
        Symbols rarer than this in the whole text are folded into the unknown symbol.
    val_frac, test_frac
        Fractions of the text; of its tail, validation comes first, then test.
    val, test
        Texts for validation and test in place of a fraction.
    hold_out
        Which part of the text the fractions are: its ``tail``, or ``blocks`` or ``examples`` (the
        values of a column or field, else files, or of a single file lines) drawn from ``seed``.
    stdin
        What ``-`` reads; None: the standard input of the process.

    Raises
    ------
    CorpusError
        If the text is missing, unreadable, empty or wrongly encoded, or changes while it is read.
    UsageError
        If an option is invalid.
    """
    parts = (as_list(names), as_list(val), as_list(test))
    fractions = _fractions(0 if parts[1] else val_frac, 0 if parts[2] else test_frac)
    encoding, errors = check_options(level, encoding, errors, min_count)
    if sum(part.count("-") for part in parts) > 1:
        raise UsageError("- (standard input) is named more than once", "name it once")
    with contextlib.ExitStack() as stack:
        sources = []
        for i, part in enumerate(parts):
            of_part = find_sources(part) if part or i == 0 else []
            sources.append(tuple(spool_pipes(of_part, stdin, stack)))
        layout.check(*sources)
        units = layout.examples or ""
        if hold_out == "examples" and not units:
            units = "document" if layout.values or len(sources[0]) > 1 else "line"
        request = EncodingRequest(tuple(sources), level, encoding, errors, min_count, layout, units)
        key, how = request.key(), Split(fractions, hold_out, seed, units, layout)
        corpus = _open_entry(store.load(key), how, cached=True)
        if corpus is None:
            corpus = _encode(CountedText(request, stack), key, how)
    return corpus


def read_corpus(data: DataConfig, seed: int = 0) -> Corpus:
    """Return the corpus that a configuration describes; see :func:`open_corpus`."""
    level: Any = data.level
    return open_corpus(
        data.sources,
        level=level,
        encoding=data.encoding,
        errors=data.errors,
        layout=Layout.of(data),
        min_count=data.min_count,
        val_frac=data.val_frac,
        test_frac=data.test_frac,
        val=data.val,
        test=data.test,
        hold_out=data.held_out_by,
        seed=seed,
    )


def corpus_from_text(
    text: Text | Sequence[Text],
    *,
    level: Level = "char",
    layout: Layout = WHOLE,
    min_count: int = DataConfig.min_count,
    val_frac: float = DataConfig.val_frac,
    test_frac: float = DataConfig.test_frac,
    hold_out: str = "tail",
    seed: int = 0,
) -> Corpus:
    """Encode and split a text in memory, or several, without the cache.

    At byte level a text may also be a ``str``, which is encoded as UTF-8. At the other levels it
    must be a ``str`` without lone surrogates. Parameters, result and errors are those of
    :func:`open_corpus`; ``sources`` is empty.
    """
    fractions = _fractions(val_frac, test_frac)
    check_options(level, "utf-8", "strict", min_count)
    texts = [text] if isinstance(text, str | bytes) else list(text)
    raw = b"".join(map(_raw, texts))
    if not raw:
        raise CorpusError("the text is empty", "give at least two symbols")
    if level != "byte" and any(isinstance(each, bytes) for each in texts):
        message = f"the {level} level needs str, not bytes"
        raise UsageError(message, f"decode the text, or set {setting('level')} to byte")
    pieces = layout.pieces_of(list(map(_raw, texts)) if level == "byte" else texts)
    units = layout.examples or ""
    if hold_out == "examples" and not units:
        units = "document" if len(texts) > 1 else "line"
    whole: Any = b"" if level == "byte" else ""
    separate = bool(layout.examples) or units == "document"
    counts = SymbolCounts(level)
    parts = pieces if separate else [whole.join(pieces)]
    for part in parts:
        counts.add(part)
    vocabulary = vocabulary_of(counts, min_count)
    encoded = [vocabulary.encode(part) for part in parts]
    ids = np.concatenate(encoded)
    ids.flags.writeable = False
    ends = np.cumsum([len(each) for each in encoded]).astype(index.TYPE)
    if not separate:
        ends = np.union1d(index.lines(ids, vocabulary), ends)
    meta = {
        "parts": [len(ids), 0, 0],
        "units": [len(ends), 0, 0],
        "sha256": hashlib.sha256(raw).hexdigest(),
        "heldout_sha256": "",
        "bytes": len(raw),
        "sources": [],
        "notes": [],
    }
    how = Split(fractions, hold_out, seed, units, layout)
    return _corpus(ids, ends, meta, vocabulary, how, cached=False)


def _raw(text: Text) -> bytes:
    """Return the bytes of a text."""
    try:
        return text.encode() if isinstance(text, str) else bytes(text)
    except UnicodeEncodeError as error:
        message = f"the text holds a lone surrogate at character offset {error.start}"
        raise CorpusError(message, "remove it") from None


def _fractions(val_frac: float, test_frac: float) -> tuple[Fraction, Fraction]:
    exact = []
    val_name, test_name = setting("val_frac"), setting("test_frac")
    for name, value in ((val_name, val_frac), (test_name, test_frac)):
        if not 0 <= value < 1:
            raise UsageError(f"{name} must be at least 0 and below 1, not {value}")
        # From the decimal text: 0.1 means one tenth, not the nearest binary number.
        exact.append(Fraction(str(value)))
    if sum(exact) >= 1:
        message = f"{val_name} {val_frac} and {test_name} {test_frac} leave no text to train on"
        raise UsageError(message, "choose fractions whose sum is below 1")
    return exact[0], exact[1]


def _encode(text: CountedText, key: str, how: Split) -> Corpus:
    """Encode a text into the cache, or into memory if the cache cannot be written."""
    try:
        entry, note = text.to_cache(key), store.place()[1]
        corpus = _open_entry(entry, how, cached=False)
        store.evict(entry[0].parent)
    except store.UnwritableError as problem:
        corpus, note = None, f"{problem.message}: the text is kept in memory for this run"
    if corpus is None:
        ids, ends, meta = text.to_memory()
        corpus = _corpus(ids, ends, meta, text.vocabulary, how, cached=False)
    return replace(corpus, notes=(*corpus.notes, note)) if note else corpus


def _open_entry(
    entry: tuple[Path, dict[str, Any]] | None, how: Split, *, cached: bool
) -> Corpus | None:
    if entry is None:
        return None
    path, meta = entry
    try:
        vocabulary = Vocabulary.from_json(meta["vocabulary"])
        symbols, units = sum(meta["parts"]), sum(meta.get("units", []))
        ids = np.memmap(path, vocabulary.dtype, mode="r", shape=(symbols,))
        ends = np.empty(0, index.TYPE)
        if units:
            behind = ids.nbytes + index.padding(symbols, ids.itemsize)
            ends = np.memmap(path, index.TYPE, mode="r", offset=behind, shape=(units,))
    except (CharRNNError, OSError, ValueError):
        return None
    return _corpus(ids, ends, meta, vocabulary, how, cached=cached)


def _corpus(
    ids: Ids,
    ends: Ids,
    meta: dict[str, Any],
    vocabulary: Vocabulary,
    how: Split,
    *,
    cached: bool,
) -> Corpus:
    found = Ends(ends, meta.get("units", (0, 0, 0)))
    texts: Sequence[TextIds | Units]
    if how.layout.examples:
        _require_end(how.layout, vocabulary)
        start = how.layout.start(vocabulary)
        texts = split_examples(ids, meta["parts"], found, how, start)
    else:
        texts = split(ids, meta["parts"], found, how)
    return Corpus(
        train=texts[0],
        val=texts[1],
        test=texts[2],
        vocabulary=vocabulary,
        sha256=meta["sha256"],
        heldout_sha256=meta["heldout_sha256"],
        chars=len(ids),
        bytes=meta["bytes"],
        sources=tuple(meta["sources"]),
        cached=cached,
        notes=tuple(meta["notes"]),
    )


def _require_end(layout: Layout, vocabulary: Vocabulary) -> None:
    """Raise :class:`UsageError` if the vocabulary does not have the end of an example."""
    end: Any = vocabulary.text(layout.end)
    if end and vocabulary.unknown is not None and vocabulary.unknown in vocabulary.encode(end):
        raise UsageError(
            f"{setting('min_count')} folds the end of an example, {brief(end)}, where samples stop",
            "choose a smaller number",
        )
