"""Reading a text that is divided among ranks by files.

The k-th of K ranks reads the files k, k + K, k + 2K, … of the list, and holds out its share of them
by itself. The vocabulary is that of all files. What is held out goes to all ranks, as one text: it
is small, and a run keeps a copy of it.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.backend.team import Team
from charrnn.config import DataConfig
from charrnn.errors import UsageError, setting
from charrnn.tasks.shards.names import names_of
from charrnn.tasks.shards.part import Part
from charrnn.text.corpus import Corpus, read_corpus
from charrnn.text.encode import vocabulary_of
from charrnn.text.symbols.counts import SymbolCounts
from charrnn.text.units.pieces import Ids, TextIds
from charrnn.text.vocabulary import Vocabulary

BLOCK = 1 << 13
"""Symbols that the ranks in turn contribute to the held-out text."""
_COUNTED = 1 << 22


def read_part(data: DataConfig, seed: int, team: Team) -> Corpus:
    """Return this rank's part of a text, with what is held out by all; all ranks call this.

    Raises
    ------
    CharRNNError
        On all ranks, if one cannot read its files, or was given others.
    """
    team.require_same({"list of files": json.dumps(data.sources)})
    own = team.together(lambda: _read_own(data, seed, team.rank, team.size))
    shared = bool(data.val), bool(data.test)
    counted = _counts(own, with_held_out=(team.rank == 0 or not shared[0]))
    facts = {
        "symbols": list(own.vocabulary.symbols),
        "counts": counted.tolist(),
        "train": len(own.train),
        "numbers": [own.chars, own.bytes],
        "sha256": [own.sha256, own.heldout_sha256],
    }
    found = [json.loads(each) for each in team.gather(json.dumps(facts).encode())]
    team.require_same({"held-out text": own.heldout_sha256})
    vocabulary = team.together(lambda: _vocabulary(own.vocabulary, found, data.min_count))
    table = _table(own.vocabulary, vocabulary)
    held = [
        _held_out(text, table, team, whole)
        for text, whole in zip((own.val, own.test), shared, strict=True)
    ]
    digests = json.dumps([each["sha256"][0] for each in found])
    return replace(
        own,
        train=Part(_ids(own.train), table, [each["train"] for each in found], team.rank),
        val=held[0],
        test=held[1],
        vocabulary=vocabulary,
        sha256=hashlib.sha256(digests.encode()).hexdigest(),
        chars=sum(each["numbers"][0] for each in found),
        bytes=sum(each["numbers"][1] for each in found),
        sources=tuple(str(Path(name).absolute()) for name in data.sources),
    )


def _read_own(data: DataConfig, seed: int, rank: int, size: int) -> Corpus:
    names = names_of(data.sources, rank, size)
    for name in names:
        if not os.path.isfile(name) and (Path(name).is_dir() or not Path(name).exists()):  # noqa: PTH113
            what = "is a directory" if Path(name).is_dir() else "does not exist"
            remedy = (
                f"{setting('shard_files')} needs files by name, each on the machine of its rank"
            )
            raise UsageError(f"{name} {what}", remedy)
    return read_corpus(replace(data, sources=tuple(names), min_count=1, shard_files=False), seed)


def _ids(text: Any) -> TextIds:
    """Return a text that is not made of examples, which cannot be divided by files."""
    found: TextIds = text
    return found


def _counts(own: Corpus, with_held_out: bool) -> Ids:
    """Return how often each symbol occurs, (V,); a held-out file that all ranks read only once."""
    symbols = len(own.vocabulary)
    total = np.zeros(symbols, np.int64)
    for text in (own.train, own.val, own.test) if with_held_out else (own.train,):
        ids = _ids(text)
        for start in range(0, len(ids), _COUNTED):
            total += np.bincount(ids[start : start + _COUNTED], minlength=symbols)
    return total


def _vocabulary(own: Vocabulary, found: list[Any], min_count: int) -> Vocabulary:
    """Return the vocabulary of all ranks' files."""
    counts = SymbolCounts(own.level)
    for each in found:
        if own.level == "word":
            counts.add_words(dict(zip(each["symbols"], each["counts"], strict=True)))
            continue
        codes = [s if isinstance(s, int) else ord(s) for s in each["symbols"]]
        of_code = np.zeros(max(codes) + 1, np.int64)
        of_code[codes] = each["counts"]
        counts.add_codes(of_code)
    return vocabulary_of(counts, min_count)


def _table(own: Vocabulary, of_all: Vocabulary) -> Ids:
    """Return the id in the vocabulary of all for each id of one's own."""
    places = {symbol: number for number, symbol in enumerate(of_all.symbols)}
    return np.array([places.get(s, of_all.unknown) for s in own.symbols], of_all.dtype)


def _held_out(text: Any, table: Ids, team: Team, whole: bool) -> Ids:
    """Return a held-out text: this rank's own if all have the ``whole`` of it, or all parts."""
    mine: Ids = table[np.asarray(_ids(text)[:])]
    if whole:
        return mine
    parts = [np.frombuffer(each, table.dtype) for each in team.gather(mine.tobytes())]
    longest = max(map(len, parts))
    blocks = [p[at : at + BLOCK] for at in range(0, longest, BLOCK) for p in parts]
    return np.concatenate([np.empty(0, table.dtype), *blocks])
