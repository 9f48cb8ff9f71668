"""``recall``: random strings, each labelled with the letter at a given distance from its end."""

from __future__ import annotations

import string
from collections.abc import Iterator
from dataclasses import dataclass
from math import log

from charrnn.text.builtin._base import Builtin, option
from charrnn.text.builtin._random import Draws
from charrnn.text.entropy import entropy

_BLOCK = 256


@dataclass(frozen=True)
class Recall(Builtin):
    """Lines of a label, a tab and a string, for a classifier.

    The label is the letter `distance` characters before the last one, as a capital, or with
    probability `flip` another letter. A string has up to `more` characters before that letter; all
    of its letters are uniform and independent. So a classifier that knows the letter is right with
    probability 1 - `flip`, at the entropy of the flip in nats per text, and one whose state or
    gradient does not reach so far back does no better than a guess.
    """

    letters: int = option(4, 2, len(string.ascii_lowercase), "different letters, and labels")
    distance: int = option(10, 0, 10_000, "characters between the letter and the last one")
    more: int = option(5, 0, 10_000, "most characters before the letter")
    flip: float = option(0.0, 0.0, 1.0, "probability that the label is another letter")

    of_examples = True
    description = "random strings after a label, the letter at a given distance from the end"

    def stream(self, seed: int) -> Iterator[str]:
        """Yield blocks of whole lines, endlessly."""
        names = ("lengths", "letters", "flips", "labels")
        lengths, letters, flips, others = (Draws("recall", name, seed) for name in names)
        while True:
            lines = []
            flipped = (flips.uniform(_BLOCK) < self.flip).tolist()
            shifts = others.words(_BLOCK).tolist()
            for n, word in enumerate(lengths.words(_BLOCK).tolist()):
                size = self.distance + 1 + (word * (self.more + 1) >> 32)
                drawn = [w * self.letters >> 32 for w in letters.words(size).tolist()]
                right = drawn[-1 - self.distance]
                if flipped[n]:
                    right = (right + 1 + (shifts[n] * (self.letters - 1) >> 32)) % self.letters
                text = "".join(string.ascii_lowercase[letter] for letter in drawn)
                lines.append(f"{string.ascii_uppercase[right]}\t{text}\n")
            yield "".join(lines)

    def label_entropy(self) -> float:
        """Return the nats of a label whose text is known: the loss of the best classifier."""
        import numpy as np

        certain = entropy(np.array([self.flip, 1.0 - self.flip]))
        return certain + self.flip * log(self.letters - 1)

    def entropy(self, seed: int) -> float:
        """Return the entropy rate in nats per character, labels, tabs and newlines included."""
        mean = self.distance + 1 + self.more / 2
        line = log(self.more + 1) + mean * log(self.letters) + self.label_entropy()
        return line / (mean + 3)

    def alphabet_size(self) -> int:
        """Return the number of characters: letters, labels, the tab and the newline."""
        return 2 * self.letters + 2


BUILTIN = Recall
