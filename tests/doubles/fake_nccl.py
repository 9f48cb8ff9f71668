"""A strict double of CuPy's NCCL communicator, over threads.

On a GPU it would hang, or add the wrong memory, without a word; here it is an error: an address
that is not in the member's own device memory; members that make different calls, or in another
order; a stream that is not the current one; a call inside a recording; a communicator of another
identifier.
"""

import ctypes
import threading
import types

import numpy as np

_TYPES = {7: np.float32, 8: np.float64}


class Fabric:
    """What connects the GPUs: one for all members.

    Attributes
    ----------
    calls
        What each member has called, in order.
    """

    def __init__(self, size, timeout=30):
        self.size = size
        self.barrier = threading.Barrier(size, timeout=timeout)
        self.given = [None] * size
        self.identifiers = []
        self.calls = [[] for _ in range(size)]

    def module(self, cupy):
        """Return what CuPy has as ``cupy.cuda.nccl``, for the member with this device."""
        return types.SimpleNamespace(
            available=True,
            NCCL_FLOAT32=7,
            NCCL_FLOAT64=8,
            NCCL_SUM=0,
            get_unique_id=self._identifier,
            NcclCommunicator=lambda size, made, rank: Communicator(self, cupy, size, made, rank),
        )

    def _identifier(self):
        made = tuple(np.random.default_rng(len(self.identifiers)).integers(-128, 128, 128).tolist())
        self.identifiers.append(made)
        return made

    def exchange(self, rank, value):
        self.given[rank] = value
        self.barrier.wait()
        found = list(self.given)
        self.barrier.wait()
        return found


class Communicator:
    """One member's end."""

    def __init__(self, fabric, cupy, size, identifier, rank):
        assert (size, fabric.identifiers) == (fabric.size, [identifier])
        self._fabric, self._cupy, self._rank = fabric, cupy, rank

    def allReduce(self, source, target, count, kind, operation, stream):
        cupy, dtype = self._cupy, np.dtype(_TYPES[kind])
        assert operation == 0
        cupy.refuse_in_capture("NCCL is called")
        if stream != cupy.current.ptr:
            raise AssertionError("the sum does not wait for what computed its terms")
        own = [memory.span for memory in cupy.memories]
        for at in (source, target):
            if not any(low <= at and at + count * dtype.itemsize <= high for low, high in own):
                raise TypeError(f"address {at:#x} is not in this device's memory")
        call = ("allReduce", count, dtype.name)
        self._fabric.calls[self._rank].append(call)
        mine = _at(source, count, dtype)
        found = self._fabric.exchange(self._rank, (call, mine.copy()))
        if len({name for name, _ in found}) > 1:
            raise AssertionError(f"the members called {[name for name, _ in found]}")
        total = found[-1][1].copy()  # in an order of its own
        for _, part in found[:-1]:
            total += part
        _at(target, count, dtype)[:] = total


def _at(address, count, dtype):
    size = count * dtype.itemsize
    return np.frombuffer((ctypes.c_char * size).from_address(address), dtype)
