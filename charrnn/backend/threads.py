"""Threads of the processor: how many BLAS uses, and when to use them otherwise.

Small products gain little from several BLAS threads, which meet at every one of them and spin in
between; beside other programs they wait for each other most of the time. Where each thread can get
enough streams of its own, one thread a share of the streams is faster, and twice to four times as
fast on a busy machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from charrnn.backend import Backend

R = TypeVar("R")

FEWEST = 16
"""Streams that a thread needs to be worth it: with fewer the products get too narrow."""
LARGEST = 6 << 20
"""Bytes of a matrix that each thread may read for itself at each step; beyond, caches suffer."""


class Threads:
    """The threads that BLAS may use, lent to something else.

    Parameters
    ----------
    backend
        Only NumPy's threads can be lent.
    """

    def __init__(self, backend: Backend) -> None:
        self._libraries: list[Any] = []
        if backend.name == "numpy":
            from threadpoolctl import ThreadpoolController

            found = ThreadpoolController().select(user_api="blas")
            self._libraries = list(found.lib_controllers)
        self._pool: ThreadPoolExecutor | None = None

    @property
    def count(self) -> int:
        """Threads that BLAS uses now; 1 where that cannot be changed."""
        counts = [library.num_threads or 1 for library in self._libraries]
        return min(counts, default=1)

    def shares(self, streams: int, matrix: int) -> int:
        """Return into how many shares so many streams should be divided: one a thread, or one.

        ``matrix`` is the size in bytes of what each step multiplies.
        """
        count = self.count
        return count if streams >= FEWEST * count and matrix <= LARGEST else 1

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Let BLAS compute in the calling thread alone while this lasts."""
        before = [library.num_threads for library in self._libraries]
        try:
            for library in self._libraries:
                library.set_num_threads(1)
            yield
        finally:
            for library, number in zip(self._libraries, before, strict=True):
                library.set_num_threads(number)

    def run(self, tasks: Sequence[Callable[[], R]]) -> list[R]:
        """Return what the tasks return, each run in a thread of its own, the first in this one."""
        if len(tasks) == 1:
            return [tasks[0]()]
        if self._pool is None:
            self._pool = ThreadPoolExecutor(len(tasks) - 1, "charrnn")
        others = [self._pool.submit(task) for task in tasks[1:]]
        try:
            first = tasks[0]()
        finally:
            for other in others:
                other.exception()  # none may still write when this returns
        return [first, *(other.result() for other in others)]
