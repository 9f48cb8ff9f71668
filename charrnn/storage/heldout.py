"""The held-out texts of a run: ids in ``val.npy`` and ``test.npy``, next to its checkpoints.

With them a run can be scored without the text that it was trained on.
"""

from __future__ import annotations

import io
import mmap
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from charrnn import files
from charrnn.display import one_line
from charrnn.errors import CharRNNError, setting
from charrnn.text.labelled.examples import Labelled
from charrnn.text.pairs.dataset import Pairs, Side
from charrnn.text.tagged.examples import Tagged
from charrnn.text.units.examples import Units, in_order
from charrnn.text.units.pieces import Pieces, TextIds

_HEADER = re.compile(
    rb"\x93NUMPY(?:\x01\0(?P<short>..)|\x02\0(?P<length>....))"
    rb"\{'descr': '(?P<dtype>[<|>]u[1248])', 'fortran_order': False, "
    rb"'shape': \((?P<count>[0-9]{1,18}),\), \} *\n",
    re.DOTALL,
)
_HEADER_BYTES = 1 << 10
_WRITTEN = 1 << 22  # ids written at a time
_CHECKED = 1 << 20  # ids checked at a time
_IN_WORDS = {"val": "validation", "test": "test"}


def write(folder: Path, split: str, text: TextIds | Units) -> None:
    """Write the ids of a held-out text (``split`` is ``val`` or ``test``) durably.

    Of examples, where each ends is written too.

    Raises
    ------
    CharRNNError
        If the file cannot be written.
    """
    ids: TextIds
    if isinstance(text, Units):
        ids = text.text()
        ends = np.cumsum(text.lengths()).astype(np.uint64)
        files.write(folder / f"{split}-ends.npy", _npy(ends))
    else:
        ids = text
    files.write(folder / f"{split}.npy", _npy(ids))


def write_labelled(folder: Path, split: str, texts: Labelled) -> None:
    """Write held-out texts: their ids, where each ends, and their labels; errors as above."""
    stops = texts.begins + texts.lengths
    files.write(folder / f"{split}-ends.npy", _npy(np.cumsum(texts.lengths).astype(np.uint64)))
    files.write(folder / f"{split}-labels.npy", _npy(texts.labels.astype(np.uint32)))
    files.write(folder / f"{split}.npy", _npy(Pieces(texts.ids, texts.begins, stops)))


def write_tagged(folder: Path, split: str, sequences: Tagged) -> None:
    """Write held-out sequences: ids, labels, and where each sequence ends; errors as above."""
    stops = sequences.begins + sequences.lengths
    files.write(folder / f"{split}-ends.npy", _npy(np.cumsum(sequences.lengths).astype(np.uint64)))
    for name, numbers in (("-labels", sequences.tags), ("", sequences.ids)):
        pieces = Pieces(numbers, sequences.begins, stops)
        files.write(folder / f"{split}{name}.npy", _npy(pieces))


def write_pairs(folder: Path, split: str, pairs: Pairs) -> None:
    """Write held-out pairs: the ids of both sides, and where each text ends; errors as above."""
    for name, side in (("", pairs.sources), ("-targets", pairs.targets)):
        ends = np.cumsum(side.lengths).astype(np.uint64)
        files.write(folder / f"{split}{name}-ends.npy", _npy(ends))
        stops = side.begins + side.lengths
        files.write(folder / f"{split}{name}.npy", _npy(Pieces(side.ids, side.begins, stops)))


def _npy(ids: TextIds) -> Iterator[bytes]:
    """Yield the parts of an ``.npy`` file."""
    header = io.BytesIO()
    np.lib.format.write_array_header_2_0(
        header, {"descr": ids.dtype.str, "fortran_order": False, "shape": (len(ids),)}
    )
    yield header.getvalue()
    for start in range(0, len(ids), _WRITTEN):
        yield ids[start : start + _WRITTEN].tobytes()
        _release(ids)


def _release(ids: TextIds) -> None:
    """Release the pages of a memory-mapped array; they are read again when they are used."""
    owner: Any = ids.ids if isinstance(ids, Pieces) else ids
    while isinstance(owner, np.ndarray):
        owner = owner.base
    if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        owner.madvise(mmap.MADV_DONTNEED)


def read(checkpoint: Path, split: str, symbols: int | None = None) -> np.ndarray:
    """Return the ids of a run's own ``val`` or ``test`` text, 1-D and memory-mapped.

    The file must not be truncated while they are in use.

    Parameters
    ----------
    checkpoint
        A checkpoint of the run.
    symbols
        The size of the vocabulary: every id must be below it.

    Raises
    ------
    CharRNNError
        If the run has no such text, or the file is not one.
    """
    path = checkpoint.parent / f"{split}.npy"
    try:
        ids = mapped(path)
    except (FileNotFoundError, NotADirectoryError, files.NotRegularError):
        raise CharRNNError(
            f"there is no {_IN_WORDS[split]} text next to {one_line(checkpoint)}",
            f"train with {setting(f'{split}_frac')} or {setting(split)}, or name a text",
        ) from None
    except (OSError, ValueError):
        raise CharRNNError(f"{one_line(path)} does not hold encoded text") from None
    for start in range(0, len(ids) if symbols is not None else 0, _CHECKED):
        if int(ids[start : start + _CHECKED].max()) >= (symbols or 0):
            raise CharRNNError(f"{one_line(path)} does not hold text of the run's vocabulary")
    return ids


