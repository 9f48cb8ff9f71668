"""Pairs as ids: read once, a share held out by the seed, on disk rather than in memory.

The vocabularies are those of the training pairs. A symbol that only held-out sources have is left
out, unless ``min_count`` folds rare symbols into the unknown one, for which it then stands. One
that only held-out targets have cannot be predicted: it is kept in its place, by a number beyond the
symbols, does not count in the loss, and no output is equal to such a target.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.config import DataConfig
from charrnn.display import count
from charrnn.errors import CorpusError
from charrnn.text.cache.unnamed import temporary
from charrnn.text.encode import refuse_surrogates, vocabulary_of
from charrnn.text.finding import find_sources
from charrnn.text.labelled.dataset import mapped
from charrnn.text.labelled.examples import fill
from charrnn.text.labelled.parts import parts_of
from charrnn.text.labelled.readers import Unfit
from charrnn.text.labelled.symbols import Provisional
from charrnn.text.pairs.rows import Pair, pairs
from charrnn.text.pairs.symbols import Numbered, slices
from charrnn.text.source import shown
from charrnn.text.units.pieces import Numbers
from charrnn.text.vocabulary import Vocabulary


class Side(NamedTuple):
    """The sources, or the targets, of pairs.

    Attributes
    ----------
    ids
        The symbols of all texts, 1-D; may be memory-mapped and hold others, too.
    begins, lengths
        (pairs,): where each text begins, and its number of symbols.
    """

    ids: NDArray[Any]
    begins: Numbers
    lengths: Numbers

    def of(self, numbers: Numbers) -> Side:
        """Return some of the texts."""
        return Side(self.ids, self.begins[numbers], self.lengths[numbers])

    def text(self, number: int) -> NDArray[Any]:
        """Return the ids of one text."""
        begin = int(self.begins[number])
        return self.ids[begin : begin + int(self.lengths[number])]

    def padded(self, numbers: Numbers, places: int, end: int) -> tuple[NDArray[Any], Numbers]:
        """Return texts side by side, (T, places), each followed by ``end``, and their lengths.

        The lengths include the end; T is the largest. Places beyond those of ``numbers`` are empty.
        """
        lengths = np.zeros(places, np.int64)
        lengths[: len(numbers)] = self.lengths[numbers] + 1
        ids = np.zeros((max(1, int(lengths.max())), places), np.int32)
        fill(ids, self.ids, self.begins[numbers], lengths - 1)
        ids[lengths[: len(numbers)] - 1, np.arange(len(numbers))] = end
        return ids, lengths


@dataclass(frozen=True)
class Pairs:
    """Sources and their targets."""

    sources: Side
    targets: Side

    def __len__(self) -> int:
        return len(self.sources.lengths)

    @property
    def lengths(self) -> Numbers:
        """(pairs,): the symbols of source and target together, with both ends."""
        return self.sources.lengths + self.targets.lengths + 2

    @property
    def symbols(self) -> int:
        """The symbols of all targets, with their ends."""
        return int(self.targets.lengths.sum()) + len(self)

    def of(self, numbers: Numbers) -> Pairs:
        """Return some of the pairs."""
        return Pairs(self.sources.of(numbers), self.targets.of(numbers))

    @classmethod
    def untranslated(cls, sources: Sequence[NDArray[Any]]) -> Pairs:
        """Return sources whose targets are not known, and empty."""
        lengths = np.array([len(source) for source in sources], np.int64)
        ids = np.concatenate(list(sources)) if sources else np.empty(0, np.uint8)
        nothing = np.zeros(len(sources), np.int64)
        return cls(
            Side(ids, np.cumsum(lengths) - lengths, lengths),
            Side(np.empty(0, np.uint32), nothing, nothing),
        )


@dataclass(frozen=True)
class PairTable:
    """Pairs and their parts.

    Attributes
    ----------
    train, val, test
        ``val`` and ``test`` may be empty.
    vocabulary
        The symbols of the training sources.
    targets
        The symbols of the training targets, sorted.
    sha256, heldout_sha256
        SHA-256 of the raw bytes of the training files, and of the validation and test files; empty
        if there are none.
    sources
        Where the pairs came from.
    notes
        Notes for the user, one line each.
    """

    train: Pairs
    val: Pairs
    test: Pairs
    vocabulary: Vocabulary
    targets: tuple[str, ...]
    sha256: str
    heldout_sha256: str
    sources: tuple[str, ...]
    notes: tuple[str, ...] = ()


class _Reading:
    """Pairs on their way into files, in provisional ids."""

    def __init__(self, data: DataConfig) -> None:
        self._most = data.max_length
        self.symbols = Provisional(data.level)
        self.file, self._target_file = temporary(), temporary()
        self.numbered = Numbered(data.target_level, self._target_file)
        self.lengths: list[int] = []
        self.target_lengths: list[int] = []
        self.long = 0

    def add(self, pair: Pair) -> None:
        """Add a pair."""
        ids, size = self.symbols.ids(pair.source), self.numbered.size(pair.target)
        if max(len(ids), size) > self._most:
            self.long += 1
            return
        self.file.write(ids.tobytes())
        self.numbered.add(pair.target)
        self.lengths.append(len(ids))
        self.target_lengths.append(size)

    def close(self) -> None:
        """Close the files; arrays that are mapped from them stay."""
        self.file.close()
        self._target_file.close()

    def notes(self, unfit: Unfit | None = None) -> Iterator[str]:
        """Yield what a person should be told."""
        if self.long:
            most = count(self._most, "symbol")
            yield f"left out {count(self.long, 'pair')} with more than {most} on a side"
        if unfit and unfit.count:
            yield unfit.note()

    def targets(self) -> Side:
        """Return the targets in provisional ids."""
        lengths = np.array(self.target_lengths, np.int64)
        ids = mapped(self._target_file, Numbered.dtype)
        return Side(ids, np.cumsum(lengths) - lengths, lengths)

    def encoded(self, vocabulary: Vocabulary, targets: Sequence[str]) -> Pairs:
        """Return all pairs in the symbols of a model."""
        found, lengths = self.targets(), np.array(self.lengths, np.int64)
        with temporary() as file:
            self.numbered.encode(found.ids, targets, file)
            written = Side(mapped(file, Numbered.dtype), found.begins, found.lengths)
        provisional = mapped(self.file, self.symbols.dtype)
        with temporary() as file:
            ids, lengths = self.symbols.encode(provisional, lengths, vocabulary, file)
        return Pairs(Side(ids, np.cumsum(lengths) - lengths, lengths), written)


def read_pairs(data: DataConfig, seed: int = 0, stdin: BinaryIO | None = None) -> PairTable:
    """Return the pairs that a configuration describes.

    Raises
    ------
    CorpusError
        If a file is missing, unreadable or damaged, or has no pair.
    """
    with closing(_Reading(data)) as reading:
        return _read(reading, data, seed, stdin)


def _read(reading: _Reading, data: DataConfig, seed: int, stdin: BinaryIO | None) -> PairTable:
    """Return the pairs of the files of a configuration."""
    unfit, notes = Unfit(data.errors == "skip"), list[str]()
    digests, counts = [hashlib.sha256(), hashlib.sha256()], list[int]()
    for part, names in enumerate((data.sources, data.val, data.test)):
        before = len(reading.lengths)
        if names:
            digest = digests[min(part, 1)]
            how: dict[str, Any] = {"stdin": stdin, "observe": digest.update, "tell": notes.append}
            for pair in pairs(names, data, unfit, () if part else data.target, **how):
                reading.add(pair)
            if len(reading.lengths) == before:
                raise unfit.nothing(shown(names[0]), "pair")
        counts.append(len(reading.lengths) - before)
    notes += reading.notes(unfit)
    sources = tuple(source.name for source in find_sources(data.sources))
    return _table(reading, data, counts, seed, digests, sources, tuple(notes))


def pair_table_of(found: Iterable[tuple[str, str]], data: DataConfig, seed: int = 0) -> PairTable:
    """Return pairs that are in memory: (source, target) each.

    Raises
    ------
    CorpusError
        If there is none.
    """
    digest = hashlib.sha256()
    with closing(_Reading(data)) as reading:
        for source, target in found:
            reading.add(Pair(source, target))
            digest.update(f"{source}\t{target}\n".encode("utf-8", "surrogatepass"))
        digests, counts = [digest, hashlib.sha256()], [len(reading.lengths), 0, 0]
        return _table(reading, data, counts, seed, digests, (), tuple(reading.notes()))


class More(NamedTuple):
    """Further pairs for a model, the lines passed over, notes, and symbols of sources left out."""

    pairs: Pairs
    skipped: int
    notes: tuple[str, ...]
    left_out: int


def read_more(
    names: Sequence[str],
    data: DataConfig,
    vocabulary: Vocabulary,
    targets: Sequence[str],
    stdin: BinaryIO | None = None,
) -> More:
    """Return pairs in the symbols of a model.

    Raises
    ------
    CorpusError
        If a file is missing, unreadable or damaged, or has no pair.
    """
    unfit, notes = Unfit(data.errors == "skip"), list[str]()
    how: dict[str, Any] = {"stdin": stdin, "tell": notes.append}
    with closing(_Reading(data)) as reading:
        for pair in pairs(names, data, unfit, data.target, **how):
            reading.add(pair)
        if not reading.lengths:
            raise unfit.nothing(shown(names[0]), "pair")
        notes += reading.notes(unfit)
        found = reading.encoded(vocabulary, targets)
        left_out = sum(reading.lengths) - int(found.sources.lengths.sum())
        return More(found, unfit.count, tuple(notes), left_out)


def _table(
    reading: _Reading,
    data: DataConfig,
    counts: list[int],
    seed: int,
    digests: list[Any],
    sources: tuple[str, ...],
    notes: tuple[str, ...],
) -> PairTable:
    parts = parts_of(np.zeros(counts[0], np.int32), counts, data, seed)
    if not len(parts[0]):
        raise CorpusError("no pair is left to train on", "use more pairs")
    lengths = np.array(reading.lengths, np.int64)
    trained = np.zeros(len(lengths), np.bool_)
    trained[parts[0]] = True
    provisional = mapped(reading.file, reading.symbols.dtype)
    if not lengths[parts[0]].any():
        raise CorpusError("all sources are empty", "the source comes first, then a tab")
    counted = reading.symbols.counts(provisional, lengths, trained)
    vocabulary = vocabulary_of(counted, data.min_count)
    found = reading.targets()
    own = slices(found.begins[parts[0]], found.lengths[parts[0]], found.ids)
    targets = reading.numbered.symbols(found.ids, own)
    if not targets:
        raise CorpusError("all targets are empty", "the target follows the tab")
    refuse_surrogates(targets)
    whole = reading.encoded(vocabulary, targets)
    return PairTable(
        *(whole.of(parts[0]), whole.of(parts[1]), whole.of(parts[2])),
        vocabulary,
        targets,
        digests[0].hexdigest(),
        digests[1].hexdigest() if data.val or data.test else "",
        sources,
        notes,
    )
