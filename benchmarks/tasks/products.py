"""The matrix product that a machine is judged by."""

from __future__ import annotations

import numpy as np


class Sgemm:
    """A square product in float32 by NumPy's BLAS, 2·size³ operations."""

    def __init__(self, size: int = 2048, threads: int | None = None) -> None:
        if threads is not None:
            from charrnn.backend.threads import limit_threads

            limit_threads(threads)
        rng = np.random.default_rng(0)
        self.a, self.b = rng.standard_normal((2, size, size)).astype(np.float32)
        self.out = np.empty((size, size), np.float32)

    def run(self, count: int) -> None:
        """Multiply ``count`` times."""
        for _ in range(count):
            np.matmul(self.a, self.b, out=self.out)
