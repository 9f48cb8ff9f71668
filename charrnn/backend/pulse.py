"""Whether the other ranks are still alive: each tells rank 0, and rank 0 tells each, all the time.

A launcher of MPI ends all ranks of a job if the process of one of them ends. It does not notice a
machine that was cut off from the network, or a process that was stopped; then the others would wait
for ever.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event, Thread
from typing import Any

EVERY, SILENCE = 1.0, 30.0


class Pulse:
    """Signs of life over a communicator of its own.

    Parameters
    ----------
    mpi
        The module ``mpi4py.MPI``.
    comm
        Only this object uses it.
    every, silence
        Seconds between two signs of life, and without one after which a rank is given up.
    """

    def __init__(self, mpi: Any, comm: Any, every: float = EVERY, silence: float = SILENCE) -> None:
        self._mpi, self._comm, self._every, self._silence = mpi, comm, every, silence
        self._others = range(1, comm.size) if comm.rank == 0 else range(1)
        self._heard: dict[int, float] = {}
        self._sent: list[Any] = []
        self._over = Event()
        self._thread: Thread | None = None

    def start(self, lost: Callable[[int], None]) -> None:
        """Call ``lost`` in a thread with a rank that is silent for too long.

        Without support for threads in MPI, nothing is done.
        """
        if self._mpi.Query_thread() < self._mpi.THREAD_MULTIPLE:
            return
        self._heard = dict.fromkeys(self._others, time.monotonic())
        self._thread = Thread(target=self._beat, args=(lost,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Give no more signs of life, and expect none."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def drain(self) -> None:
        """Receive what the others sent before they stopped."""
        self._receive()

    def _beat(self, lost: Callable[[int], None]) -> None:
        while not self._over.wait(self._every):
            self._sent = [request for request in self._sent if not request.Test()]
            if len(self._sent) < 10 * len(self._others):  # not ever more for one that is gone
                self._sent += [self._comm.Isend(b"", dest=other) for other in self._others]
            self._receive()
            for rank, when in self._heard.items():
                if time.monotonic() - when > self._silence:
                    lost(rank)
                    return

    def _receive(self) -> None:
        for rank in self._others:
            while self._comm.Iprobe(source=rank):
                self._comm.Recv(bytearray(0), source=rank)
                self._heard[rank] = time.monotonic()
