"""Choose which units of a text are held out; the seed draws them from all of it."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from itertools import pairwise
from math import ceil, floor
from typing import NamedTuple

import numpy as np

from charrnn.display import count
from charrnn.errors import CorpusError, setting
from charrnn.randomness import Purpose
from charrnn.text.layout import WHOLE, Layout
from charrnn.text.units.examples import Numbering, Units, in_order
from charrnn.text.units.permutation import Permutation
from charrnn.text.units.pieces import Ids, Numbers, Pieces, TextIds, begins

Fractions = tuple[Fraction, Fraction]

BLOCKS = 10
"""Maximum number of blocks in the smaller held-out part."""
SHORTEST = 256
"""Minimum number of symbols in a block, if the text is long enough."""


class Split(NamedTuple):
    """How a text is divided.

    Attributes
    ----------
    fractions
        The fractions held out for validation and for the test; 0 for one with its own text.
    hold_out
        ``tail``, ``blocks`` or ``examples``.
    seed
        Determines which blocks and examples are drawn.
    units
        What examples are: ``line`` or ``document``.
    layout
        The layout of the text.
    """

    fractions: Fractions
    hold_out: str = "tail"
    seed: int = 0
    units: str = ""
    layout: Layout = WHOLE


class Ends(NamedTuple):
    """Where the units of the training, validation and test text end.

    Attributes
    ----------
    ends
        The end of every unit, in symbols from the beginning of the first text, 1-D.
    counts
        Number of units of each text.
    """

    ends: Numbers
    counts: Sequence[int]

    def of(self, part: int) -> Numbers:
        """Return the ends of one text's units."""
        before = sum(self.counts[:part])
        return self.ends[before : before + self.counts[part]]


def split(
    ids: Ids, parts: Sequence[int], found: Ends, how: Split
) -> tuple[TextIds, TextIds, TextIds]:
    """Return the training, validation and test text.

    Parameters
    ----------
    ids, parts
        All texts in one array, 1-D, and the number of symbols of each.
    found
        Their units, if examples are held out.
    """
    borders = np.cumsum([0, *parts]).tolist()
    train, val, test = (ids[a:b] for a, b in pairwise(borders))
    n, (val_frac, test_frac) = len(train), how.fractions
    if how.hold_out == "tail":
        first, second = floor(n * (1 - val_frac - test_frac)), floor(n * (1 - test_frac))
        held: Sequence[TextIds] = (train[:first], train[first:second], train[second:])
    else:
        ends = block_ends(n, how.fractions) if how.hold_out == "blocks" else found.of(0)
        drawn = draw(len(ends), how, how.units or "block")
        held = pieces_of(ids, ends, 0, drawn)
    return held[0], held[1] if val_frac else val, held[2] if test_frac else test


def split_examples(
    ids: Ids, parts: Sequence[int], found: Ends, how: Split, start: int
) -> tuple[Units, Units, Units]:
    """Return the examples for training, validation and test.

    Parameters are those of :func:`split`; ``start`` is the symbol that is read before each example.
    """
    firsts = np.cumsum([0, *parts]).tolist()

    def all_of(part: int) -> Units:
        ends = found.of(part)
        return Units.of(ids, ends, len(ends), in_order, start, firsts[part])

    def some(count: int, number: Numbering) -> Units:
        return Units.of(ids, found.of(0), count, number, start)

    if not any(how.fractions):
        return all_of(0), all_of(1), all_of(2)
    drawn = draw(found.counts[0], how, how.units)
    held = [some(len(part), partial(np.take, part)) for part in drawn.held_out()]
    train = some(found.counts[0] - drawn.val - drawn.test, drawn.training)
    val_frac, test_frac = how.fractions
    return train, held[0] if val_frac else all_of(1), held[1] if test_frac else all_of(2)


class Drawn(NamedTuple):
    """The held-out units, by number.

    Attributes
    ----------
    units
        Number of all units.
    order
        A permutation of the units: first those for validation, then those for the test, then those
        for training.
    val, test
        How many are held out.
    """

    units: int
    order: Numbering
    val: int
    test: int

    def held_out(self) -> tuple[Numbers, Numbers]:
        """Return the numbers of the units for validation and test, each ascending."""
        drawn = self.order(np.arange(self.val + self.test))
        return np.sort(drawn[: self.val]), np.sort(drawn[self.val :])

    def training(self, numbers: Numbers) -> Numbers:
        """Return training units by their numbers, which count from 0."""
        return self.order(numbers + self.val + self.test)


def draw(units: int, how: Split, what: str) -> Drawn:
    """Draw the units for validation and test, at least one for each fraction above 0.

    Raises
    ------
    CorpusError
        If nothing would be left to train on.
    """
    val_frac, test_frac = how.fractions
    n_train = floor(units * (1 - val_frac - test_frac))
    n_val = max(floor(units * (1 - test_frac)) - n_train, val_frac > 0)
    n_test = max(units - n_train - n_val, test_frac > 0) if test_frac else 0
    if n_val + n_test >= units:
        remedy = f"set {setting('hold_out')} to blocks or tail"
        if how.layout.examples:
            none = setting("test_frac" if test_frac and not val_frac else "val_frac")
            remedy = f"use a text with more {what}s, or {none} 0"
        raise CorpusError(f"the text has {count(units, what)}, too few to hold some out", remedy)
    if how.hold_out == "tail":
        return Drawn(units, partial(_from_the_tail, units, n_val + n_test), n_val, n_test)
    return Drawn(units, Permutation(units, how.seed, Purpose.HOLD_OUT), n_val, n_test)


def _from_the_tail(units: int, held: int, numbers: Numbers) -> Numbers:
    """Return the units of a text in an order in which the last ``held`` come first."""
    return (numbers - held) % units


def block_ends(symbols: int, fractions: Fractions) -> Numbers:
    """Return where the blocks of a text end, all of about the same length.

    Raises
    ------
    CorpusError
        If the text is too short to be cut.
    """
    smallest = min((f for f in fractions if f), default=Fraction(1, 10))
    one = ceil(1 / smallest)  # blocks for each one that is held out
    blocks = one * max(1, min(BLOCKS, symbols // SHORTEST // one))
    if symbols < blocks:
        raise CorpusError(
            f"the text has {count(symbols, 'symbol')}, too few for blocks to hold out",
            f"use a longer text, or set {setting('hold_out')} to tail",
        )
    return np.arange(1, blocks + 1, dtype=np.int64) * symbols // blocks


def pieces_of(ids: Ids, ends: Numbers, first: int, drawn: Drawn) -> tuple[Pieces, Pieces, Pieces]:
    """Return the text without the held-out units, and the two held-out texts, in text order.

    Parameters
    ----------
    ids, ends
        A text, 1-D, and where each of its units ends in it, 1-D.
    first
        Where its first unit begins.
    """
    val, test = drawn.held_out()
    held = np.sort(np.concatenate([val, test]))
    # Between two held-out units lies a piece of training text, which may be empty.
    starts = np.concatenate(([first], ends[held]))
    stops = np.concatenate((begins(ends, held, first), ends[-1:]))
    kept = starts < stops
    train = Pieces(ids, starts[kept], stops[kept])
    parts = [Pieces(ids, begins(ends, part, first), ends[part]) for part in (val, test)]
    return train, parts[0], parts[1]
