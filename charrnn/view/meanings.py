"""Which units of a model mean something: units whose values tell simple properties of a text.

The text is cut in two. On the first half the units are chosen that tell a property best, on the
second half they are judged: there the best of thousands of pairs has no advantage of selection. The
measure is the area A of :mod:`charrnn.view.ranks`, turned so that it is at least 1/2 where the unit
was chosen.

Much is told without meaning anything. Three controls decide what is reported:

1. Chance. The property is shifted in a circle over the second half; p is multiplied by the number
   of pairs that are judged (Bonferroni) and must be at most 0.05.
2. The symbol alone. The unit must tell the property better than the symbol that was just read does,
   that is, the mean of the property in the first half after that symbol. This does not apply to
   properties that the symbol determines, such as upper case.
3. Untrained networks. Every recurrent network echoes the last few symbols, whatever its weights
   (Jaeger 2001), which tells upper case, the inside of words, the beginning of lines and more. The
   unit must leave at most half of the error 1 - A that the best unit of many untrained networks of
   the same shape leaves on the same text, so that A is at least 3/4; at most a tenth, if the
   symbol determines the property. What untrained networks tell with A = 0.95 is not reported at
   all. Without such factors an untrained model, which is one more of its kind, would be the best of
   K + 1 networks in one case of K + 1, for each property. If small errors of units are as frequent
   as their power a - 1, it leaves at most the share e of the least error of K others with
   probability e^a / (K + e^a).

A property that hardly changes in one of the halves is not looked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from charrnn.display import count
from charrnn.errors import CharRNNError, either, setting
from charrnn.model.language import LanguageModel
from charrnn.text.vocabulary import Vocabulary
from charrnn.view import properties
from charrnn.view.controls import PAIRS, controls
from charrnn.view.passage import Passage
from charrnn.view.properties import Property
from charrnn.view.ranks import Floats, Held, centred_ranks
from charrnn.view.values import EveryState, Unit, every_state

CHOSEN = 3
"""Units that are judged for each property."""
LEVEL = 0.05
"""The largest p that counts, after it was multiplied by the number of pairs."""
ERROR, DETERMINED = 0.5, 0.1
"""The largest share of the error of untrained networks, also if the symbol tells the property."""
TOLD = 0.95
"""A of untrained networks from which on a property is no news."""
CHANGES, PLACES = 10, 20
"""How often a property must change in a half, and at how many places it must and must not hold."""
SHORTEST = 200
"""Symbols of the shortest text that units can be sought on."""


@dataclass(frozen=True)
class Meaning:
    """A unit that tells a property.

    Attributes
    ----------
    name, numeric
        The property; whether it is a number.
    unit, sign
        The unit, and -1 if its values are low where the property holds, or is large.
    area, chosen
        A on the second half, and on the first.
    untrained, symbol
        On the second half, the largest A of a unit of an untrained network, and that of the symbol
        alone.
    p
        That shifts of the property are told as well, times the number of pairs that were judged.
    """

    name: str
    numeric: bool
    unit: Unit
    sign: int
    area: float
    chosen: float
    untrained: float
    symbol: float
    p: float


@dataclass(frozen=True)
class Meanings:
    """What was found, the best first.

    ``sought`` and ``absent`` are the names of the properties that were and were not looked for,
    ``series`` the number of series that were held against each, ``half`` the symbols of each half.
    """

    found: list[Meaning]
    sought: list[str]
    absent: list[str]
    series: int
    half: int


def find(
    model: LanguageModel,
    vocabulary: Vocabulary,
    passage: Passage,
    progress: Callable[[str], object] = lambda stage: None,
    read: EveryState | None = None,
) -> Meanings:
    """Return which units of a model tell a property of a text.

    ``read`` is what :func:`charrnn.view.values.every_state` returns for the passage, if it has been
    read before.

    Raises
    ------
    CharRNNError
        If the text is too short, or the states of the model are not finite.
    """
    half = len(passage) // 2
    if len(passage) < SHORTEST:
        raise CharRNNError(
            f"the text has {count(len(passage), 'symbol')}, too few to tell what units mean",
            f"view at least {SHORTEST}: a longer text, or a larger {setting('length')}",
        )
    progress("the model")
    units, states = read or every_state(model, passage)
    if not np.isfinite(states).all():
        why = f"{either('charrnn diagnose', 'charrnn.diagnose')} says why"
        raise CharRNNError("the states of the model are not finite", why)
    halves = slice(0, half), slice(half, 2 * half)
    every = properties.of_symbols(vocabulary, passage.ids)
    sought = [one for one in every if all(_varies(one, part) for part in halves)]
    absent = [one.name for one in every if one not in sought]
    first, second = ([Held.of(one.values[part], one.numeric) for one in sought] for part in halves)
    chosen = _choose(first, centred_ranks(states[halves[0]]))
    columns = sorted({column for of_one in chosen for column in of_one})
    judged = dict(zip(columns, centred_ranks(states[halves[1]][:, columns]).T, strict=True))
    pairs = sum(map(len, chosen))
    left: dict[int, list[tuple[Meaning, float]]] = {}
    for number, one in enumerate(sought):
        symbol, determined = _of_symbol(passage.ids, one, second[number], half)
        error = DETERMINED if determined else ERROR
        for column, area in chosen[number].items():
            sign = 1 if area >= 0.5 else -1
            told = _turned(second[number].area(judged[column]), sign)
            p = min(1.0, pairs * second[number].chance(judged[column], sign))
            if 1 - told < error / 2 and p <= LEVEL and (determined or told > symbol):
                more = (sign, told, _turned(area, sign), 0.5, symbol, p)
                pair = Meaning(one.name, one.numeric, units[column], *more)
                left.setdefault(number, []).append((pair, error))
    held = {number: second[number] for number in left}
    found = _untrained(model, passage.part(half, 2 * half), held, left, progress)
    found.sort(key=lambda one: (-one.area, one.name, str(one.unit)))
    return Meanings(found, [one.name for one in sought], absent, len(units), half)


def _turned(area: float, sign: int) -> float:
    return 0.5 + sign * (area - 0.5)


def _varies(one: Property, part: slice) -> bool:
    """Whether a property changes often enough in a part of the text."""
    values = one.values[part]
    if int((np.diff(values) != 0).sum()) < CHANGES:
        return False
    return one.numeric or min(values.sum(), len(values) - values.sum()) >= PLACES


def _choose(held: Sequence[Held], centred: Floats) -> list[dict[int, float]]:
    """Return for each property the series that tell it best, with A."""
    chosen = []
    for one in held:
        areas = one.areas(centred)
        best = np.argsort(-np.abs(areas - 0.5), kind="stable")[:CHOSEN]
        chosen.append({int(k): float(areas[k]) for k in best})
    return chosen


def _untrained(
    model: LanguageModel,
    passage: Passage,
    held: Mapping[int, Held],
    pairs: Mapping[int, list[tuple[Meaning, float]]],
    progress: Callable[[str], object],
) -> list[Meaning]:
    """Return the pairs that tell their property so much better than untrained networks do.

    Both mappings are by the number of the property; each pair is given with the largest share of
    the error that it may leave. No more networks are read than it takes to refute all pairs.
    """
    left = {number: list(of_one) for number, of_one in pairs.items()}
    best = dict.fromkeys(left, 0.5)
    every = controls(model)
    for done in range(2 * PAIRS):
        if not left:
            break
        progress(f"untrained network {done + 1} of {2 * PAIRS}")
        centred = centred_ranks(np.nan_to_num(every_state(next(every), passage)[1]))
        for number in [*left]:
            apart = float(np.abs(held[number].areas(centred) - 0.5).max())
            best[number] = max(best[number], 0.5 + apart)
            left[number] = [
                (one, error)
                for one, error in left[number]
                if best[number] < TOLD and 1 - one.area < error * (1 - best[number])
            ]
            if not left[number]:
                del left[number]
    return [
        replace(one, untrained=best[number]) for number, of_one in left.items() for one, _ in of_one
    ]


def _of_symbol(
    ids: NDArray[np.integer], one: Property, second: Held, half: int
) -> tuple[float, bool]:
    """Return A of the symbol alone on the second half, and whether it determines the property."""
    symbols = ids[: 2 * half].astype(np.int64)
    values, size = one.values[: 2 * half], int(symbols.max()) + 1
    before, after = symbols[:half], symbols[half:]
    times = np.bincount(before, minlength=size)
    sums = np.bincount(before, values[:half], minlength=size)
    means = np.where(times > 0, sums / np.maximum(times, 1), values[:half].mean())
    area = second.area(centred_ranks(means[after][:, None])[:, 0])
    lowest, highest = np.full(size, np.inf), np.full(size, -np.inf)
    np.minimum.at(lowest, symbols, values)
    np.maximum.at(highest, symbols, values)
    return area, bool((lowest[symbols] == highest[symbols]).all())
