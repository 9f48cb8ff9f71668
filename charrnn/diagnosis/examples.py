"""The text of a model that was trained on examples, as the measurements read it.

Each example follows the symbol that the model reads before it. What belongs to one prediction, such
as the context before an anchor, lies within one example.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from charrnn.diagnosis.subjects import MAX_SYMBOLS, Subject
from charrnn.errors import CorpusError, setting
from charrnn.randomness import Purpose, generator
from charrnn.text.units.examples import Units


def prepared(subject: Subject) -> Subject:
    """Return a subject whose text is an array: of examples, the first ones joined."""
    if not isinstance(subject.ids, Units):
        return replace(subject, ids=np.asarray(subject.ids))
    units = subject.ids
    total = np.cumsum(units.lengths())
    count = max(1, int(np.searchsorted(total, MAX_SYMBOLS, "right")))
    if count < units.count:
        units = Units.of(units.ids, units.ends, count, units.number, units.start, units.first)
    begins = np.cumsum(units.lengths()) - units.lengths()
    ids = np.insert(np.asarray(units), begins, units.start)
    return replace(subject, ids=ids, examples=units)


def ages(units: Units) -> NDArray[np.int64]:
    """Return how many symbols of its own example are read before each symbol of the joined text.

    The symbol before the example counts.
    """
    lengths = units.lengths() + 1
    ends = np.cumsum(lengths)
    found: NDArray[np.int64] = np.arange(ends[-1]) - np.repeat(ends - lengths, lengths)
    return found


def longest_context(units: Units, count: int) -> int:
    """Return the longest context that so many symbols have, or, of few symbols, half of them."""
    found = ages(units)
    count = min(count, max(1, len(found) // 2))
    return int(np.partition(found, len(found) - count)[len(found) - count])


def choose_anchors(units: Units, count: int, context: int, seed: int) -> NDArray[np.int64]:
    """Return at most ``count`` different positions, ascending, with so long a context each.

    Raises
    ------
    CorpusError
        If no example is long enough.
    """
    possible = np.flatnonzero(ages(units) >= context)
    if not len(possible):
        raise CorpusError(
            f"no example has a context of {context} symbols",
            f"lower {setting('max_lag')} and {setting('context')}",
        )
    rng = generator(seed, Purpose.DIAGNOSE)
    return np.sort(rng.choice(possible, size=min(count, len(possible)), replace=False))
