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


class _Command:
    """The options of a command."""

    def __init__(self, name: str) -> None:
        self.name, tree = name, commands()[name]
        self._names, self._switches = options(tree), switches(tree)

    def option(self, line: str) -> str:
        """Return the first name of the option of a line of the table."""
        return self._names[split(self.name, line)[1][0]]

    def words(self, rest: str) -> dict[str, list[str]]:
        """Return words by the option that they belong to; those of none by ``""``."""
        found: dict[str, list[str]] = {}
        words = iter(rest.split())
        for word in words:
            if not word.startswith("-"):
                found.setdefault("", []).append(word)
                continue
            name = self._names[word]
            found.setdefault(name, []).append(word)
            if word not in self._switches:
                found[name].append(next(words))
        return found

    def pair(self, one: str, other: str) -> Pair:
        """Return the options of two lines and what they have beside them; texts are of ``one``.

        What a line has beside its option gives way to the option of the other line.
        """
        (rest, _, first), (more, _, second) = (line.partition(";") for line in (one, other))
        beside = self.words(more) | self.words(rest)
        for line in (one, other):
            beside.pop(self.option(line), None)
        words = [word for of_one in beside.values() for word in of_one]
        base, given = split(self.name, f"{' '.join(words)} ; {first} {second}")
        there = {*words, *given}
        cut = len(first.split())
        judged = tuple(
            there.issuperset(need.split()) and (need.strip() or "" not in beside)
            for need in (rest, more)
        )
        return Pair(tuple(base), (tuple(given[:cut]), tuple(given[cut:])), judged)


def pairs(name: str) -> list[Pair]:
    """Return all pairs of options of a command; two if their lines have different texts."""
    command, found = _Command(name), []
    for one, other in combinations(lines()[name], 2):
        if command.option(one) != command.option(other):
            found += [command.pair(one, other), command.pair(other, one)]
    return list({(pair.rest, frozenset(pair.options)): pair for pair in found}.values())
