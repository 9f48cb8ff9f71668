"""Streams, events and graphs of the double of CuPy.

Outside a recording everything runs at once. In one nothing runs: what was called is kept, with the
memory that it reads and writes, and runs when the graph is launched. An error is here, as on a GPU
or where a GPU would compute nonsense without a word:

* in a recording: a transfer, CuPy's own product, a launch in a stream that does not belong to it;
* at its end: a stream that was not joined again;
* two accesses to the same memory, one of them to write, that no event has put in order;
* at a launch: memory that was given back in the meantime.
"""

import weakref

import numpy as np


def span(array):
    """Return the first and the last-plus-one address of an array."""
    at = array.__array_interface__["data"][0]
    if not array.size:
        return at, at
    ends = [(n - 1) * s for n, s in zip(array.shape, array.strides, strict=True)]
    low = at + sum(end for end in ends if end < 0)
    return low, at + sum(end for end in ends if end > 0) + array.itemsize


class Memory:
    """One allocation; it lives as long as any device array in it."""

    def __init__(self, array, pool):
        self.span, self.pool = span(array), pool


class Pool:
    """A memory pool; memory returned to it is not used elsewhere while it lives."""

    def malloc(self, size):
        raise NotImplementedError


class _Allocator:
    def __init__(self, owner, malloc):
        self._owner, self._pool = owner, malloc.__self__

    def __enter__(self):
        self._before, self._owner.pool = self._owner.pool, self._pool

    def __exit__(self, *error):
        self._owner.pool = self._before


class _Node:
    """Something to run, and what has to be there when it does."""

    def __init__(self, name, execute, memories):
        self.name, self._execute = name, execute
        self._needed = [
            (weakref.ref(memory), None if memory.pool is None else weakref.ref(memory.pool))
            for memory in memories
        ]

    def run(self):
        for memory, pool in self._needed:
            if memory() is None and (pool is None or pool() is None):
                raise AssertionError(f"{self.name} reads or writes memory that was given back")
        self._execute()


class Capture:
    """A recording: what is to run, and what each stream knows to be over."""

    def __init__(self, owner, origin):
        self._owner, self._origin = owner, origin.ptr
        self.nodes, self._accesses = [], []
        self.clocks = {origin.ptr: {}}

    def add(self, name, execute, reads, writes):
        stream = self._owner.current.ptr
        if stream not in self.clocks:
            raise RuntimeError(f"{name} runs in a stream that does not take part in the recording")
        clock = self.clocks[stream]
        clock[stream] = clock.get(stream, 0) + 1
        spans = [(s, False) for s in reads] + [(s, True) for s in writes]
        for (low, high), writing in spans:
            for other_low, other_high, wrote, where, time, other in self._accesses:
                if low >= other_high or other_low >= high or not (writing or wrote):
                    continue
                if clock.get(where, 0) < time:
                    raise AssertionError(f"{name} does not wait for {other}")
        for (low, high), writing in spans:
            self._accesses.append((low, high, writing, stream, clock[stream], name))
        memories = [
            memory
            for memory in self._owner.memories
            if any(low < memory.span[1] and memory.span[0] < high for (low, high), _ in spans)
        ]
        self.nodes.append(_Node(name, execute, memories))

    def end(self):
        known = self.clocks[self._origin]
        for stream, clock in self.clocks.items():
            if clock.get(stream, 0) > known.get(stream, 0):
                raise RuntimeError("cudaErrorStreamCaptureUnjoined")
        return Graph(self._owner, self.nodes)


class Graph:
    """The recording."""

    def __init__(self, owner, nodes):
        self._owner, self._nodes = owner, nodes

    def launch(self, stream=None):
        assert self._owner.capture is None
        self._owner.replays += 1
        for node in self._nodes:
            node.run()


class Event:
    """A place in a stream."""

    def __init__(self, owner, **options):
        assert set(options) <= {"block", "disable_timing", "interprocess"}
        self._owner, self.clock = owner, None

    def record(self, stream=None):
        (stream or self._owner.current).record(self)


class Stream:
    """A stream; number 0 is the one that is current from the beginning."""

    def __init__(self, owner, ptr):
        self._owner, self.ptr = owner, ptr

    def __enter__(self):
        self._owner.entered.append(self)
        return self.use()

    def __exit__(self, *error):
        self._owner.entered.pop()
        self._owner.entered[-1].use()

    def use(self):
        self._owner.current = self
        return self

    def begin_capture(self, mode=None):
        if self.ptr == 0:
            raise RuntimeError("cannot capture on the default (legacy) stream")
        assert self._owner.capture is None
        self._owner.capture = Capture(self._owner, self)

    def end_capture(self):
        capture, self._owner.capture = self._owner.capture, None
        return capture.end()

    def is_capturing(self):
        return self._owner.capture is not None and self.ptr in self._owner.capture.clocks

    def record(self, event):
        capture = self._owner.capture
        if capture is not None:
            event.clock = dict(capture.clocks[self.ptr])
        return event

    def wait_event(self, event):
        capture = self._owner.capture
        if capture is not None:
            mine = capture.clocks.setdefault(self.ptr, {})
            for stream, time in event.clock.items():
                mine[stream] = max(mine.get(stream, 0), time)

    def synchronize(self):
        if self._owner.capture is not None:
            raise RuntimeError("cudaErrorStreamCaptureUnsupported")


class Streams:
    """The part of the double's module that knows of streams.

    Attributes
    ----------
    capture
        The recording that is under way, or None.
    current
        The stream that is used.
    entered
        The streams whose contexts are open, outermost first.
    memories
        All memory of the device.
    pool
        Where memory is taken from; None is the pool of all.
    replays
        How often a graph was launched.
    """

    def begin_streams(self):
        self.capture, self.pool, self.replays = None, None, 0
        self.memories = weakref.WeakSet()
        self.current, self._made = Stream(self, 0), 0
        self.entered = [self.current]

    def streams_of_cuda(self):
        """Return what belongs into the module ``cuda``."""
        return {
            "Stream": self._new_stream,
            "Event": lambda **options: Event(self, **options),
            "MemoryPool": Pool,
            "using_allocator": lambda malloc: _Allocator(self, malloc),
            "get_current_stream": lambda: self.current,
        }

    def _new_stream(self, null=False, non_blocking=False):
        self._made += 1
        return Stream(self, 0 if null else self._made)

    def allocate(self, array):
        """Return the memory of a new array."""
        memory = Memory(array, self.pool)
        self.memories.add(memory)
        return memory

    def perform(self, name, execute, reads, writes):
        """Run something, or keep it for later; spans say what it reads and writes."""
        if self.capture is None:
            execute()
        else:
            self.capture.add(name, execute, reads, writes)

    def refuse_in_capture(self, what):
        if self.capture is not None:
            raise RuntimeError(f"cudaErrorStreamCaptureUnsupported: {what}")


def spoil(array):
    """Make an array what it is before the graph has run: nonsense."""
    array[...] = np.nan if array.dtype.kind == "f" else 0
