"""CPU threads: how many BLAS uses, and other work for them.

Small products gain little from several BLAS threads, which synchronise at every product and spin in
between. If each thread gets enough streams, it is faster to divide the streams among the threads:
two to four times as fast on a busy machine, where BLAS threads mostly wait for each other.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from charrnn.backend.array import Backend
from charrnn.errors import UsageError, setting

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

R = TypeVar("R")

MIN_STREAMS = 16
"""Streams that a thread needs; with fewer, its products are too narrow to be fast."""
MAX_MATRIX = 6 << 20
"""Bytes of the matrix that every thread reads at each step; the caches hold no larger one."""


def cores() -> int:
    """Return the number of cores of the processor that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def default_threads() -> int:
    """Return the threads of the compiled core if none are given: ``OMP_NUM_THREADS``, or all."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdecimal() and int(given) else cores()


def limit_threads(count: int | None) -> None:
    """Set the number of BLAS threads of this process; None leaves the library's choice.

    Raises
    ------
    UsageError
        If ``count`` is less than 1.
    """
    if count is None:
        return
    if count < 1:
        raise UsageError(f"{setting('threads')} must be at least 1, not {count}")
    import numpy as np  # noqa: F401 - its BLAS must be loaded before it can be limited
    from threadpoolctl import threadpool_limits

    threadpool_limits(limits=count, user_api="blas")


def set_threads(backend: Backend, count: int | None) -> None:
    """Set the threads that compute for ``backend`` on the CPU; None leaves the default.

    Raises
    ------
    UsageError
        If ``count`` is less than 1.
    """
    limit_threads(count)
    if backend.core is not None:
        backend.core.threads = count or default_threads()


class Threads:
    """The threads that BLAS uses, for other tasks.

    Parameters
    ----------
    backend
        On a GPU there are no such threads: :attr:`count` is 1.

    Attributes
    ----------
    compiled
        Whether the backend has a compiled core, with threads of its own.
    """

    def __init__(self, backend: Backend) -> None:
        self.compiled = backend.core is not None
        self._libraries: list[Any] = []
        if backend.name == "numpy":
            from threadpoolctl import ThreadpoolController

            blas = ThreadpoolController().select(user_api="blas")
            self._libraries = list(blas.lib_controllers)
        self._pool: ThreadPoolExecutor | None = None

    @property
    def count(self) -> int:
        """Number of threads that BLAS uses now; 1 if it cannot be changed."""
        counts = [library.num_threads or 1 for library in self._libraries]
        return min(counts, default=1)

    def shares(self, streams: int, matrix: int) -> int:
        """Return the best number of shares for ``streams`` streams: one for each thread, or 1.

        ``matrix`` is the size in bytes of the matrix that every step multiplies by.
        """
        count = self.count
        return count if streams >= MIN_STREAMS * count and matrix <= MAX_MATRIX else 1

    @contextmanager
    def serial_blas(self) -> Iterator[None]:
        """Make BLAS compute in the calling thread alone, for the duration of the context."""
        before = [library.num_threads for library in self._libraries]
        try:
            for library in self._libraries:
                library.set_num_threads(1)
            yield
        finally:
            for library, number in zip(self._libraries, before, strict=True):
                library.set_num_threads(number)

    def run(self, tasks: Sequence[Callable[[], R]]) -> list[R]:
        """Return the results of all tasks; each runs in its own thread, the first in this one."""
        if len(tasks) == 1:
            return [tasks[0]()]
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor  # slow to import

            self._pool = ThreadPoolExecutor(len(tasks) - 1, "charrnn")
        others = [self._pool.submit(task) for task in tasks[1:]]
        try:
            first = tasks[0]()
        finally:
            for other in others:
                other.exception()  # wait, so that none is still writing when this returns
        return [first, *(other.result() for other in others)]
