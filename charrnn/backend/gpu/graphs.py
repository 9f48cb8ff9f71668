"""A computation recorded as a CUDA graph: one launch in the place of thousands.

A graph runs again what was launched while it was recorded, on the same memory. So what it reads
anew each time is copied into arrays of its own first, and every array that it touches lives as
long as it does. Numbers are recorded as they were: what changes from one time to the next must be
in an array.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any

from charrnn.backend.array import Array
from charrnn.backend.gpu.cublas import Module
from charrnn.backend.gpu.open import reason

Computation = Callable[..., Array]

CHUNK = 8
"""Steps of a layer after which the next layer may go on."""


class Graphs:
    """The CUDA graphs of one GPU.

    Parameters
    ----------
    xp
        The array module; its products must be such that they can be recorded.
    note
        Why nothing can be recorded, if so.

    Attributes
    ----------
    note
        Why nothing is recorded (any more); empty while all is well.
    recording
        Whether something is being recorded now.
    streams
        Those of the lanes.
    """

    def __init__(self, xp: Any, note: str = "") -> None:
        self.xp, self.note = xp, note
        if not note:
            cuda = xp.cuda
            self.stream = cuda.Stream(non_blocking=True)
            self._pool = cuda.MemoryPool()
        self.recording = False
        self.streams: list[Any] = []

    def record(self, compute: Computation, held: Callable[[], Any]) -> Recorded:
        """Return ``compute`` such that it is recorded when it is called for the second time."""
        return Recorded(self, compute, held)

    def reserve(self, count: int) -> None:
        """Make so many lanes ready, which cannot be done in a recording."""
        while not self.note and len(self.streams) < count > 1:
            stream = self.xp.cuda.Stream(non_blocking=True)
            self.xp.products.prepare(stream.ptr)
            self.streams.append(stream)

    def pool(self) -> AbstractContextManager[None]:
        """Allocate in the graphs' own memory while this lasts: nobody else may be given it."""
        context: AbstractContextManager[None] = self.xp.cuda.using_allocator(self._pool.malloc)
        return context


class Recorded:
    """A computation on arrays, which always have the same shapes and types.

    The first call computes as usual, which also compiles what has to be; the second records. Where
    recording fails it computes as usual for ever, and :attr:`Graphs.note` tells why.

    Parameters
    ----------
    graphs
        Where to record.
    compute
        Takes arrays and returns one; reads and writes others in place.
    held
        Returns the arrays that it reads and writes, after it has run.
    """

    def __init__(self, graphs: Graphs, compute: Computation, held: Callable[[], Any]) -> None:
        self._graphs, self._compute, self._held_by = graphs, compute, held
        self._warm = False
        self._graph: Any = None
        self._inputs: Sequence[Array] = ()
        self._result: Any = None
        self._held: Any = None

    def __call__(self, *arrays: Array) -> Array:
        """Return the result for ``arrays``; it is not overwritten by the next call."""
        if self._graph is None and self._warm and not self._graphs.note:
            self._record(arrays)
        if self._graph is None:
            self._warm = True
            return self._compute(*arrays)
        for mine, given in zip(self._inputs, arrays, strict=True):
            mine[...] = given
        self._graph.launch()
        return self._result.copy()

    def _record(self, arrays: Sequence[Array]) -> None:
        graphs = self._graphs
        assert isinstance(graphs.xp, Module)
        self._inputs = [array.copy() for array in arrays]
        stream = graphs.stream
        try:
            graphs.xp.products.prepare(stream.ptr)
            with graphs.pool(), stream:
                stream.begin_capture()
                graphs.recording = True
                try:
                    self._result = self._compute(*self._inputs)
                except BaseException:
                    with suppress(Exception):  # what went wrong spoils the recording too
                        stream.end_capture()
                    raise
                finally:
                    graphs.recording = False
                self._graph = stream.end_capture()
        except Exception as problem:
            graphs.note = reason(problem)
            self._inputs, self._result = (), None
        self._held = self._held_by()


class InOrder:
    """Everything in the order in which it is asked for.

    Parameters
    ----------
    chunk
        Steps that a layer goes through at a time; 0 for all.
    """

    def __init__(self, chunk: int = 0) -> None:
        self._chunk = chunk

    def parts(self, steps: int) -> list[slice]:
        """Return the steps in the parts in which a layer goes through them."""
        some = self._chunk or steps
        return [slice(start, min(start + some, steps)) for start in range(0, steps, some)]

    def at(
        self, lane: int, part: slice | None = None, after: int | None = None
    ) -> AbstractContextManager[None]:
        """Return where to do a piece of work (see :class:`Lanes`)."""
        return nullcontext()


class Lanes(InOrder):
    """One stream a layer: a wavefront through layers and time, within a recording.

    What is done in a lane is done in its order. Lanes begin after all that was done before them,
    and what comes after them begins when all have ended.
    """

    def __init__(self, graphs: Graphs, count: int) -> None:
        super().__init__(CHUNK)
        self._cuda = graphs.xp.cuda
        self._streams = graphs.streams[:count]
        self._done: dict[tuple[int, int], Any] = {}

    def fork(self, origin: Any) -> None:
        """Begin."""
        begun = self._mark(origin)
        for stream in self._streams:
            stream.wait_event(begun)

    def join(self, origin: Any) -> None:
        """End."""
        for stream in self._streams:
            origin.wait_event(self._mark(stream))

    @contextmanager
    def at(self, lane: int, part: slice | None = None, after: int | None = None) -> Iterator[None]:
        """Work in a lane, on a part; not before the lane ``after``, if any, has done that part."""
        stream = self._streams[lane]
        if part is not None and after is not None and 0 <= after < len(self._streams):
            stream.wait_event(self._done[after, part.start])
        with stream:
            yield
        if part is not None:
            self._done[lane, part.start] = self._mark(stream)

    def _mark(self, stream: Any) -> Any:
        event = self._cuda.Event(disable_timing=True)
        stream.record(event)
        return event


@contextmanager
def lanes(graphs: Graphs | None, count: int) -> Iterator[InOrder]:
    """Give ``count`` layers lanes beside each other in a recording; else let them take turns.

    The turns are those of the lanes where a recording may follow: then all is compiled.
    """
    if graphs is None or graphs.note or not 1 < count <= len(graphs.streams):
        yield InOrder()
        return
    if not graphs.recording:
        yield InOrder(CHUNK)
        return
    found = Lanes(graphs, count)
    found.fork(graphs.stream)
    yield found
    found.join(graphs.stream)
