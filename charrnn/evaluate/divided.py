"""A text that a team scores together.

The surprisal of a symbol depends on all symbols before it, so a single stream cannot be divided.
Each of K members scores every K-th block of the text instead, from a zero state some way before the
block: what lies further back is as good as forgotten. A text of one block is scored exactly. Lines
and examples, each of which is scored from a zero state anyway, lose nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from math import isnan, nan
from typing import TypeVar

import numpy as np

from charrnn.backend.team import Team
from charrnn.evaluate.lines import LINES
from charrnn.evaluate.whole import Score, surprisals
from charrnn.model.language import LanguageModel
from charrnn.text.tally import Tally
from charrnn.text.units.pieces import Ids

BLOCK, CONTEXT = 1 << 18, 1 << 12
"""Symbols that are scored in a block, and those that are read before it."""
X = TypeVar("X")


def score_together(
    model: LanguageModel,
    chunks: Iterable[Ids],
    team: Team,
    *,
    tally: Tally,
    block: int = BLOCK,
    context: int = CONTEXT,
    progress: Callable[[int], object] | None = None,
) -> tuple[Score, int]:
    """Return the score of a text, and the number of its blocks.

    Each member reads all of the text. ``block`` and ``context`` are counted in symbols; the other
    parameters and errors are those of :func:`charrnn.evaluate.score`.
    """
    chars, nats, blocks = 0, 0.0, 0
    for before, ids in _blocks(chunks, block, context):
        blocks += 1
        if (blocks - 1) % team.size != team.rank:
            continue
        skip = max(1, before)  # the first symbol of the text has no context
        for part, amounts in surprisals(model, [ids], tally=tally):
            scored = amounts[skip:]
            skip = max(0, skip - len(part))
            nats += float(scored.sum())
            chars += len(scored)
            if progress is not None:
                progress(len(scored))
    return added(team, Score(chars, nats), tally), blocks


def share_of(team: Team, lines: Iterable[X], batch: int = LINES) -> Iterator[X]:
    """Yield this member's groups of ``batch`` lines."""
    lines, number = iter(lines), 0
    while group := list(islice(lines, batch)):
        if number % team.size == team.rank:
            yield from group
        number += 1


def added(team: Team, own: Score, tally: Tally | None = None) -> Score:
    """Return the sum of the members' scores; with a ``tally`` each has counted the whole text."""
    chars, nats = int(team.total(own.chars)), team.total(own.nats)
    if tally is not None:
        return Score(chars, nats, tally.skipped, tally.size)
    size = team.total(nan if own.bytes is None else own.bytes)
    return Score(chars, nats, int(team.total(own.skipped)), None if isnan(size) else int(size))


def _blocks(chunks: Iterable[Ids], block: int, context: int) -> Iterator[tuple[int, Ids]]:
    """Yield each block with the symbols before it, and how many they are; at least one block."""
    before = 0
    held: list[Ids] = []
    length = 0
    for chunk in chunks:
        held.append(chunk)
        length += len(chunk)
        while length > before + block:  # a block is complete once a symbol follows it
            ids = np.concatenate(held)
            yield before, ids[: before + block]
            rest = ids[max(0, before + block - context) :]
            before = min(context, before + block)
            held, length = [rest], len(rest)
    yield before, np.concatenate(held) if held else np.empty(0, np.uint8)
