"""Finite Markov chains that write one character per move: their entropy, and random lines.

No two moves out of a state write the same character, so the text determines the state. The
entropy rate of the text is therefore that of the chain: the mean of the entropy of the next move
over the stationary distribution (Shannon 1948).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from charrnn.text.entropy import entropy

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from charrnn.text.builtin._random import Draws

_BLOCK_CHARS = 1 << 17
_BLOCK_LINES = 1 << 13
_FEW_LINES = 32
_FINISH_DRAWS = 64


class Move(NamedTuple):
    """A move out of a state: the character it writes, the next state, its probability."""

    symbol: str
    to: int
    probability: float


@dataclass(frozen=True)
class Chain:
    r"""An irreducible Markov chain; state 0 begins a line, and the move that writes "\n" ends it.

    Raises
    ------
    ValueError
        If two moves of a state write the same character, or their probabilities do not sum to 1.
    """

    states: Sequence[Sequence[Move]]

    def __post_init__(self) -> None:
        for number, moves in enumerate(self.states):
            if len({move.symbol for move in moves}) != len(moves):
                raise ValueError(f"state {number} writes one character on two moves")
            if abs(sum(move.probability for move in moves) - 1.0) > 1e-12:
                raise ValueError(f"the moves of state {number} do not sum to 1")

    def symbols(self) -> set[str]:
        """Return the characters that the chain writes."""
        return {move.symbol for moves in self.states for move in moves}

    def stationary(self) -> NDArray[np.float64]:
        """Return the stationary distribution, (states,)."""
        import numpy as np

        matrix = np.zeros((len(self.states), len(self.states)))
        for number, moves in enumerate(self.states):
            for move in moves:
                matrix[number, move.to] += move.probability
        return stationary(matrix)

    def entropy_rate(self) -> float:
        """Return the entropy rate in nats per character."""
        import numpy as np

        branch = [entropy(np.array([m.probability for m in moves])) for moves in self.states]
        return float(self.stationary() @ np.array(branch))

    def mean_line(self) -> float:
        """Return the mean length of a line in characters, its newline included."""
        ends = [sum(m.probability for m in moves if m.symbol == "\n") for moves in self.states]
        return 1.0 / float(self.stationary() @ ends)

    def lines(self, draws: Draws) -> Iterator[NDArray[np.uint8]]:
        """Yield the ASCII codes of whole lines, block after block, endlessly.

        The lines of a block are drawn in parallel, one character of each at a time. The last few,
        which may be much longer than the others, are drawn one after the other.
        """
        import numpy as np

        thresholds, symbols, successors = self._tables()
        rows: list[list[float]] = thresholds.tolist()
        block = int(min(max(_BLOCK_CHARS / self.mean_line(), 1), _BLOCK_LINES))
        while True:
            line: NDArray[np.int32] = np.arange(block, dtype=np.int32)
            state: NDArray[np.intp] = np.zeros(block, dtype=np.intp)
            written: list[NDArray[np.uint8]] = []
            owners: list[NDArray[np.int32]] = []
            while line.size > _FEW_LINES:
                u = draws.uniform(line.size)
                choice = (u[:, None] >= thresholds[state]).sum(axis=1)
                symbol = symbols[state, choice]
                written.append(symbol)
                owners.append(line)
                going = symbol != ord("\n")
                state = successors[state, choice][going]
                line = line[going]
            for owner, begin in zip(line.tolist(), state.tolist(), strict=True):
                written.append(self._finish(begin, rows, draws))
                owners.append(np.full(len(written[-1]), owner, dtype=np.int32))
            order = np.argsort(np.concatenate(owners), kind="stable")
            yield np.concatenate(written)[order]

    def _finish(self, state: int, rows: list[list[float]], draws: Draws) -> NDArray[np.uint8]:
        """Return the ASCII codes from a state to the end of its line."""
        import numpy as np

        written = bytearray()
        while True:
            for u in draws.uniform(_FINISH_DRAWS).tolist():
                move = self.states[state][bisect_right(rows[state], u)]
                written.append(ord(move.symbol))
                state = move.to
                if move.symbol == "\n":
                    return np.frombuffer(bytes(written), np.uint8)

    def _tables(self) -> tuple[NDArray[np.float64], NDArray[np.uint8], NDArray[np.intp]]:
        """Return (states, moves) tables: cumulative probabilities, codes, next states."""
        import numpy as np

        shape = (len(self.states), max(len(moves) for moves in self.states))
        thresholds = np.full((shape[0], shape[1] - 1), 2.0)
        symbols = np.zeros(shape, dtype=np.uint8)
        successors = np.zeros(shape, dtype=np.intp)
        for number, moves in enumerate(self.states):
            sums = np.cumsum([move.probability for move in moves])
            # The last move takes the rest, so that rounding leaves no gap below 1.
            thresholds[number, : len(moves) - 1] = sums[:-1]
            symbols[number, : len(moves)] = [ord(move.symbol) for move in moves]
            successors[number, : len(moves)] = [move.to for move in moves]
        return thresholds, symbols, successors


def stationary(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the stationary distribution of an irreducible transition matrix.

    Grassmann, Taksar and Heyman (1985): elimination without subtractions, so that every entry is
    accurate to rounding, however slowly the chain mixes.

    Parameters
    ----------
    matrix
        (states, states) float64; row i holds the probabilities of moving from i.
    """
    import numpy as np

    work = matrix.copy()
    count = len(work)
    for k in range(count - 1, 0, -1):
        work[:k, k] /= work[k, :k].sum()
        work[:k, :k] += np.outer(work[:k, k], work[k, :k])
    result: NDArray[np.float64] = np.zeros(count)
    result[0] = 1.0
    for k in range(1, count):
        result[k] = result[:k] @ work[:k, k]
    result /= result.sum()
    return result
