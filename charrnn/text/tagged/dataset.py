"""Labelled sequences as ids: read once, a share held out by the seed, on disk not in memory.

At level word a token is a symbol. At level char it is read character by character. If tokens of
columns have several characters, a space follows each token, and there is its label: only there a
network that reads forwards knows that the token has ended. Otherwise each character has its own
label.

The vocabulary is that of the training sequences, and always has an unknown symbol: no symbol is
left out, for each may have a label.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.config import DataConfig
from charrnn.display import count
from charrnn.errors import CorpusError
from charrnn.text.cache.unnamed import temporary
from charrnn.text.encode import vocabulary_of
from charrnn.text.finding import find_sources
from charrnn.text.labelled.dataset import mapped, unknown_label
from charrnn.text.labelled.lines import refuse_labels
from charrnn.text.labelled.parts import parts_of
from charrnn.text.labelled.readers import Unfit
from charrnn.text.labelled.symbols import Provisional
from charrnn.text.pairs.rows import Line, lines_of
from charrnn.text.source import shown
from charrnn.text.tagged.examples import Tagged
from charrnn.text.tagged.rows import Example, examples, recognised
from charrnn.text.units.pieces import Numbers
from charrnn.text.vocabulary import Vocabulary

_NONE = np.iinfo(np.uint32).max
_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class TaggedTable:
    """Labelled sequences and their parts.

    Attributes
    ----------
    train, val, test
        ``val`` and ``test`` may be empty.
    vocabulary
        The symbols of the training sequences.
    labels
        The names of the labels, sorted.
    format
        What the files are: ``columns``, ``symbols`` (columns of single characters) or ``lines``.
    sha256, heldout_sha256
        SHA-256 of the raw bytes of the training files, and of the validation and test files; empty
        if there are none.
    sources
        Where the sequences came from.
    notes
        Notes for the user, one line each.
    """

    train: Tagged
    val: Tagged
    test: Tagged
    vocabulary: Vocabulary
    labels: tuple[str, ...]
    format: str
    sha256: str
    heldout_sha256: str
    sources: tuple[str, ...]
    notes: tuple[str, ...] = ()


def is_spaced(level: str, format: str | None) -> bool:
    """Whether a space follows each token, and has its label."""
    return level == "char" and format == "columns"


def spaced(tokens: Sequence[str]) -> tuple[str, NDArray[np.int64]]:
    """Return tokens as a text, each with a space after it, and where these spaces are."""
    ends = np.cumsum(np.array([len(token) + 1 for token in tokens], np.int64)) - 1
    return "".join(f"{token} " for token in tokens), ends


class _Reading:
    """Sequences on their way into files, in provisional ids."""

    def __init__(self, data: DataConfig) -> None:
        self._data = data
        self.symbols = Provisional(data.level)
        self.file, self._tags = temporary(), temporary()
        self.labels: dict[str, int] = {}
        self.lengths: list[int] = []
        self.longest = 0

    def add(self, example: Example) -> None:
        """Add a sequence whose labels are known, or become so."""
        number, labels = self.labels.setdefault, self.labels
        tags = np.array([number(label, len(labels)) for label in example.labels], np.uint32)
        if self._data.level == "word":
            ids = self.symbols.of_words(example.tokens)
        elif is_spaced(self._data.level, self._data.format):
            self.longest = max(self.longest, *map(len, example.tokens))
            text, ends = spaced(example.tokens)
            ids, at_ends = self.symbols.ids(text), tags
            tags = np.full(len(ids), _NONE, np.uint32)
            tags[ends] = at_ends
        else:
            ids = self.symbols.ids("".join(example.tokens))
        self.file.write(ids.tobytes())
        self._tags.write(tags.tobytes())
        self.lengths.append(len(ids))

    def settle(self) -> DataConfig:
        """Return how the files are read, after those that are trained on.

        If all their tokens are single characters, the spaces between these are dropped.
        """
        data = self._data
        if is_spaced(data.level, data.format) and self.longest == 1:
            self._data = replace(data, format="symbols")
            self.file = _every_other(self.file, self.symbols.dtype, 0)
            self._tags = _every_other(self._tags, np.dtype(np.uint32), 1)
            self.lengths = [length // 2 for length in self.lengths]
        return self._data

    def close(self) -> None:
        """Close the files; arrays that are mapped from them stay."""
        self.file.close()
        self._tags.close()

    def encoded(self, vocabulary: Vocabulary, labels: Sequence[str]) -> Tagged:
        """Return all sequences in the symbols and labels of a model."""
        known = {label: number for number, label in enumerate(labels)}
        table = np.array([*(known[label] for label in self.labels), len(labels)], np.uint32)
        found = mapped(self._tags, np.dtype(np.uint32))
        with temporary() as file:
            for start in range(0, len(found), _AT_ONCE):
                part = found[start : start + _AT_ONCE]
                file.write(table[np.minimum(part, len(table) - 1)].tobytes())
            tags = mapped(file, np.dtype(np.uint32))
        lengths = np.array(self.lengths, np.int64)
        provisional = mapped(self.file, self.symbols.dtype)
        with temporary() as file:
            ids, lengths = self.symbols.encode(provisional, lengths, vocabulary, file)
        return Tagged(ids, tags, np.cumsum(lengths) - lengths, lengths, len(labels))


def _every_other(file: BinaryIO, dtype: np.dtype[Any], first: int) -> BinaryIO:
    """Return a file with every second number of another one, which is closed."""
    found, new = mapped(file, dtype), temporary()
    for start in range(first, len(found), _AT_ONCE):
        new.write(found[start : start + _AT_ONCE : 2].tobytes())
    file.close()
    return new


def read_tagged(data: DataConfig, seed: int = 0, stdin: BinaryIO | None = None) -> TaggedTable:
    """Return the labelled sequences that a configuration describes.

    Raises
    ------
    CorpusError
        If a file is missing, unreadable or damaged, is of neither format or of both, has fewer than
        two labels, or a held-out file has a label that the training files do not have.
    """
    unfit, notes, digests = Unfit(data.errors == "skip"), list[str](), _digests()
    how: dict[str, Any] = {"stdin": stdin, "observe": digests[0].update, "tell": notes.append}
    format, lines = recognised(lines_of(data.sources, data, **how), data)
    data = replace(data, format=format)
    with closing(_Reading(data)) as reading:
        counts = [_take(reading, data.sources, lines, data, unfit)]
        data, known = reading.settle(), dict(reading.labels)
        how["observe"] = digests[1].update
        for names in (data.val, data.test):
            held = lines_of(names, data, **how)
            counts.append(_take(reading, names, held, data, unfit, known) if names else 0)
        notes += [unfit.note()] if unfit.count else []
        sources = tuple(source.name for source in find_sources(data.sources))
        return _table(reading, data, counts, seed, digests, sources, notes)


def _digests() -> list[Any]:
    return [hashlib.sha256(), hashlib.sha256()]


def _take(
    reading: _Reading,
    names: Sequence[str],
    lines: Iterable[Line],
    data: DataConfig,
    unfit: Unfit,
    known: Iterable[str] | None = None,
) -> int:
    """Add the sequences of files, which may have the labels ``known``; return their number."""
    before = len(reading.lengths)
    for example in examples(lines, data, unfit):
        if known is not None:
            _require_known(example, known)
        reading.add(example)
    if len(reading.lengths) == before:
        raise unfit.nothing(shown(names[0]), "labelled sequence")
    return len(reading.lengths) - before


def _require_known(example: Example, known: Iterable[str]) -> None:
    new = set(example.labels).difference(known)
    if new:
        at = next(i for i, label in enumerate(example.labels) if label in new)
        raise unknown_label(example.place(at), example.labels[at], known)


def tagged_of(
    pairs: Iterable[tuple[Sequence[str], Sequence[str]]], data: DataConfig, seed: int = 0
) -> TaggedTable:
    """Return labelled sequences that are in memory: (tokens, labels) each.

    Raises
    ------
    CorpusError
        If there are fewer than two labels.
    """
    digests = _digests()
    with closing(_Reading(data)) as reading:
        for tokens, labels in pairs:
            reading.add(Example(tokens, labels))
            row = "\t".join(["\0".join(tokens), "\0".join(labels)])
            digests[0].update(f"{row}\n".encode("utf-8", "surrogatepass"))
        data, counts = reading.settle(), [len(reading.lengths), 0, 0]
        return _table(reading, data, counts, seed, digests, (), [])


class More(NamedTuple):
    """Further sequences for a model, how many lines were passed over, and notes for the user."""

    sequences: Tagged
    skipped: int
    notes: tuple[str, ...]


def read_more(
    names: Sequence[str],
    data: DataConfig,
    vocabulary: Vocabulary,
    labels: Sequence[str],
    stdin: BinaryIO | None = None,
) -> More:
    """Return labelled sequences in the symbols and labels of a model.

    Raises
    ------
    CorpusError
        If a file is missing, unreadable or damaged, has no sequence, or a label that is not one of
        ``labels``.
    """
    unfit, notes = Unfit(data.errors == "skip"), list[str]()
    lines = lines_of(names, data, stdin=stdin, observe=lambda data: None, tell=notes.append)
    with closing(_Reading(data)) as reading:
        _take(reading, names, lines, data, unfit, labels)
        found, divided = reading.encoded(vocabulary, labels).cut(data.max_length)
    notes += [*_divided(divided, data), *([unfit.note()] if unfit.count else [])]
    return More(found, unfit.count, tuple(notes))


def _divided(number: int, data: DataConfig) -> Iterator[str]:
    if number:
        most = count(data.max_length, "symbol")
        yield f"divided {count(number, 'sequence')} into pieces of at most {most}"


def _table(
    reading: _Reading,
    data: DataConfig,
    counts: list[int],
    seed: int,
    digests: list[Any],
    sources: tuple[str, ...],
    notes: list[str],
) -> TaggedTable:
    if len(reading.labels) < 2:
        message = "the examples have fewer than two labels"
        raise CorpusError(message, "two or more are needed")
    refuse_labels(reading.labels, single=True)
    parts = parts_of(np.zeros(counts[0], np.int32), counts, data, seed)
    if not len(parts[0]):
        raise CorpusError("no sequence is left to train on", "use more sequences")
    vocabulary, labels = _vocabulary(reading, parts[0], data), tuple(sorted(reading.labels))
    whole = reading.encoded(vocabulary, labels)
    cut = [whole.of(numbers).cut(data.max_length) for numbers in parts]
    train, val, test = (part for part, _ in cut)
    assert data.format is not None
    return TaggedTable(
        train,
        val,
        test,
        vocabulary,
        labels,
        data.format,
        digests[0].hexdigest(),
        digests[1].hexdigest() if data.val or data.test else "",
        sources,
        (*notes, *_divided(sum(number for _, number in cut), data)),
    )


def _vocabulary(reading: _Reading, trained: Numbers, data: DataConfig) -> Vocabulary:
    """Return the symbols of the sequences ``trained``, and the unknown one."""
    lengths = np.array(reading.lengths, np.int64)
    counted = np.zeros(len(lengths), np.bool_)
    counted[trained] = True
    provisional = mapped(reading.file, reading.symbols.dtype)
    found = reading.symbols.counts(provisional, lengths, counted)
    return vocabulary_of(found, data.min_count).with_unknown()
