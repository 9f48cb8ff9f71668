"""``reversal``: random strings, each with its reversal behind a tab."""

from __future__ import annotations

import string
from collections.abc import Iterator
from dataclasses import dataclass
from math import log

from charrnn.errors import UsageError, setting
from charrnn.text.builtin._base import Builtin, option
from charrnn.text.builtin._random import Draws

_LETTERS = string.ascii_lowercase
_BLOCK = 256


@dataclass(frozen=True)
class Reversal(Builtin):
    """Lines of a string, a tab, and the string backwards: pairs for a transducer.

    The length is uniform from `shortest` to `longest`, and each letter over the first `letters` of
    the alphabet. What follows the tab is certain, so a line has as many nats as its length and its
    letters.
    """

    letters: int = option(10, 2, len(_LETTERS), "different letters")
    shortest: int = option(1, 1, 1000, "length of the shortest string")
    longest: int = option(12, 1, 1000, "length of the longest string")

    of_examples = True
    description = "random strings, a tab, and the string backwards"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shortest > self.longest:
            raise UsageError(
                f"{setting('shortest')} {self.shortest} is above {setting('longest')} "
                f"{self.longest}",
                f"lower {setting('shortest')} or raise {setting('longest')}",
            )

    def stream(self, seed: int) -> Iterator[str]:
        """Yield blocks of whole lines, endlessly."""
        lengths, letters = (Draws("reversal", what, seed) for what in ("lengths", "letters"))
        span = self.longest - self.shortest + 1
        while True:
            lines = []
            for word in lengths.words(_BLOCK).tolist():
                drawn = letters.words(self.shortest + (word * span >> 32)).tolist()
                one = "".join(_LETTERS[letter * self.letters >> 32] for letter in drawn)
                lines.append(f"{one}\t{one[::-1]}\n")
            yield "".join(lines)

    def entropy(self, seed: int) -> float:
        """Return the entropy rate in nats per character, tabs and newlines included."""
        mean = (self.shortest + self.longest) / 2
        line = log(self.longest - self.shortest + 1) + mean * log(self.letters)
        return line / (2 * mean + 2)

    def alphabet_size(self) -> int:
        """Return the number of characters: the letters, the tab and the newline."""
        return self.letters + 2


BUILTIN = Reversal
