"""Sources of unequal length, aligned where the decoder takes over.

Batches are padded at the end (:mod:`charrnn.model.sequences.padding`). The encoder of a pair hands
its final states to the decoder, so here the padding comes first, and every source ends at the last
step: there all final states are, in both directions, and there all their gradients enter. A source
starts from zero states at its own first step (:mod:`charrnn.model.resets`), so that what comes
before has no effect, and no gradient goes there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.backend import Array, Backend
from charrnn.model.resets import Resets
from charrnn.model.sequences.padding import Padding


class Sources:
    """The sources of a batch.

    Parameters
    ----------
    ids
        (S, N) symbols on the host, padded at the end.
    lengths
        (N,) on the host. An empty source, which fills a place of the batch that has no pair, is
        read as one symbol.

    Attributes
    ----------
    ids
        (S, N) on the backend, padded at the beginning.
    real
        (N, S) on the backend: which symbols are not padding.
    padding, resets
        For the encoder's window.
    """

    def __init__(
        self, ids: NDArray[Any], lengths: NDArray[Any], backend: Backend, dtype: Any
    ) -> None:
        (S, N), lengths = ids.shape, np.maximum(lengths, 1)
        shift = S - lengths
        t = np.arange(S)[:, None]
        self.padding = Padding(lengths, S, backend, first=True)
        aligned = ids[np.maximum(t - shift, 0), np.arange(N)]
        self.ids: Array = backend.put(np.where(self.padding.real, aligned, 0))
        self.real: Array = backend.put(np.ascontiguousarray(self.padding.real.T))
        self.resets = Resets.of(t == shift, backend, dtype)