def read_examples(checkpoint: Path, split: str, start: int, symbols: int | None = None) -> Units:
    """Return the held-out examples of a run, in the order of its text.

    ``start`` is the symbol that is read before each of them; other parameters and errors are those
    of :func:`read`.
    """
    ids = read(checkpoint, split, symbols)
    path = checkpoint.parent / f"{split}-ends.npy"
    try:
        ends = np.asarray(mapped(path)).astype(np.int64)
    except (OSError, ValueError):
        raise CharRNNError(f"{one_line(path)} does not hold where examples end") from None
    if not len(ends) or ends[-1] != len(ids) or ends[0] < 1 or (np.diff(ends) < 1).any():
        raise CharRNNError(f"{one_line(path)} does not fit the {split} text next to it")
    return Units.of(ids, ends, len(ends), in_order, start)


def read_labelled(checkpoint: Path, split: str, symbols: int, labels: int) -> Labelled:
    """Return the held-out texts of a run and their labels.

    ``labels`` is their number; other parameters and errors are those of :func:`read`.
    """
    ids = read(checkpoint, split, symbols)
    try:
        ends, of = (
            np.asarray(mapped(checkpoint.parent / f"{split}-{what}.npy")).astype(np.int64)
            for what in ("ends", "labels")
        )
    except (OSError, ValueError):
        raise CharRNNError(
            f"{one_line(checkpoint.parent)} has no labels of its {split} texts", "name a table"
        ) from None
    lengths = np.diff(ends, prepend=0)
    fits = len(ends) and len(of) == len(ends) and ends[-1] == len(ids) and (lengths >= 0).all()
    if not fits or int(of.max()) >= labels:
        raise CharRNNError(f"the {split} texts of {one_line(checkpoint.parent)} do not fit it")
    return Labelled(ids, ends - lengths, lengths, of.astype(np.int32))


def read_tagged(checkpoint: Path, split: str, symbols: int, labels: int) -> Tagged:
    """Return the held-out sequences of a run, with their labels.

    ``labels`` is the number of different ones; other parameters and errors are those of
    :func:`read`.
    """
    ids = read(checkpoint, split, symbols)
    try:
        ends, tags = (
            np.asarray(mapped(checkpoint.parent / f"{split}-{what}.npy"))
            for what in ("ends", "labels")
        )
    except (OSError, ValueError):
        raise CharRNNError(
            f"{one_line(checkpoint.parent)} has no labels of its {split} texts", "name a file"
        ) from None
    until = ends.astype(np.int64)
    lengths = np.diff(until, prepend=0)
    fits = len(until) and until[-1] == len(ids) == len(tags) and (lengths >= 0).all()
    if not fits or (len(tags) and int(tags.max()) > labels):  # that many: no label
        raise CharRNNError(f"the {split} texts of {one_line(checkpoint.parent)} do not fit it")
    return Tagged(ids, tags, until - lengths, lengths, labels)


def read_pairs(checkpoint: Path, split: str, symbols: int, targets: int) -> Pairs:
    """Return the held-out pairs of a run.

    ``targets`` is the number of symbols of the targets; other parameters and errors are those of
    :func:`read`.
    """
    ids = read(checkpoint, split, symbols)
    try:
        ends, written, stops = (
            np.asarray(mapped(checkpoint.parent / f"{split}-{what}.npy"))
            for what in ("ends", "targets", "targets-ends")
        )
    except (OSError, ValueError):
        raise CharRNNError(
            f"{one_line(checkpoint.parent)} has no targets of its {split} texts", "name a table"
        ) from None
    sides = []
    for side, ended in ((ids, ends), (written, stops)):
        until = ended.astype(np.int64)
        lengths = np.diff(until, prepend=0)
        fits = len(until) and until[-1] == len(side) and (lengths >= 0).all()
        if not fits or len(until) != len(ends):
            raise CharRNNError(f"the {split} texts of {one_line(checkpoint.parent)} do not fit it")
        sides.append(Side(side, until - lengths, lengths))
    if len(written) and int(written.max()) > targets:  # that many: a symbol it does not know
        raise CharRNNError(f"the {split} texts of {one_line(checkpoint.parent)} do not fit it")
    return Pairs(*sides)


def mapped(path: Path) -> np.ndarray:
    """Map a file that :func:`write` wrote.

    NumPy's own reader evaluates the header as a Python expression and accepts much more.
    """
    with os.fdopen(files.open_regular(path, follow=True), "rb") as file:
        header = _HEADER.match(file.read(_HEADER_BYTES))
        size = os.fstat(file.fileno()).st_size
        if header is None:
            raise ValueError("not a header that was written here")
        dtype, count = np.dtype(header["dtype"].decode()), int(header["count"])
        length = header["length"] or header["short"]  # of the header, in version 2 and 1
        start = 8 + len(length) + int.from_bytes(length, "little")
        if header.end() != start or count * dtype.itemsize != size - start:
            raise ValueError("the header does not fit the file")
        if not count:
            return np.empty(0, dtype)
        return np.memmap(file, dtype, mode="r", offset=start, shape=(count,))
