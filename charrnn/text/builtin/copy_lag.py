"""``copy-lag``: bits, each a noisy copy of the one some steps before."""

from collections.abc import Iterator
from dataclasses import dataclass

from charrnn.text.builtin._base import Builtin, option
from charrnn.text.builtin._random import Draws
from charrnn.text.entropy import entropy

_BLOCK = 1 << 16


@dataclass(frozen=True)
class CopyLag(Builtin):
    """Characters 0 and 1 without line breaks: x_t = x_{t-lag}, flipped with probability `flip`.

    The first `lag` characters are uniform and independent: they have ln 2 nats each, all others
    the binary entropy of `flip`, which is the entropy rate. Any `lag` characters in a row are
    uniform and independent, so a model that sees less than `lag` characters back stays at ln 2.
    """

    lag: int = option(10, 1, 1_000_000, "characters between a bit and its copy")
    flip: float = option(0.1, 0.0, 1.0, "probability that a copy is flipped")

    description = "bits, each a copy of the bit one lag earlier, flipped with a given probability"

    def stream(self, seed: int) -> Iterator[str]:
        """Yield blocks of whole periods, endlessly."""
        import numpy as np

        draws = Draws("copy-lag", "bits", seed)
        last = (draws.uniform(self.lag) < 0.5).astype(np.uint8)
        yield (last + ord("0")).tobytes().decode("ascii")
        rows = max(_BLOCK // self.lag, 1)
        while True:
            flips = draws.uniform(rows * self.lag) < self.flip
            bits = flips.astype(np.uint8).reshape(rows, self.lag)
            bits[0] ^= last
            np.bitwise_xor.accumulate(bits, axis=0, out=bits)
            last = bits[-1].copy()
            yield (bits + ord("0")).tobytes().decode("ascii")

    def entropy(self, seed: int) -> float:
        """Return the entropy rate in nats per character: that of one flip."""
        import numpy as np

        return entropy(np.array([self.flip, 1.0 - self.flip]))

    def alphabet_size(self) -> int:
        """Return 2."""
        return 2


BUILTIN = CopyLag
