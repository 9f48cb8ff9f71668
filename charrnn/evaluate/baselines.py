"""What a loss is to be compared with: simple models of the same text, and a compressor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.evaluate.guess import counts
from charrnn.text.units.examples import Units
from charrnn.text.units.pieces import Ids, TextIds
from charrnn.text.vocabulary import Vocabulary

MAX_PAIRS = 2_000_000
"""Symbols of a training text whose pairs are counted at most."""
DENSE = 1 << 22
"""Pairs of symbols up to which there is a table of all of them."""
MIN_PACKED, MAX_PACKED, MAX_BYTES = 1000, 300_000, 1 << 20
"""Symbols of the shortest and the longest text that is compressed, and the most bytes."""


@dataclass(frozen=True)
class Baselines:
    """Bits per symbol of a validation text.

    Attributes
    ----------
    unigram
        Each symbol by its frequency in the training text, with 1 added to every count: p₁.
    bigram
        Each symbol b by what follows the symbol a before it: p(b|a) = (n(ab) + t(a) p₁(b)) /
        (n(a) + t(a)), where n counts in the training text and t(a) is how many different symbols
        follow a there (Bell, Cleary and Witten 1990, method C).
    xz
        The text's UTF-8 in the format of ``xz -9``, LZMA2, without the file's header; of a long
        text its beginning. None for a text below 1,000 symbols, or if Python lacks lzma.
    """

    unigram: float
    bigram: float
    xz: float | None


def baselines(
    train: TextIds | Units, val: TextIds | Units, vocabulary: Vocabulary, limit: int
) -> Baselines | None:
    """Return what simple models that know the training text reach on the validation text.

    ``limit`` is how many symbols of it are predicted at most; None if there are none.
    """
    before, after = pairs(val, limit)
    if not len(after):
        return None
    known = counts(train, len(vocabulary)) + 1.0
    unigram = known / known.sum()
    bigram = _bigram(*pairs(train, MAX_PAIRS), unigram)(before, after)
    return Baselines(_bits(unigram[after]), _bits(bigram), packed_bits(after, vocabulary))


def pairs(text: TextIds | Units, limit: int) -> tuple[Ids, Ids]:
    """Return the symbols that a model predicts first, and the one before each, (n,) in int64.

    Of examples the first symbol follows the one that is read before it.
    """
    if not isinstance(text, Units):
        ids = np.asarray(text[: limit + 1]).astype(np.int64)
        return ids[:-1], ids[1:]
    after = np.asarray(text.text()[:limit]).astype(np.int64)
    begins = np.cumsum(text.lengths()) - text.lengths()
    before = np.concatenate(([text.start], after[:-1]))
    before[begins[begins < len(after)]] = text.start
    return before[: len(after)], after


def _bigram(
    before: Ids, after: Ids, unigram: NDArray[np.float64]
) -> Callable[[Ids, Ids], NDArray[np.float64]]:
    """Return a function that gives the probability of each symbol after another one."""
    V = len(unigram)
    seen, total = before * V + after, np.bincount(before, minlength=V)
    table: NDArray[Any] | None = None
    if V * V <= DENSE:
        table = np.bincount(seen, minlength=V * V)
        kinds = np.count_nonzero(table.reshape(V, V), axis=1)
    else:
        keys, number = np.unique(seen, return_counts=True)
        kinds = np.bincount(keys // V, minlength=V)

    def times(pair: Ids) -> NDArray[Any]:
        if table is not None:
            return table[pair]
        at = np.minimum(np.searchsorted(keys, pair), len(keys) - 1)
        return np.where(keys[at] == pair, number[at], 0)

    def probability(a: Ids, b: Ids) -> NDArray[np.float64]:
        unseen = kinds[a] == 0
        mixed = times(a * V + b) + kinds[a] * unigram[b]
        return np.where(unseen, unigram[b], mixed / np.maximum(1, total[a] + kinds[a]))

    return probability


def _bits(probabilities: NDArray[np.float64]) -> float:
    return float(-np.log2(probabilities).mean()) + 0.0


def packed_bits(ids: Ids, vocabulary: Vocabulary) -> float | None:
    """Return the bits per symbol of the text that ids stand for, compressed: ``Baselines.xz``."""
    try:
        import lzma
    except ImportError:  # Python may be built without it
        return None
    if len(ids) < MIN_PACKED:
        return None
    ids = ids[:MAX_PACKED]
    while len(data := _utf8(ids, vocabulary)) > MAX_BYTES:
        ids = ids[: len(ids) // 2]
    # A dictionary that holds the text gives the size that the 64 MiB of -9 do, in less memory.
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": MAX_BYTES}]
    return 8.0 * len(lzma.compress(data, lzma.FORMAT_RAW, filters=filters)) / len(ids)


def _utf8(ids: Ids, vocabulary: Vocabulary) -> bytes:
    text = vocabulary.decode(ids)
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
