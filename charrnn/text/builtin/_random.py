"""Random numbers that are the same on every machine, platform and NumPy version.

Only the raw output of NumPy's Philox is used: its stream is guaranteed, while the distributions of
``numpy.random.Generator`` may change with NumPy's version.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Draws:
    """A stream of random numbers, independent for every (name, purpose, seed).

    A number depends on how many were drawn before it, not on how they were grouped into calls.
    """

    def __init__(self, name: str, purpose: str, seed: int) -> None:
        from numpy.random import Philox

        digest = hashlib.sha256(f"charrnn {name} {purpose} {seed}".encode()).digest()
        self._bits = Philox(key=int.from_bytes(digest[:16], "little"))

    def words(self, count: int) -> NDArray[np.uint64]:
        """Return (count,) integers, uniform over all values of 32 bits."""
        import numpy as np

        raw: NDArray[np.uint64] = self._bits.random_raw(count)
        return raw >> np.uint64(32)

    def uniform(self, count: int) -> NDArray[np.float64]:
        """Return (count,) multiples of 2^-53, uniform on [0, 1)."""
        import numpy as np

        raw: NDArray[np.uint64] = self._bits.random_raw(count)
        return (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def normal(self, count: int) -> NDArray[np.float64]:
        """Return (count,) standard normal numbers (Box and Muller 1958)."""
        import numpy as np

        pairs = self.uniform(2 * count).reshape(count, 2)
        radius = np.sqrt(-2.0 * np.log1p(-pairs[:, 0]))
        result: NDArray[np.float64] = radius * np.cos(2.0 * np.pi * pairs[:, 1])
        return result

    def log_gamma(self, shape: float, count: int) -> NDArray[np.float64]:
        """Return the logarithms of (count,) gamma variates of the given shape and scale 1.

        Marsaglia and Tsang (2000), "A simple method for generating gamma variables", at shape + 1,
        times U^(1/shape), which gives shape ``shape``. Logarithms, because a variate of small
        shape is often below the smallest float64.
        """
        import numpy as np

        d = shape + 2.0 / 3.0
        c = 1.0 / np.sqrt(9.0 * d)
        result = np.empty(count)
        pending = np.arange(count)
        while pending.size:
            x = self.normal(pending.size)
            log_u = np.log1p(-self.uniform(pending.size))
            root = np.maximum(1.0 + c * x, 0.0)
            with np.errstate(divide="ignore"):
                log_v = 3.0 * np.log(root)
            accepted = log_u < 0.5 * x * x + d - d * root**3 + d * log_v
            result[pending[accepted]] = np.log(d) + log_v[accepted]
            pending = pending[~accepted]
        return result + np.log1p(-self.uniform(count)) / shape
