"""The indexes of a run's text, built when first used and kept next to its checkpoints.

The file ``novel-lines.npy``, or ``novel-N.npy`` for spans of more than N symbols, holds bytes: a
digest that identifies the text, and the table. A file with another digest, such as one that another
run has left, is replaced.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from charrnn.errors import CharRNNError, CorpusError, setting
from charrnn.own import METRICS
from charrnn.sampling.frame import Frame
from charrnn.sampling.seen import LineEnds, Seen, broken
from charrnn.storage import heldout
from charrnn.storage.checkpoint import Checkpoint
from charrnn.text import Corpus, iter_ids, iter_lines, read_corpus
from charrnn.text.labelled.dataset import Table, read_table
from charrnn.text.layout import Layout
from charrnn.text.units.examples import Units
from charrnn.text.vocabulary import Vocabulary

_KEY = 32  # bytes of the digest
_SIZES = {1 << k for k in range(13, 28)}  # bytes of a table


def of_run(checkpoint: Checkpoint, span: int = 0) -> Seen:
    """Return the index of the text that a run was trained on, with its held-out parts.

    Parameters
    ----------
    span
        0 for lines; else spans of more symbols than this.

    Raises
    ------
    CharRNNError
        If there is no index yet and the text is missing, has changed, or is too large.
    """
    assert checkpoint.path is not None
    folder, name = checkpoint.path.parent, f"novel-{span or 'lines'}"
    ends = Frame.of(checkpoint.data).line_ends(checkpoint.vocabulary)
    key = _key(checkpoint, span)
    try:
        found = heldout.mapped(folder / f"{name}.npy")
    except (OSError, ValueError):
        found = np.empty(0, np.uint8)
    if found.dtype == np.uint8 and found[:_KEY].tobytes() == key and len(found) - _KEY in _SIZES:
        return Seen(found[_KEY:], span, ends)
    seen = Seen.of(_texts(checkpoint), ends, span, apart=True)
    if (folder / METRICS).is_file():  # the folder of a run, not of any file
        kept = np.concatenate((np.frombuffer(key, np.uint8), seen.bits))
        try:
            heldout.write(folder, name, kept)
        except CharRNNError:
            return seen  # built again next time
    return seen


def of_text(
    names: Sequence[str],
    vocabulary: Vocabulary,
    ends: LineEnds,
    spans: Sequence[int] = (0,),
    **reading: Any,
) -> list[Seen]:
    """Return indexes of any text, which is read once, for each of ``spans`` as in :func:`of_run`.

    ``ends`` ends its lines; ``reading`` are its encoding, errors and layout; see
    :func:`charrnn.text.iter_ids`. Symbols that the vocabulary does not have are left out, but a
    newline always ends a line.

    Raises
    ------
    CharRNNError
        If the text cannot be read or is too large.
    """
    if vocabulary.newline is None:
        lines = iter_lines(list(names), vocabulary, unknown="skip", **reading)
        parts, ends = broken((_own(*line, vocabulary) for line in lines), ends, len(vocabulary))
    else:
        parts = list(iter_ids(list(names), vocabulary, unknown="skip", **reading))
    return [Seen.of(parts, ends, span) for span in spans]


def _own(line: str | bytes, ids: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
    """Return the ids of a line without the unknown symbol that stands for its newline."""
    newline: Any = "\n" if isinstance(line, str) else b"\n"
    return ids[:-1] if vocabulary.unknown is not None and newline in line else ids


def _key(checkpoint: Checkpoint, span: int) -> bytes:
    data = checkpoint.data
    texts_end = data is not None and (data.examples == "document" or bool(data.join))
    made_from = (
        *(
            "2" if texts_end and not span else "1",
            checkpoint.corpus_sha256,
            checkpoint.heldout_sha256,
            str(span),
        ),
        json.dumps(checkpoint.vocabulary.to_json()),
        json.dumps(data.to_json() if data else None),
    )
    return hashlib.sha256("\0".join(made_from).encode()).digest()


def _texts(checkpoint: Checkpoint) -> list[np.ndarray]:
    """Return the ids of a run's text, held-out parts in their places, and of its other texts.

    Documents without an end are texts of their own.
    """
    give = f"give the text with {setting('novel_text')}"
    if checkpoint.data is None or not checkpoint.data.sources:
        raise CharRNNError(f"the text of {checkpoint.path} is not known", give)
    if "-" in checkpoint.data.sources:
        raise CharRNNError("the run was trained on standard input, which was not kept", give)
    whole = replace(checkpoint.data, val_frac=0.0, test_frac=0.0, hold_out="tail")
    corpus: Corpus | Table
    try:
        if checkpoint.config.task == "generate":
            seed = 0 if checkpoint.train is None else checkpoint.train.seed
            corpus = read_table(checkpoint.data, seed)  # the same symbols need the same seed
        else:
            corpus = read_corpus(whole)
    except CorpusError as problem:
        raise CharRNNError(f"the text of the run cannot be read: {problem.message}", give) from None
    known = (checkpoint.corpus_sha256, checkpoint.heldout_sha256, checkpoint.vocabulary)
    if (corpus.sha256, corpus.heldout_sha256, corpus.vocabulary) != known:
        raise CharRNNError("the text of the run has changed since it was trained", give)
    if isinstance(corpus, Table):
        return [ids for part in (corpus.train, corpus.val, corpus.test) for ids in part.each()]
    parts, endless = (corpus.train, corpus.val, corpus.test), not Layout.of(whole).end
    return [
        one
        for part in parts
        for one in (part if isinstance(part, Units) and endless else [np.asarray(part)])
    ]
