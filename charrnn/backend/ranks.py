"""A team of ranks: processes that MPI started, on one machine or on many.

MPI (Message Passing Interface, version 3 or later, www.mpi-forum.org) transports the data. The sums
are taken here, because MPI leaves the order of its own open: member k adds the parts of its share
of the vector in the order of the ranks (a reduce-scatter), and then all shares go to all (an
all-gather). For P numbers on K ranks, each sends and receives 2 P (K - 1) / K of them.

Nothing here waits inside MPI, where Python handles no signals: requests are polled.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Callable
from importlib import import_module
from itertools import pairwise
from typing import Any

from charrnn.backend.array import Array
from charrnn.backend.launch import Launched
from charrnn.backend.pulse import Pulse
from charrnn.backend.team import Team
from charrnn.backend.threads import affinity, quota
from charrnn.errors import BackendError

SMALL = 1 << 12
"""Numbers that are sent to all members whole: dividing them takes longer."""
_PART = 1 << 28  # bytes of one message
_yield: Callable[[], object] = getattr(os, "sched_yield", lambda: time.sleep(0))
_BUSY, _SOON = 0.002, 1.0  # seconds of waiting before the polls are 0.1 ms apart, and then 1 ms


def open_ranks(started: Launched) -> Ranks:
    """Join the other ranks.

    Raises
    ------
    BackendError
        If mpi4py is missing, or belongs to another MPI than the launcher.
    """
    os.environ.setdefault("MPIR_CVAR_SUPPRESS_ABORT_MESSAGE", "1")  # read by MPICH
    try:
        mpi = import_module("mpi4py.MPI")
    except Exception as problem:  # also what a missing or foreign MPI library raises
        if isinstance(problem, ModuleNotFoundError) and problem.name == "mpi4py":
            message, remedy = "mpi4py is not installed", "pip install 'charrnn[mpi]'"
        else:
            message = f"mpi4py cannot be imported: {str(problem).partition(chr(10))[0]}"
            remedy = "install it for the MPI that mpirun belongs to"
        raise BackendError(f"started by MPI, but {message}", remedy) from None
    world = mpi.COMM_WORLD
    if world.size == 1:
        library = " ".join(mpi.Get_library_version().split()[:3])
        raise BackendError(
            f"MPI started {started.size or 'several'} ranks, but mpi4py, with {library}, sees one",
            "start with the mpirun of that library, or install mpi4py for the other",
        )
    return Ranks(world, Pulse(mpi, world.Dup()))


class Ranks(Team):
    """The ranks of an MPI communicator.

    Parameters
    ----------
    world
        The communicator, of mpi4py; a duplicate of it is used.
    pulse
        Watches the other ranks.

    Attributes
    ----------
    hosts
        The host name of each rank.
    """

    def __init__(self, world: Any, pulse: Pulse) -> None:
        self._comm, self._pulse = world.Dup(), pulse
        self.size, self.rank = world.size, world.rank
        self._rooms: dict[tuple[int, Any], Array] = {}
        self.hosts = [host.decode() for host in self.gather(socket.gethostname().encode())]
        self.beside, self.place = len(self.local), self.local.index(self.rank)

    @property
    def local(self) -> list[int]:
        """The ranks on this member's host."""
        return [k for k, host in enumerate(self.hosts) if host == self.hosts[self.rank]]

    def cores(self) -> int:
        """Return this member's share of the cores of its host, at least 1.

        A core that several ranks may use is divided among them; a launcher that binds each rank to
        cores of its own leaves nothing to divide. So is the time of a container with a quota.
        """
        mine = affinity()
        found = [set(each.decode().split()) for each in self.gather(" ".join(mine).encode())]
        share = sum(1 / sum(core in found[rank] for rank in self.local) for core in mine)
        if most := quota():
            share = min(share, most / self.beside)
        return max(1, int(share + 1e-9))

    def watch(self, lost: Callable[[int], None]) -> None:
        """Call ``lost``, in a thread, if another member is not heard from any more, with its rank.

        The members tell each other that they are alive, whatever else they are doing.
        """
        self._pulse.start(lost)

    def end(self) -> None:
        """Wait for all members, and stop watching them."""
        self.any(False)
        self._pulse.stop()
        self.any(False)
        self._pulse.drain()

    def abort(self, code: int) -> None:
        """End all members at once with an exit code, without waiting for any."""
        self._comm.Abort(code)

    def sum(self, flat: Array) -> None:
        """Replace ``flat`` by the sum over all members, added in the order of their ranks."""
        K, P = self.size, flat.size
        if P <= SMALL:
            parts = self._room(flat, K * P).reshape(K, P)
            self._wait(self._comm.Iallgather(flat, parts))
            self._add(parts, flat)
            return
        bounds = [P * k // K for k in range(K + 1)]
        counts = [last - first for first, last in pairwise(bounds)]
        own = counts[self.rank]
        parts = self._room(flat, K * own).reshape(K, own)
        sent = [flat, (counts, bounds[:-1])]
        received = [parts, ([own] * K, [own * k for k in range(K)])]
        self._wait(self._comm.Ialltoallv(sent, received))
        self._add(parts, parts[0])
        self._wait(self._comm.Iallgatherv([parts[0], own], [flat, (counts, bounds[:-1])]))

    def gather(self, data: bytes) -> list[bytes]:
        """Return what every member gave, by rank."""
        sizes = [int(size) for size in self.numbers(len(data))]
        parts = [bytearray(size) for size in sizes]
        for rank, part in enumerate(parts):
            if rank == self.rank:
                part[:] = data
            whole = memoryview(part)
            for start in range(0, len(part), _PART):
                self._wait(self._comm.Ibcast(whole[start : start + _PART], root=rank))
        return [bytes(part) for part in parts]

    def numbers(self, number: float) -> list[float]:
        """Return the number that every member gave, by rank."""
        mine, found = bytearray(struct.pack("=d", number)), bytearray(8 * self.size)
        self._wait(self._comm.Iallgather(mine, found))
        return list(struct.unpack(f"={self.size}d", found))

    def _room(self, like: Array, size: int) -> Array:
        """Return an array of ``size`` numbers, the same one for every call."""
        key = (size, like.dtype)
        if key not in self._rooms:
            self._rooms[key] = like.repeat(0) if not size else like[:1].repeat(size)
        return self._rooms[key]

    @staticmethod
    def _add(parts: Array, out: Array) -> None:
        """Write the sum of the rows of ``parts`` to ``out``, which may be the first of them."""
        out[...] = parts[0]
        for part in parts[1:]:
            out += part

    def _wait(self, request: Any) -> None:
        """Poll a request until it is complete: at first without a pause, and then ever more slowly.

        So the data moves on while it comes, and a member that waits for a slow one leaves it the
        processor.
        """
        begun = time.monotonic()
        while not request.Test():
            waited = time.monotonic() - begun
            if waited > _BUSY:
                time.sleep(0.0001 if waited < _SOON else 0.001)
            else:
                _yield()
