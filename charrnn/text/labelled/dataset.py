"""Labelled texts as ids: read once, held out by label, on disk rather than in memory.

The ids of all texts are in one array, memory-mapped from a file without a name in the cache's
folder. In memory are where each text begins, its length and its label.

The vocabulary is that of the training examples: what occurs only in held-out ones is as unknown to
the model as it will be in a new text. Such symbols are left out, unless ``min_count`` folds rare
symbols into the unknown one, for which they then stand.

Texts that a model learns to write (``examples`` document) end with a symbol of their own, the
control character U+0003, except where they were cut.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from charrnn.config import DataConfig
from charrnn.display import brief, count
from charrnn.errors import CorpusError, UsageError, setting
from charrnn.text.cache.unnamed import temporary
from charrnn.text.encode import vocabulary_of
from charrnn.text.finding import find_sources
from charrnn.text.labelled.examples import Labelled
from charrnn.text.labelled.lines import Row, UnfitError, refuse_labels
from charrnn.text.labelled.parts import parts_of
from charrnn.text.labelled.readers import Unfit
from charrnn.text.labelled.rows import How, examples
from charrnn.text.labelled.symbols import Provisional
from charrnn.text.layout import Layout
from charrnn.text.source import Source, shown
from charrnn.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class Table:
    """A table of labelled texts and its parts.

    Attributes
    ----------
    train, val, test
        The examples; ``val`` and ``test`` may be empty.
    vocabulary
        The symbols of the training examples.
    labels
        The names of the labels, sorted.
    sha256, heldout_sha256
        SHA-256 of the raw bytes of the training sources, and of the validation and test files;
        empty if there are none.
    sources
        Where the examples came from.
    notes
        Notes for the user, one line each.
    """

    train: Labelled
    val: Labelled
    test: Labelled
    vocabulary: Vocabulary
    labels: tuple[str, ...]
    sha256: str
    heldout_sha256: str
    sources: tuple[str, ...]
    notes: tuple[str, ...] = ()


class _Reading:
    """Rows on their way into a file, in provisional ids."""

    def __init__(self, data: DataConfig) -> None:
        self._most, self._end = data.max_length, Layout.of(data).end
        self.symbols = Provisional(data.level)
        self.file: BinaryIO = temporary()
        self.labels: dict[str, int] = {}
        self.lengths: list[int] = []
        self.of: list[int] = []
        self.cut = self.empty = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()

    def add(self, label: str, text: str) -> None:
        """Add an example.

        Raises
        ------
        UnfitError
            If the symbol that ends a text is inside it.
        """
        if self._end and self._end in text:
            raise UnfitError("holds the control character U+0003, which ends a text")
        ids = self.symbols.ids(text)
        if not len(ids):
            self.empty += 1
            return
        if len(ids) > self._most:
            ids = ids[: self._most]
            self.cut += 1
        elif self._end:
            ids = np.append(ids, self.symbols.ids(self._end))
        self.file.write(ids.tobytes())
        self.lengths.append(len(ids))
        self.of.append(self.labels.setdefault(label, len(self.labels)))

    def take(self, source: Source, row: Row, unfit: Unfit) -> None:
        """Add the example of a row, or hand the row to ``unfit``."""
        try:
            self.add(row.label, row.text)
        except UnfitError as problem:
            unfit(shown(source.name), row.line, str(problem))

    def notes(self) -> Iterator[str]:
        """Yield what a person should be told."""
        if self.cut:
            yield f"cut {count(self.cut, 'text')} after {count(self._most, 'symbol')}"
        if self.empty:
            yield f"left out {count(self.empty, 'empty text')}"


def read_table(data: DataConfig, seed: int = 0, stdin: BinaryIO | None = None) -> Table:
    """Return the labelled texts that a configuration describes.

    Raises
    ------
    CorpusError
        If a table is missing, unreadable or damaged, has fewer than two labels, or a held-out
        file has a label that the training examples do not have.
    """
    with _Reading(data) as reading:
        return _read(reading, data, seed, stdin)


def _read(reading: _Reading, data: DataConfig, seed: int, stdin: BinaryIO | None) -> Table:
    unfit = Unfit(data.errors == "skip")
    notes: list[str] = []
    digests = [hashlib.sha256(), hashlib.sha256()]
    counts, known = [], 0
    for part, names in enumerate((data.sources, data.val, data.test)):
        before = len(reading.of)
        if names:
            digest = digests[min(part, 1)]
            how: dict[str, Any] = {"stdin": stdin, "observe": digest.update, "tell": notes.append}
            for source, row in examples(names, How.of(data), unfit, **how):
                if part and row.label not in reading.labels:
                    where = f"{shown(source.name)} line {row.line}"
                    raise unknown_label(where, row.label, reading.labels)
                reading.take(source, row, unfit)
            if len(reading.of) == before:
                raise unfit.nothing(shown(names[0]), "example")
        counts.append(len(reading.of) - before)
        known = known or len(reading.labels)
    if known < 2:
        only = brief(next(iter(reading.labels)))
        raise CorpusError(f"the examples have a single label, {only}", "two or more are needed")
    notes += [*reading.notes(), *([unfit.note()] if unfit.count else [])]
    sources = tuple(source.name for source in find_sources(data.sources))
    return _table(reading, data, counts, seed, digests, sources, tuple(notes))


class More(NamedTuple):
    """Labelled texts for a model that exists, the lines passed over, notes, symbols left out."""

    texts: Labelled
    skipped: int
    notes: tuple[str, ...]
    left_out: int


def read_more(
    names: Sequence[str],
    data: DataConfig,
    vocabulary: Vocabulary,
    labels: Sequence[str],
    stdin: BinaryIO | None = None,
) -> More:
    """Return labelled texts in the symbols and labels of a model.

    Raises
    ------
    CorpusError
        If a table is missing, unreadable or damaged, has no example, or a label that is not one of
        ``labels``.
    """
    with _Reading(data) as reading:
        return _read_more(reading, names, data, vocabulary, labels, stdin)


def _read_more(
    reading: _Reading,
    names: Sequence[str],
    data: DataConfig,
    vocabulary: Vocabulary,
    labels: Sequence[str],
    stdin: BinaryIO | None,
) -> More:
    unfit = Unfit(data.errors == "skip")
    reading.labels = {label: number for number, label in enumerate(labels)}
    notes: list[str] = []
    how: dict[str, Any] = {"stdin": stdin, "tell": notes.append}
    for source, row in examples(names, How.of(data), unfit, **how):
        if row.label not in reading.labels:
            where = f"{shown(source.name)} line {row.line}"
            raise unknown_label(where, row.label, labels)
        reading.take(source, row, unfit)
    if not reading.of:
        raise unfit.nothing(shown(names[0]), "example")
    notes += [*reading.notes(), *([unfit.note()] if unfit.count else [])]
    lengths = np.array(reading.lengths, np.int64)
    provisional = mapped(reading.file, reading.symbols.dtype)
    with temporary() as file:
        ids, kept = reading.symbols.encode(provisional, lengths, vocabulary, file)
    texts = Labelled(ids, np.cumsum(kept) - kept, kept, np.array(reading.of, np.int32))
    return More(texts, unfit.count, tuple(notes), int(lengths.sum() - kept.sum()))


def table_of(pairs: Iterable[tuple[str, str]], data: DataConfig, seed: int = 0) -> Table:
    """Return labelled texts that are in memory: (text, label) each.

    Raises
    ------
    CorpusError
        If there are fewer than two labels.
    """
    digest = hashlib.sha256()
    with _Reading(data) as reading:
        for number, (text, label) in enumerate(pairs):
            try:
                reading.add(label, text)
            except UnfitError as problem:
                raise CorpusError(f"pair {number} {problem}", "leave it out of the text") from None
            digest.update(f"{label}\t{text}\n".encode("utf-8", "surrogatepass"))
        if len(reading.labels) < 2:
            message = "the examples have fewer than two labels"
            raise CorpusError(message, "give examples of each label")
        digests, counts = [digest, hashlib.sha256()], [len(reading.of), 0, 0]
        return _table(reading, data, counts, seed, digests, (), tuple(reading.notes()))


def _table(
    reading: _Reading,
    data: DataConfig,
    counts: list[int],
    seed: int,
    digests: list[Any],
    sources: tuple[str, ...],
    notes: tuple[str, ...],
) -> Table:
    refuse_labels(reading.labels)
    names = tuple(sorted(reading.labels))
    place = {name: number for number, name in enumerate(names)}
    order = np.array([place[name] for name in reading.labels], np.int32)
    labels = order[np.array(reading.of, np.intp)]
    parts = parts_of(labels[: counts[0]], counts, data, seed)
    if not len(parts[0]):
        raise CorpusError("no example is left to train on", "use more examples")
    lengths = np.array(reading.lengths, np.int64)
    provisional = mapped(reading.file, reading.symbols.dtype)
    trained = np.zeros(len(lengths), np.bool_)
    trained[parts[0]] = True
    found = reading.symbols.counts(provisional, lengths, trained)
    vocabulary = vocabulary_of(found, data.min_count)
    if data.examples and Layout.of(data).start(vocabulary) == vocabulary.unknown:
        message = f"{setting('min_count')} {data.min_count} folds the end of a text, too"
        raise UsageError(message, "choose a smaller number")
    with temporary() as file:
        ids, lengths = reading.symbols.encode(provisional, lengths, vocabulary, file)
    begins = np.concatenate(([0], np.cumsum(lengths)[:-1])).astype(np.int64)
    whole = Labelled(ids, begins, lengths, labels, vocabulary.unknown)
    train, val, test = (whole.of(numbers) for numbers in parts)
    return Table(
        train,
        val,
        test,
        vocabulary,
        names,
        digests[0].hexdigest(),
        digests[1].hexdigest() if data.val or data.test else "",
        sources,
        notes,
    )


def unknown_label(where: str, label: str, known: Iterable[str]) -> CorpusError:
    """Return the error of a label that a model does not know; ``where`` it stands."""
    names = sorted(known)
    listed = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
    return CorpusError(
        f"{where} has the label {brief(label)}, which is unknown", f"known: {listed}"
    )


def mapped(file: BinaryIO, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the content of a file as an array."""
    file.flush()
    size = file.seek(0, 2) // dtype.itemsize
    return np.memmap(file, dtype, mode="r", shape=(size,)) if size else np.empty(0, dtype)
