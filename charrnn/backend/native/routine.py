"""Calls of compiled functions, described once and then repeated on the same arrays.

To describe a call costs more than to make it: an array tells its address in a microsecond, and in
several while the processor's caches are full of the numbers just computed.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from operator import is_
from typing import Any, Generic, TypeVar

from charrnn.backend.array import Array
from charrnn.backend.native.core import Core

R = TypeVar("R")


class Tape(Core):
    """A core that keeps every call that it makes."""

    def __init__(self, core: Core) -> None:
        vars(self).update(vars(core))
        self._calls: list[Callable[[], None]] = []

    def call(self, name: str, job: Any, work: float, most: int | None = None) -> None:
        """Call a function, and keep the call."""
        call = self.prepared(name, job, work, most)
        self._calls.append(call)
        call()

    def repeat(self) -> None:
        """Make all calls again."""
        for call in self._calls:
            call()


class Routine(Generic[R]):
    """What a function computes by calls of a core alone, on arrays that stay where they are."""

    def __init__(self) -> None:
        self._arrays: Sequence[Array] = ()
        self._key: Hashable = None
        self._tape: Tape | None = None
        self._result: R

    def run(
        self, core: Core, arrays: Sequence[Array], key: Hashable, compute: Callable[[Core], R]
    ) -> R:
        """Return the result of ``compute``, or of the last time after making its calls again.

        Parameters
        ----------
        arrays, key
            The arrays that may be others the next time, and whatever else its calls depend on: if
            one differs, ``compute`` is called.
        compute
            Calls functions of the core that it is given, and changes no array in any other way. Its
            other arrays stay alive and where they are.
        """
        key = core.threads, len(arrays), key
        if self._tape and self._key == key and all(map(is_, arrays, self._arrays)):
            self._tape.repeat()
        else:
            self._tape = None  # if compute fails
            tape = Tape(core)
            self._result = compute(tape)
            self._tape, self._arrays, self._key = tape, tuple(arrays), key
        return self._result
