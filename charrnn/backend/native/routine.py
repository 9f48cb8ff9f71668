"""Calls of compiled functions, described once and then repeated on the same arrays.

To describe a call costs more than to make it: an array tells its address in a microsecond, and in
several while the processor's caches are full of the numbers just computed.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from operator import is_
from typing import Any, Generic, TypeVar

from charrnn.backend.array import Array, Computation, Recorder
from charrnn.backend.native.core import Core, Recording

R = TypeVar("R")


class Routine(Generic[R]):
    """What a function computes by a core alone, on arrays that stay where they are."""

    def __init__(self) -> None:
        self._arrays: Sequence[Array] = ()
        self._key: Hashable = None
        self._recording: Recording | None = None
        self._result: R

    def run(
        self, core: Core, arrays: Sequence[Array], key: Hashable, compute: Callable[[], R]
    ) -> R:
        """Return the result of ``compute``, or of the last time after making its calls again.

        Parameters
        ----------
        arrays, key
            The arrays that may be others the next time, and whatever else its calls depend on: if
            one differs, ``compute`` is called.
        compute
            Changes arrays by :meth:`Core.call` and :meth:`Core.do` only. Its other arrays stay
            alive and where they are.
        """
        key = core.threads, len(arrays), key
        if self._recording and self._key == key and all(map(is_, arrays, self._arrays)):
            for call in self._recording.calls:
                core.do(call)
        else:
            self._recording = None  # if compute fails
            with core.recording() as recording:
                self._result = compute()
            self._recording, self._arrays, self._key = recording, tuple(arrays), key
        return self._result


class Passes(Recorder):
    """Records whole passes over windows by a core."""

    note = ""

    def __init__(self, core: Core) -> None:
        self._core = core

    def record(self, compute: Computation, held: Callable[[], Any]) -> Computation:
        """Return ``compute`` in a form that is recorded at its first call.

        Like that of a :class:`Routine`, it changes arrays by the core only. Its result is what one
        of the calls returned.
        """
        return Pass(self._core, compute, held)


class Pass:
    """A computation on arrays that always have the same shapes and dtypes.

    Parameters
    ----------
    compute, held
        See :meth:`charrnn.backend.array.Recorder.record`.
    """

    def __init__(self, core: Core, compute: Computation, held: Callable[[], Any]) -> None:
        self._core, self._compute, self._held_by = core, compute, held
        self._threads = 0
        self._inputs: Sequence[Array] = ()
        self._recording = Recording()
        self._place = 0
        self._held: Any = None

    def __call__(self, *arrays: Array) -> Array:
        """Return the result for ``arrays``."""
        if self._threads != self._core.threads:
            return self._record(arrays)
        for fixed, array in zip(self._inputs, arrays, strict=True):
            fixed[...] = array
        results = [call() for call in self._recording.calls]
        return results[self._place]

    def _record(self, arrays: Sequence[Array]) -> Array:
        self._threads = 0  # if compute fails
        self._inputs = [array.copy() for array in arrays]
        with self._core.recording() as recording:
            result = self._compute(*self._inputs)
        self._place = next(k for k, found in enumerate(recording.results) if found is result)
        self._recording, self._held = recording, self._held_by()
        self._threads = self._core.threads
        return result
