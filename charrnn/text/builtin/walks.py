"""``walks``: walks around an alphabet, each labelled with the length of its steps."""

from __future__ import annotations

import string
from collections.abc import Iterator
from dataclasses import dataclass
from math import log

from charrnn.errors import UsageError, setting
from charrnn.text.builtin._base import Builtin, option
from charrnn.text.builtin._random import Draws
from charrnn.text.entropy import entropy

_BLOCK = 256


@dataclass(frozen=True)
class Walks(Builtin):
    """Lines of a label, a tab and a string, for a generator.

    The first letter is any. Each next one is as many places further around the alphabet as the
    label says (A: 1, B: 2, …), or with probability `flip` any other letter. After every letter the
    string ends with probability `end`. So the best model that knows the label has a loss that is
    computed, and one that does not know it has to guess the second letter.
    """

    letters: int = option(12, 2, len(string.ascii_lowercase), "different letters")
    labels: int = option(4, 2, len(string.ascii_uppercase), "lengths of steps, and labels")
    flip: float = option(0.05, 0.0, 1.0, "probability of any other letter")
    end: float = option(0.1, 0.001, 1.0, "probability that a string ends after a letter")

    of_examples = True
    description = "walks around an alphabet after a label, the length of their steps"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.labels > self.letters:
            raise UsageError(
                f"{setting('labels')} {self.labels} is above {setting('letters')} {self.letters}, "
                "so that two labels would have the same steps",
                "lower it",
            )

    def stream(self, seed: int) -> Iterator[str]:
        """Yield blocks of whole lines, endlessly."""
        names = ("labels", "starts", "ends", "flips", "others")
        labels, starts, ends, flips, others = (_each(Draws("walks", name, seed)) for name in names)
        while True:
            lines = []
            for _ in range(_BLOCK):
                label, place = int(next(labels) * self.labels), int(next(starts) * self.letters)
                text = string.ascii_lowercase[place]
                while next(ends) >= self.end:
                    place += label + 1
                    if next(flips) < self.flip:
                        place += 1 + int(next(others) * (self.letters - 1))
                    text += string.ascii_lowercase[place % self.letters]
                lines.append(f"{string.ascii_uppercase[label]}\t{text}\n")
            yield "".join(lines)

    def text_entropy(self) -> float:
        """Return the nats per symbol of a text whose label is known, its end included."""
        import numpy as np

        mean = 1.0 / self.end  # letters
        ends = entropy(np.array([self.end, 1.0 - self.end]))
        certain = entropy(np.array([self.flip, 1.0 - self.flip]))
        step = certain + self.flip * log(self.letters - 1)
        return (log(self.letters) + mean * ends + (mean - 1) * step) / (mean + 1)

    def entropy(self, seed: int) -> float:
        """Return the entropy rate in nats per character, labels, tabs and newlines included."""
        mean = 1.0 / self.end
        line = log(self.labels) + (mean + 1) * self.text_entropy()
        return line / (mean + 3)

    def alphabet_size(self) -> int:
        """Return the number of characters: letters, labels, the tab and the newline."""
        return self.letters + self.labels + 2


def _each(draws: Draws) -> Iterator[float]:
    """Yield uniform numbers one by one, endlessly."""
    while True:
        yield from draws.uniform(_BLOCK).tolist()


BUILTIN = Walks
