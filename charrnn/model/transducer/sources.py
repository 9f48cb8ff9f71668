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
    """The sources of a batch as the encoder reads them.

    Parameters
    ----------
    ids
        (S, N) symbols on the backend, padded at the beginning.
    padding
        Where they are. A place of the batch without a pair is read as a source of one symbol.

    Attributes
    ----------
    ids
        As above.
    lengths
        (N,), on the host.
    padding, resets
        For the encoder's window.
    real
        (N, S) on the backend: which symbols are not padding.
    """

    def __init__(self, ids: Array, padding: Padding, backend: Backend, dtype: Any) -> None:
        S, self.ids = len(ids), ids
        self.lengths = np.maximum(padding.lengths, 1)
        self.padding = Padding(self.lengths, S, backend, first=True)
        self.real: Array = backend.put(np.ascontiguousarray(self.padding.real.T))
        starts = np.arange(S)[:, None] == S - self.lengths
        self.resets = Resets.of(starts, backend, dtype)


def aligned(ids: NDArray[Any], lengths: NDArray[Any]) -> NDArray[Any]:
    """Return sources (S, N), padded at the end, with their padding at the beginning."""
    S, N = ids.shape
    before = np.arange(S)[:, None] - (S - np.asarray(lengths))
    moved = ids[np.maximum(before, 0), np.arange(N)]
    return np.where(before >= 0, moved, 0).astype(ids.dtype)
