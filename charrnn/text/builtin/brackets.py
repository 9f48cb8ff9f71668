"""``brackets``: balanced brackets (Dyck words) of several kinds, one word per line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from charrnn.errors import UsageError, setting
from charrnn.text.builtin._base import Builtin, option
from charrnn.text.builtin._chain import Chain, Move
from charrnn.text.builtin._random import Draws

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_PAIRS = ("()", "[]", "{}", "<>")
_MAX_MEAN_LINE = 10_000


@dataclass(frozen=True)
class Brackets(Builtin):
    r"""Dyck words, one per line.

    Branching: a line begins with an opening bracket. Inside a word, at a depth from 1 to
    max_depth - 1, the next character opens with probability open_prob and else closes; at
    max_depth it closes. Back at depth 0 it opens with probability open_prob, and else the line
    ends with "\n". An opening bracket is of each kind with equal probability; a closing one is of
    the kind that it must match.
    """

    kinds: int = option(2, 1, len(_PAIRS), "kinds of brackets: the first of () [] {} <>")
    max_depth: int = option(8, 1, 500, "deepest nesting")
    open_prob: float = option(0.4, 0.01, 0.99, "probability of opening if both are possible")

    description = "balanced brackets (Dyck words) of several kinds, one word per line"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mean_line() > _MAX_MEAN_LINE:
            raise UsageError(
                f"{setting('open_prob')} {self.open_prob} with {setting('max_depth')} "
                f"{self.max_depth} makes lines of more than {_MAX_MEAN_LINE:,} characters on "
                "average",
                f"lower {setting('open_prob')} or {setting('max_depth')}",
            )

    def chain(self) -> Chain:
        """Return the chain over depths: state 0 begins a line, state 1 + d is at depth d.

        A move that closes writes ")": its kind is not a choice but follows from the brackets before
        it.
        """
        kinds, p, top = self.kinds, self.open_prob, 1 + self.max_depth

        def opening(state: int, probability: float) -> list[Move]:
            return [Move(pair[0], state + 1, probability / kinds) for pair in _PAIRS[:kinds]]

        states = [[move._replace(to=2) for move in opening(0, 1.0)]]
        states.append([*opening(1, p), Move("\n", 0, 1.0 - p)])
        states += [[*opening(s, p), Move(")", s - 1, 1.0 - p)] for s in range(2, top)]
        states.append([Move(")", top - 1, 1.0)])
        return Chain(states)

    def stream(self, seed: int) -> Iterator[str]:
        """Yield whole lines, endlessly."""
        for codes in self.chain().lines(Draws("brackets", "lines", seed)):
            _match(codes, self.kinds)
            yield codes.tobytes().decode("ascii")

    def entropy(self, seed: int) -> float:
        """Return the entropy rate in nats per character, newlines included."""
        return self.chain().entropy_rate()

    def alphabet_size(self) -> int:
        """Return the number of characters: two for each kind, and the newline."""
        return 2 * self.kinds + 1

    def mean_line(self) -> float:
        """Return the mean length of a line in characters, its newline included."""
        p, steps = self.open_prob, 1.0
        # The mean number of characters from a depth until first above it, from the bottom up;
        # beyond p = 1/2 it grows exponentially with max_depth.
        for _ in range(self.max_depth - 1):
            steps = (1.0 + p * steps) / (1.0 - p)
        return (1.0 + steps) / (1.0 - p) + 1.0


def _match(codes: NDArray[np.uint8], kinds: int) -> None:
    """Turn every ")" of whole lines into the bracket that closes its partner, in place."""
    import numpy as np

    closing = np.zeros(256, dtype=np.uint8)
    for pair in _PAIRS[:kinds]:
        closing[ord(pair[0])] = ord(pair[1])
    opens = closing[codes] != 0
    closes = codes == ord(")")
    depth = np.cumsum(opens.astype(np.int32) - closes.astype(np.int32))
    where = np.flatnonzero(opens | closes)
    level = depth[where] + closes[where]
    # On one level, opening and closing brackets alternate: a pair is two neighbours.
    pairs = where[np.argsort(level, kind="stable")].reshape(-1, 2)
    codes[pairs[:, 1]] = closing[codes[pairs[:, 0]]]


BUILTIN = Brackets
