"""A computation recorded as a CUDA graph: one launch instead of thousands.

A replayed graph repeats the recorded launches on the same memory. So its inputs are first copied
into fixed arrays, and every array that it touches must live as long as the graph. Plain numbers
keep their recorded values: a value that changes between runs must be in an array.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any

from charrnn.backend.array import Array, Computation, Recorder
from charrnn.backend.gpu.cublas import Module
from charrnn.backend.gpu.open import reason


class Graphs(Recorder):
    """The CUDA graphs of one GPU.

    Parameters
    ----------
    xp
        The array module; its matrix products must be recordable.
    note
        Why nothing can be recorded; empty if it can.

    Attributes
    ----------
    note
        Why nothing is recorded (any more); empty while recording works.
    recording
        Whether something is being recorded now.
    """

    def __init__(self, xp: Any, note: str = "") -> None:
        self.xp, self.note = xp, note
        if not note:
            cuda = xp.cuda
            self.stream = cuda.Stream(non_blocking=True)
            self._pool = cuda.MemoryPool()
        self.recording = False

    def record(self, compute: Computation, held: Callable[[], Any]) -> Recorded:
        """Return ``compute`` in a form that is recorded at its second call."""
        return Recorded(self, compute, held)

    def pool(self) -> AbstractContextManager[None]:
        """Return a context that allocates from the graphs' own memory, which nothing else uses."""
        context: AbstractContextManager[None] = self.xp.cuda.using_allocator(self._pool.malloc)
        return context


class Recorded:
    """A computation on arrays that always have the same shapes and dtypes.

    The first call computes as usual and compiles the kernels; the second records.
    If recording fails, every call computes as usual, and :attr:`Graphs.note` says why.

    Parameters
    ----------
    graphs
        The recorder.
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
        for fixed, array in zip(self._inputs, arrays, strict=True):
            fixed[...] = array
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
                    with suppress(Exception):  # a failed computation also invalidates the capture
                        stream.end_capture()
                    raise
                finally:
                    graphs.recording = False
                self._graph = stream.end_capture()
        except Exception as problem:
            graphs.note = reason(problem)
            self._inputs, self._result = (), None
        self._held = self._held_by()
