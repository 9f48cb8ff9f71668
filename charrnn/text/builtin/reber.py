"""``reber``: strings of the embedded Reber grammar, one per line."""

from collections.abc import Iterator

from charrnn.text.builtin._base import Builtin
from charrnn.text.builtin._chain import Chain, Move
from charrnn.text.builtin._random import Draws

# The Reber grammar (Reber 1967): from each node, the letter of an arc and the node it leads to.
_GRAMMAR: tuple[tuple[tuple[str, int], ...], ...] = (
    (("B", 1),),
    (("T", 2), ("P", 3)),
    (("S", 2), ("X", 4)),
    (("T", 3), ("V", 5)),
    (("X", 3), ("S", 6)),
    (("P", 4), ("V", 6)),
    (("E", 7),),
)


def embedded_reber() -> Chain:
    """Return the chain that writes embedded Reber strings, each followed by a newline.

    B, then T or P, then a string of the Reber grammar, then the same T or P again, then E, newline
    (Hochreiter and Schmidhuber 1997, section 5.1). The arcs out of a node are equally likely. The
    chain contains the inner grammar twice, once for each first letter: a model has to remember
    that letter.
    """
    first, copies, size = 2, ("T", "P"), len(_GRAMMAR) + 1
    states: list[list[Move]] = [[Move("B", 1, 1.0)], []]
    end = first + len(copies) * size
    for number, letter in enumerate(copies):
        base = first + number * size
        states[1].append(Move(letter, base, 1.0 / len(copies)))
        for arcs in _GRAMMAR:
            states.append([Move(label, base + to, 1.0 / len(arcs)) for label, to in arcs])
        states.append([Move(letter, end, 1.0)])
    states += [[Move("E", end + 1, 1.0)], [Move("\n", 0, 1.0)]]
    return Chain(states)


class Reber(Builtin):
    """Strings of the embedded Reber grammar, one per line, all branches equally likely.

    The second character of a line, T or P, comes back as the last but one: the long-range link.
    """

    description = "embedded Reber grammar, equal branches, one string per line"

    def stream(self, seed: int) -> Iterator[str]:
        """Yield whole lines, endlessly."""
        for codes in embedded_reber().lines(Draws("reber", "lines", seed)):
            yield codes.tobytes().decode("ascii")

    def entropy(self, seed: int) -> float:
        """Return the entropy rate in nats per character, newlines included (7/13 bits)."""
        return embedded_reber().entropy_rate()

    def alphabet_size(self) -> int:
        """Return 8: B, E, P, S, T, V, X and the newline."""
        return len(embedded_reber().symbols())


BUILTIN = Reber
