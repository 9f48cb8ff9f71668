"""Sequences of unequal length, side by side: time first, padded at the end.

Stream n holds its sequence at steps 0 … ℓ[n] - 1; what follows there is padding, whose content does
not matter. A layer that reads forwards meets the padding after everything that counts. For a layer
that reads backwards each sequence is reversed within its own length,

    x⃖[t] = x[ℓ[n] - 1 - t]   for t < ℓ[n],

so that its padding is at the end, too. (PyTorch's packed sequences do the same.) The steps of the
padding stay in place, and to reverse twice is to do nothing.

No gradient must come from the padding: then all that passes through it is zero.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.backend import Array, Backend


class Padding:
    """Where the sequences of a batch end.

    Parameters
    ----------
    lengths
        (N,), on the host: ℓ. 0 is an empty place of the batch, all padding.
    steps
        T: the steps of the batch, at least the largest length.
    backend
        Where the sequences are.
    first
        Whether the padding comes first, and all sequences end at the last step.

    Attributes
    ----------
    real
        (T, N), on the host: whether a step is not padding.
    """

    def __init__(
        self,
        lengths: NDArray[np.integer[Any]],
        steps: int,
        backend: Backend,
        first: bool = False,
    ) -> None:
        self.lengths = np.asarray(lengths, np.int64)
        self.steps, self.first = steps, first
        self._backend, self._xp = backend, backend.xp
        t = np.arange(steps)[:, None]
        self._start = steps - self.lengths if first else np.zeros_like(self.lengths)
        self._end = self._start + self.lengths
        self.real: NDArray[np.bool_] = (t >= self._start) & (t < self._end)

    @cached_property
    def _mirrored(self) -> Array:
        """Where each stream's steps are from its end, among those of all streams, (T, N)."""
        t, n = np.arange(self.steps)[:, None], np.arange(len(self.lengths))
        from_end = np.where(self.real, self._start + self._end - 1 - t, t)
        return self._backend.put(from_end * len(n) + n)

    @cached_property
    def _last(self) -> Array:
        """Where each stream's last step is, among those of all streams, (N,)."""
        n = np.arange(len(self.lengths))
        return self._backend.put(np.maximum(self._end - 1, 0) * len(n) + n)

    def of(self, streams: slice) -> Padding:
        """Return the padding of some of the streams."""
        return Padding(self.lengths[streams], self.steps, self._backend, self.first)

    def mask(self, dtype: Any) -> Array:
        """Return (T, N): 1 where a step counts, 0 in the padding."""
        return self._backend.put(self.real, dtype)

    def reversed(self, sequence: Array, out: Array) -> Array:
        """Write (T, N) or (T, F, N), each stream reversed within its length, to ``out``; return it.

        ``out`` must be another array.
        """
        if sequence.ndim == 2:
            out[...] = self._xp.take(sequence.reshape(-1), self._mirrored, axis=0)
        else:
            out[...] = self._rows(sequence, self._mirrored).transpose(0, 2, 1)
        return out

    def add_reversed(self, sequence: Array, out: Array) -> None:
        """Add (T, F, N), each stream reversed within its length, to ``out``."""
        turned = self._rows(sequence, self._mirrored).transpose(0, 2, 1)
        self._xp.add(out, turned, out=out)

    def last(self, sequence: Array) -> Array:
        """Return the last step of each stream of (T, F, N), as (F, N)."""
        return self._rows(sequence, self._last).T

    def add_to_last(self, sequence: Array, added: Array) -> None:
        """Add (F, N) to the last step of each stream of (T, F, N)."""
        steps = self._backend.put(np.maximum(self._end - 1, 0))
        streams = self._xp.arange(len(self.lengths), dtype=self._xp.int64)
        sequence.transpose(0, 2, 1)[steps, streams] += added.T

    def _rows(self, sequence: Array, places: Array) -> Array:
        """Return the features (F,) of the streams and steps at ``places``; these come first."""
        features = sequence.shape[1]
        rows = sequence.transpose(0, 2, 1).reshape(-1, features)
        return self._xp.take(rows, places, axis=0)
