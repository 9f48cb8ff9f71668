"""Streams that start from a zero state inside a window: where one example ends and another begins.

The states before such a step are set to zero in place, also where they are the output of the step
before. So that step must have no target: a mask leaves it out, and no gradient comes from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.backend import Array, Backend


class Resets(NamedTuple):
    """The steps of a window before which some streams start from a zero state.

    Attributes
    ----------
    steps
        Ascending, each above 0.
    kept
        (steps, N), of the states' type: 0 where a stream starts from a zero state, else 1.
    """

    steps: tuple[int, ...]
    kept: Array

    @classmethod
    def of(cls, starts: NDArray[np.bool_], backend: Backend, dtype: Any) -> Resets:
        """Return the resets where ``starts`` (T, N), on the host, is true after the first step."""
        steps = np.flatnonzero(starts[1:].any(axis=1)) + 1
        return cls(tuple(steps.tolist()), backend.put(~starts[steps], dtype))

    def columns(self, xp: Any, part: slice) -> Resets:
        """Return the resets of some of the streams."""
        return Resets(self.steps, xp.ascontiguousarray(self.kept[:, part]))

    def runs(self, part: slice) -> Iterator[tuple[int, int, Array | None]]:
        """Yield the steps of a part in runs: start, stop, and what is kept before the start.

        That is None before a step of which no stream starts from a zero state.
        """
        inside = [k for k, step in enumerate(self.steps) if part.start <= step < part.stop]
        starts = [self.steps[k] for k in inside]
        kept: list[Array | None] = [self.kept[k] for k in inside]
        if not starts or starts[0] > part.start:
            starts.insert(0, part.start)
            kept.insert(0, None)
        yield from zip(starts, [*starts[1:], part.stop], kept, strict=True)
