"""CPU threads: how many BLAS uses, and other work for them.

Small products gain little from several BLAS threads, which synchronise at every product and spin in
between. If each thread gets enough streams, it is faster to divide the streams among the threads:
two to four times as fast on a busy machine, where BLAS threads mostly wait for each other.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from threading import Lock, get_ident
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
_MOST = 1 << 16
"""Threads; libraries of BLAS take their number as an int."""
CGROUP = Path("/sys/fs/cgroup")
"""Where Linux tells a container what it may use."""


def affinity() -> list[str]:
    """Return the names of the cores of the processor that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return [str(core) for core in sorted(os.sched_getaffinity(0))]
    return [str(core) for core in range(os.cpu_count() or 1)]


def quota() -> int | None:
    """Return how many cores the processor time of this container fills; None if it has no limit.

    A part of a core counts as one. A limit that cannot be read is none.
    """
    with suppress(OSError, ValueError):
        return _cores_of((CGROUP / "cpu.max").read_text("ascii").split())
    with suppress(OSError, ValueError):  # version 1 of cgroups
        names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        return _cores_of([(CGROUP / "cpu" / name).read_text("ascii").strip() for name in names])
    return None


def _cores_of(words: Sequence[str]) -> int | None:
    """Return the cores of a time and the period that it is for; None if there is no limit."""
    if len(words) != 2 or not all(word.isdecimal() and int(word) for word in words):
        return None  # "max", or -1
    return -(-int(words[0]) // int(words[1]))


def cores() -> int:
    """Return the number of cores of the processor that this process may use."""
    count = len(affinity())
    return min(count, quota() or count)


def threads_asked() -> int | None:
    """Return the number of threads in ``OMP_NUM_THREADS``, None if there is none.

    Of a list, which has a number for each level of nested teams, it is the first.
    """
    given = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(given) if given.isdecimal() and int(given) else None


def default_threads() -> int:
    """Return the threads of the compiled core if none are given: ``OMP_NUM_THREADS``, or all."""
    return threads_asked() or cores()


def limit_threads(count: int | None) -> None:
    """Set the number of BLAS threads of this process; None leaves the library's choice.

    But the library knows nothing of :func:`quota`, which is the most unless a variable asks for
    more.

    Raises
    ------
    UsageError
        If ``count`` is less than 1, or more than a machine can have.
    """
    if count is None:
        asked = any(name.endswith("_NUM_THREADS") for name in os.environ)
        if asked or len(affinity()) == cores():
            return
        count = cores()
    if count < 1:
        raise UsageError(f"{setting('threads')} must be at least 1, not {count}")
    if count > _MOST:
        raise UsageError(f"{setting('threads')} must be at most {_MOST:,}, not {count}")
    import numpy as np  # noqa: F401 - its BLAS must be loaded before it can be limited
    from threadpoolctl import threadpool_limits

    threadpool_limits(limits=count, user_api="blas")


def set_threads(backend: Backend, count: int | None) -> None:
    """Set the threads that compute for ``backend`` on the CPU; None leaves the default.

    Raises
    ------
    UsageError
        If ``count`` is less than 1, or more than a machine can have.
    """
    limit_threads(count)
    if backend.core is not None:
        backend.core.threads = count or default_threads()


class _Blas:
    """The number of threads that BLAS uses: one number for all threads of a process.

    So a thread that needs BLAS to be serial decides for the others too, and gives the number back
    only when no other one needs it.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._found: list[Any] | None = None
        self._own: list[int] = []
        """The numbers outside all contexts, while one is entered that needs another number."""
        self._serial = 0
        self._sharing: Counter[int] = Counter()

    @property
    def count(self) -> int:
        """Number of threads outside all contexts; 1 if it cannot be changed."""
        with self._lock:
            return min(self._own or self._numbers(), default=1)

    def need(self, serial: int = 0, sharing: int = 0, thread: int = 0) -> None:
        """Add to the contexts that need BLAS to be serial, or that share its threads.

        A thread may share them with itself.
        """
        with self._lock:
            self._serial += serial
            self._sharing[thread] += sharing
            if not self._sharing[thread]:
                del self._sharing[thread]
            limited = self._serial > 0 or len(self._sharing) > 1
            if limited and not self._own:
                self._own = self._numbers()
                self._set([1] * len(self._own))
            elif self._own and not limited:
                self._set(self._own)
                self._own = []

    def _numbers(self) -> list[int]:
        return [library.num_threads or 1 for library in self._libraries()]

    def _set(self, numbers: Sequence[int]) -> None:
        for library, number in zip(self._libraries(), numbers, strict=True):
            # threadpoolctl ignores all threads but the first that sets a number, to keep them from
            # setting different ones; here the lock does that
            free = getattr(library, "clear_controlling_thread", lambda force: None)
            free(force=True)
            library.set_num_threads(number)
            free(force=True)

    def _libraries(self) -> list[Any]:
        if self._found is None:
            from threadpoolctl import ThreadpoolController

            self._found = list(ThreadpoolController().select(user_api="blas").lib_controllers)
        return self._found


_blas = _Blas()


class _Context:
    """A context that tells BLAS what is needed; it can be entered many times, also in itself."""

    def __init__(self, serial: bool) -> None:
        self._serial = serial
        self._threads: list[int] = []

    def __enter__(self) -> None:
        if self._serial:
            _blas.need(serial=1)
        else:
            thread = get_ident()
            self._threads.append(thread)
            _blas.need(sharing=1, thread=thread)

    def __exit__(self, *raised: object) -> None:
        if self._serial:
            _blas.need(serial=-1)
        else:  # a generator may end in another thread than it began in
            _blas.need(sharing=-1, thread=self._threads.pop())


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
        self._on_host = backend.name == "numpy"
        self._pool: ThreadPoolExecutor | None = None

    @property
    def count(self) -> int:
        """Number of threads that BLAS may use, whatever contexts are entered now."""
        return _blas.count if self._on_host else 1

    def shares(self, streams: int, matrix: int) -> int:
        """Return the best number of shares for ``streams`` streams: one for each thread, or 1.

        ``matrix`` is the size in bytes of the matrix that every step multiplies by.
        """
        count = self.count
        return count if streams >= MIN_STREAMS * count and matrix <= MAX_MATRIX else 1

    def serial_blas(self) -> AbstractContextManager[None]:
        """Return a context in which BLAS computes in the calling thread alone."""
        return _Context(serial=True) if self._on_host else nullcontext()

    def shared_blas(self) -> AbstractContextManager[None]:
        """Return a context in which BLAS uses its threads unless another thread is in one.

        BLAS called from two threads at once, with threads of its own each time, is slower than one
        thread by orders of magnitude.
        """
        return _Context(serial=False) if self._on_host else nullcontext()

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
