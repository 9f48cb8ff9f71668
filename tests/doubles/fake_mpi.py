"""A communicator of mpi4py over threads, for the ranks of one process; strict where MPI is silent.

A collective of the members must be the same one, with the same sizes, in the same order; a request
that is not waited for, or a buffer that is not contiguous, is an error here.
"""

import threading

import numpy as np


class Request:
    """Completes once all members have called; is polled a few times before it says so."""

    def __init__(self, complete):
        self._complete, self._polls = complete, 0

    def Test(self):
        self._polls += 1
        if self._polls < 3:
            return False
        if self._complete is not None:
            self._complete()
            self._complete = None
        return True


class World:
    """What the members of a communicator share."""

    def __init__(self, size, timeout=30):
        self.size = size
        self.barrier = threading.Barrier(size, timeout=timeout)
        self.given = [None] * size
        self.mail = {}
        self.lock = threading.Lock()
        self.duplicates = []

    def member(self, rank):
        return Comm(self, rank)


class Comm:
    """One member's communicator."""

    def __init__(self, world, rank):
        self._world, self.rank, self.size = world, rank, world.size
        self._open = None
        self._made = 0
        self.aborted = None

    def Dup(self):
        with self._world.lock:
            if len(self._world.duplicates) == self._made:
                self._world.duplicates.append(World(self.size))
            shared = self._world.duplicates[self._made]
        self._made += 1
        return shared.member(self.rank)

    def Iallgather(self, sent, received):
        sent, received = _bytes(sent), _bytes(received)

        def write(found):
            received[:] = np.concatenate(found)

        return self._collective(("allgather", len(sent)), sent.copy(), write)

    def Ialltoallv(self, sent, received):
        (flat, (counts, starts)), (room, (own, places)) = sent, received
        assert flat.flags.c_contiguous
        assert room.flags.c_contiguous
        assert set(own) == {counts[self.rank]}

        def write(found):
            for place, (part, begins, sizes) in zip(places, found, strict=True):
                mine = part[begins[self.rank] : begins[self.rank] + sizes[self.rank]]
                room.reshape(-1)[place : place + len(mine)] = mine

        return self._collective(("alltoallv", *counts), (flat.copy(), starts, counts), write)

    def Iallgatherv(self, sent, received):
        (part, count), (flat, (counts, starts)) = sent, received
        assert count == len(part) == counts[self.rank]

        def write(found):
            for start, each in zip(starts, found, strict=True):
                flat[start : start + len(each)] = each

        return self._collective(("allgatherv", *counts), part.copy(), write)

    def Ibcast(self, data, root):
        data = _bytes(data)

        def write(found):
            data[:] = found[root]

        return self._collective(("bcast", len(data), root), data.copy(), write)

    def Isend(self, data, dest):
        with self._world.lock:
            self._world.mail.setdefault((self.rank, dest), []).append(bytes(data))
        return Request(None)

    def Iprobe(self, source):
        with self._world.lock:
            return bool(self._world.mail.get((source, self.rank)))

    def Recv(self, data, source):
        with self._world.lock:
            data[:] = self._world.mail[source, self.rank].pop(0)

    def Abort(self, code):
        self.aborted = code

    def _collective(self, kind, given, write):
        assert self._open is None, "a request is still open"
        self._open = kind

        def complete():
            self._open = None
            world = self._world
            world.given[self.rank] = (kind, given)
            world.barrier.wait()
            found = list(world.given)
            world.barrier.wait()
            kinds = {name for name, _ in found}
            assert len(kinds) == 1, f"the members made different calls: {kinds}"
            write([each for _, each in found])

        return Request(complete)


def _bytes(buffer):
    """Return a buffer of any kind as an array of bytes that shares its memory."""
    if isinstance(buffer, np.ndarray):
        assert buffer.flags.c_contiguous
        return buffer.reshape(-1).view(np.uint8)
    return np.frombuffer(buffer, np.uint8)
