"""``markov``: a Markov source of given order with a random transition table."""

from __future__ import annotations

import string
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from charrnn.errors import UsageError, setting
from charrnn.text.builtin._base import Builtin, option
from charrnn.text.builtin._chain import stationary
from charrnn.text.builtin._random import Draws

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LETTERS = (string.ascii_lowercase + string.ascii_uppercase + string.digits).encode("ascii")
_MAX_TABLE = 1 << 20
_MAX_DENSE_STATES = 512
_MAX_ITERATIONS = 10_000
_BLOCK = 1 << 15
_ONE = 1 << 32


@dataclass(frozen=True)
class Markov(Builtin):
    """A stationary Markov source: the last `order` characters decide the odds of the next one.

    Each row of the table is drawn from a symmetric Dirichlet distribution and rounded to multiples
    of 2^-32, none below 2^-32, so that every character can follow every context. The seed
    determines the table and, with separate random numbers, the path through it. The first `order`
    characters are drawn from the stationary distribution. With a small concentration the path may
    stay among a few contexts for longer than any text; the entropy rate is then not that of the
    text.
    """

    order: int = option(2, 0, 16, "characters of context")
    alphabet: int = option(8, 2, len(_LETTERS), "number of characters")
    concentration: float = option(
        0.5, 0.001, 1e6, "parameter of the Dirichlet rows: small is predictable, large uniform"
    )

    has_random_entropy = True
    description = "Markov source with a random transition table, determined by the seed"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.alphabet ** (self.order + 1) > _MAX_TABLE:
            raise UsageError(
                f"{setting('alphabet')} {self.alphabet} with {setting('order')} {self.order} needs "
                f"a table of {self.alphabet ** (self.order + 1):,} probabilities",
                f"lower them until alphabet^(order+1) is at most {_MAX_TABLE:,}",
            )

    def weights(self, seed: int) -> NDArray[np.int64]:
        """Return the table, (contexts, alphabet) int64, whose rows sum to 2^32.

        Context c is the number whose digits in base `alphabet` are the characters, oldest first.
        """
        import numpy as np

        shape = (self.alphabet**self.order, self.alphabet)
        draws = Draws("markov", "table", seed)
        logs = draws.log_gamma(self.concentration, shape[0] * shape[1]).reshape(shape)
        rows = np.exp(logs - logs.max(axis=1, keepdims=True))
        rows /= rows.sum(axis=1, keepdims=True)
        table: NDArray[np.int64] = np.maximum(np.floor(rows * _ONE).astype(np.int64), 1)
        table[np.arange(shape[0]), table.argmax(axis=1)] += _ONE - table.sum(axis=1)
        return table

    def stationary(self, table: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the stationary distribution of the contexts, (contexts,).

        Raises
        ------
        UsageError
            If the table is large and mixes too slowly for the distribution to be found.
        """
        import numpy as np

        rows = table / _ONE
        states, alphabet = rows.shape
        if states <= _MAX_DENSE_STATES:
            matrix = np.zeros((states, states))
            context = np.arange(states)
            for symbol in range(alphabet):
                matrix[context, (context * alphabet + symbol) % states] += rows[:, symbol]
            return stationary(matrix)
        # From two starts: a single one seems to converge even if contexts hardly communicate.
        even = _iterate(rows, np.full(states, 1.0 / states))
        single = _iterate(rows, np.eye(1, states)[0])
        if even is None or single is None or np.abs(even - single).sum() > 1e-9:
            raise UsageError(
                f"the table of {setting('concentration')} {self.concentration} mixes too slowly to "
                "be solved",
                f"raise {setting('concentration')}, or lower {setting('order')} or "
                f"{setting('alphabet')} until alphabet^order is at most {_MAX_DENSE_STATES}",
            )
        return even

    def stream(self, seed: int) -> Iterator[str]:
        """Yield the path in blocks, endlessly."""
        import numpy as np

        table = self.weights(seed)
        states, alphabet = table.shape
        letters = bytes.maketrans(bytes(range(alphabet)), _LETTERS[:alphabet])
        draws = Draws("markov", "path", seed)
        sums = np.cumsum(self.stationary(table))
        state = min(int(np.searchsorted(sums, draws.uniform(1)[0], side="right")), states - 1)
        start = bytes(state // alphabet**i % alphabet for i in reversed(range(self.order)))
        yield start.translate(letters).decode("ascii")
        thresholds = np.cumsum(table, axis=1)[:, :-1].tolist()
        while True:
            block = bytearray()
            for word in draws.words(_BLOCK).tolist():
                symbol = bisect_right(thresholds[state], word)
                block.append(symbol)
                state = (state * alphabet + symbol) % states
            yield block.translate(letters).decode("ascii")

    def entropy(self, seed: int) -> float:
        """Return the entropy rate in nats per character, of the table for the seed."""
        import numpy as np

        table = self.weights(seed)
        rows = table / _ONE
        branch = -(rows * np.log(rows)).sum(axis=1)
        return float(self.stationary(table) @ branch)

    def alphabet_size(self) -> int:
        """Return the number of characters."""
        return self.alphabet


def _iterate(rows: NDArray[np.float64], start: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Iterate a distribution over contexts until it is stationary; None if it never is."""
    import numpy as np

    states, alphabet = rows.shape
    result = start
    for _ in range(_MAX_ITERATIONS):
        joint = (result[:, None] * rows).reshape(alphabet, states)
        following: NDArray[np.float64] = joint.sum(axis=0)
        following /= following.sum()
        change = float(np.abs(following - result).sum())
        result = following
        if change < 1e-14:
            return result
    return None


BUILTIN = Markov
