"""Command lines with two options of a command, made from those with one of each."""

from itertools import combinations
from typing import NamedTuple

from helpers.command_tree import commands, options, switches
from helpers.option_effects import lines, split


class Pair(NamedTuple):
    """Two options beside the words that they need.

    Attributes
    ----------
    rest
        The words of the command line but for the two options.
    options
        The words of each option.
    judged
        For each, whether it must have an effect: all that the table has beside it is there.
    """

    rest: tuple[str, ...]
    options: tuple[tuple[str, ...], tuple[str, ...]]
    judged: tuple[bool, bool]

    def line(self, *left_out: int) -> list[str]:
        """Return the command line, without the first (0) or second (1) option if so given."""
        kept = (one for number, one in enumerate(self.options) if number not in left_out)
        return [*self.rest, *(word for one in kept for word in one)]


def pairs(command: str) -> list[Pair]:
    """Return all pairs of options of a command; two if their lines have different texts."""
    found = []
    for one, other in combinations(lines()[command], 2):
        if _name(command, one) != _name(command, other):
            found += [_pair(command, one, other), _pair(command, other, one)]
    return list({(pair.rest, frozenset(pair.options)): pair for pair in found}.values())


def _name(command: str, line: str) -> str:
    return options(commands()[command])[split(command, line)[1][0]]


def _pair(command: str, one: str, other: str) -> Pair:
    """Return the options of two lines and what they have beside them; texts are those of ``one``.

    What a line has beside its option gives way to the option of the other line.
    """
    (rest, _, first), (more, _, second) = (line.partition(";") for line in (one, other))
    beside = _words(command, more) | _words(command, rest)
    for line in (one, other):
        beside.pop(_name(command, line), None)
    words = [word for of_one in beside.values() for word in of_one]
    base, given = split(command, f"{' '.join(words)} ; {first} {second}")
    there = {*words, *given}
    cut = len(first.split())
    judged = tuple(
        there.issuperset(need.split()) and (need.strip() or "" not in beside)
        for need in (rest, more)
    )
    return Pair(tuple(base), (tuple(given[:cut]), tuple(given[cut:])), judged)


def _words(command: str, rest: str) -> dict[str, list[str]]:
    """Return words by the option that they belong to; those of none by ``""``."""
    found: dict[str, list[str]] = {}
    words = iter(rest.split())
    for word in words:
        if not word.startswith("-"):
            found.setdefault("", []).append(word)
            continue
        name = options(commands()[command])[word]
        found.setdefault(name, []).append(word)
        if word not in switches(commands()[command]):
            found[name].append(next(words))
    return found
