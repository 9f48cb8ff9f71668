"""The compiled functions on NumPy arrays.

A sequence (T, F, N) of the package is held with the features of a stream side by side: it is a view
of an array (T, N, F). Matrices are packed into panels before they are multiplied, once per update.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from ctypes import CDLL, byref, c_int, c_int64, c_void_p
from functools import partial
from math import prod
from threading import local
from types import ModuleType
from typing import Any, TypeVar

import numpy as np

from charrnn.backend.native import jobs

SMALL = 1 << 20
"""Multiplications and additions that are not worth another thread."""

LINE = 64
"""Bytes of a cache line."""

TOGETHER = 512
"""Columns of two factors of :meth:`Core.outer` whose panels, 1 KB a column, stay in a cache."""

Float = np.ndarray

R = TypeVar("R")


class Recording:
    """Calls in the order in which they were made, and what each returned."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], Any]] = []
        self.results: list[Any] = []

    def extend(self, other: Recording) -> None:
        """Add the calls of another recording."""
        self.calls += other.calls
        self.results += other.results


class _Active(local):
    """What a thread is recording; None if nothing."""

    recording: Recording | None = None


def address(array: np.ndarray | None) -> int | None:
    """Return where an array's elements are; None for no array."""
    return None if array is None else array.__array_interface__["data"][0]  # much less than .ctypes


def empty(*shape: int) -> np.ndarray:
    """Allocate float32 numbers that begin at a cache line: then no vector lies in two lines."""
    size = prod(shape)
    room = np.empty(size + LINE // 4, np.float32)
    skipped = -room.ctypes.data % LINE // 4
    return room[skipped : skipped + size].reshape(shape)


def sequence(T: int, F: int, N: int) -> np.ndarray:
    """Allocate a sequence (T, F, N), a view of an array (T, N, F)."""
    return empty(T, N, F).transpose(0, 2, 1)


def rows(array: np.ndarray) -> np.ndarray:
    """Return a sequence (T, F, N) as (T·N, F), contiguous: a view if it is held that way."""
    T, F, N = array.shape
    return np.ascontiguousarray(array.transpose(0, 2, 1)).reshape(T * N, F)


def rows_of(array: np.ndarray) -> np.ndarray:
    """Return the memory of a sequence (T, F, N) as (T·N, F), a view; F may be a part of the rows.

    Raises
    ------
    ValueError
        If the sequence is not held with the features of a stream side by side.
    """
    T, F, N = array.shape
    step, each, stream = array.strides
    if each != array.itemsize or step != N * stream:
        raise ValueError("the sequence is not held stream by stream")
    return array.transpose(0, 2, 1).reshape(T * N, F)


def _ld(matrix: Float) -> int:
    """Return the elements between the beginnings of two rows."""
    stride: int = matrix.strides[0] // matrix.itemsize
    return stride


class Core:
    """An open library of compiled functions.

    Parameters
    ----------
    library
        The library.
    name
        What it is compiled for, such as ``x86-64-v4``.
    threads
        Threads to divide the work among.

    Attributes
    ----------
    usable
        False if the processor or the operating system does not let this process run it: some
        features are not among those that NumPy knows.
    """

    def __init__(self, library: CDLL, name: str, threads: int = 1) -> None:
        self.library, self.name, self.threads = library, name, threads
        self.panel: int = library.charrnn_panel()
        library.charrnn_places.argtypes, library.charrnn_places.restype = [c_int64], c_int64
        self.usable = bool(library.charrnn_usable())
        self._functions: dict[str, Any] = {}
        self._active = _Active()

    def __repr__(self) -> str:
        return f"<compiled core {self.name}>"

    def module(self) -> ModuleType:
        """Return NumPy as an array module whose operations this core computes."""
        module = ModuleType("numpy")
        vars(module).update(vars(np))
        vars(module)["charrnn_core"] = self
        return module

    def call(self, name: str, job: Any, work: float, most: int | None = None) -> None:
        """Call a function of about ``work`` operations, in at most ``most`` threads."""
        function = self.function(name)
        threads = min(self.threads, 1 + int(work / SMALL), most or self.threads)
        if self._active.recording is None:
            function(threads, byref(job))
        else:  # the structure may be used for other calls later
            self.do(partial(function, threads, byref(type(job).from_buffer_copy(job))))

    def do(self, call: Callable[[], R]) -> R:
        """Make a call that changes arrays in place; a recording repeats it."""
        result, recording = call(), self._active.recording
        if recording is not None:
            recording.calls.append(call)
            recording.results.append(result)
        return result

    @contextmanager
    def recording(self) -> Iterator[Recording]:
        """Return a context that records what the core does for this thread.

        That is :meth:`call` and :meth:`do`. Repeated, the calls read and write the same memory.
        """
        outer, own = self._active.recording, Recording()
        self._active.recording = own
        try:
            yield own
        finally:
            self._active.recording = outer
            if outer is not None:
                outer.extend(own)

    def function(self, name: str) -> Any:
        """Return a function of the library; it takes the number of threads, and a structure."""
        function = self._functions.get(name)
        if function is None:
            function = self._functions[name] = self.library[f"charrnn_{name}"]
            function.argtypes, function.restype = [c_int, c_void_p], None
        return function

    def panels_size(self, columns: int, K: int) -> int:
        """Return the elements of the panels of ``columns`` columns of K elements each."""
        places: int = self.library.charrnn_places(K)
        return -(-columns // self.panel) * self.panel * places

    def panels(self, columns: int, K: int, groups: int = 1) -> np.ndarray:
        """Allocate the panels of as many matrices of ``columns`` columns of K elements."""
        return empty(groups * self.panels_size(columns, K))

    def pack(self, matrix: Float, groups: int, out: np.ndarray) -> np.ndarray:
        """Pack ``matrix`` (groups · M, K) to be multiplied with columns of K elements."""
        M, K = matrix.shape[0] // groups, matrix.shape[1]
        job = jobs.Forth(groups, M, K, address(matrix), address(out))
        self.call("forth", job, 4 * matrix.size)
        return out

    def pack_transposed(
        self, matrix: Float, out: np.ndarray, groups: int = 1, start: int = 0
    ) -> np.ndarray:
        """Pack the transpose of ``matrix`` (K, M).

        Its rows are in ``groups`` of equal size, packed in cyclic order from group ``start``.
        """
        (K, M), first = matrix.shape, address(matrix)
        job = jobs.Back(K, M, K // groups, first, start, address(out))
        self.call("back", job, 4 * matrix.size)
        return out

    def transpose(self, matrix: Float, bias: Float | None, out: Float) -> None:
        """Write the transpose of ``matrix`` (R, C), plus ``bias`` (R), to ``out`` (C, R)."""
        job = jobs.Transpose(*matrix.shape, address(matrix), address(bias), address(out))
        self.call("transpose", job, 4 * matrix.size)

    def product(self, x: Float, panels: Float, out: Float) -> None:
        """Write each row of ``x`` (rows, K) times the packed matrix to that of ``out`` (rows, M).

        Rows may be parts of longer rows.
        """
        (count, K), M = x.shape, out.shape[1]
        job = jobs.Rows(count, K, M, address(panels), address(x), _ld(x), address(out), _ld(out))
        self.call("rows", job, 2.0 * count * K * M)

    def outer(
        self,
        d: Float,
        factors: Sequence[tuple[Float, Float]],
        sums: Float | None = None,
        symbols: tuple[np.ndarray, Float] | None = None,
        add: bool = False,
    ) -> None:
        """Write Σ over rows of ``d`` (rows, F) ⊗ x (rows, M) to out (F, M), or add it.

        Parameters
        ----------
        d
            Packed once for all factors, if their panels fit in the second-level cache together.
            Its rows may be parts of longer rows; there is at least one.
        factors
            At most two pairs (x, out).
        sums
            Gets the sum of the rows of ``d``, (F,).
        symbols
            A further pair whose x is one-hot: ids (rows,), and out (F, V), which is not added to.
        add
            Whether to add to what is there.
        """
        columns = sum(x.shape[1] for x, _ in factors)
        if len(factors) > 1 and columns > TOGETHER:
            self.outer(d, factors[:1], sums, symbols, add)
            self.outer(d, factors[1:], None, None, add)
            return
        (count, F), numbers = d.shape, list[Any]()
        for x, out in factors:
            numbers += x.shape[1], address(x), _ld(x), address(out)
        job = jobs.Outer(count, F, address(d), _ld(d), add, address(sums), *numbers)
        if symbols is not None:
            ids, out = symbols
            job.V, job.ids, job.symbols = out.shape[1], address(ids), address(out)
        self.call("outer", job, 2.0 * count * F * (columns + 1))

    def sum(self, d: Float, out: Float) -> None:
        """Write the sum over the rows of ``d`` (rows, F) to ``out`` (F,)."""
        job = jobs.Sum(*d.shape, address(d), _ld(d), address(out))
        self.call("sum", job, float(d.size))

    def symbol_sums(self, d: Float, ids: np.ndarray, out: Float) -> None:
        """Write to row v of ``out`` (V, F) the sum of the rows of ``d`` (rows, F) with id v."""
        job = jobs.Symbols(*d.shape, len(out), address(d), _ld(d), address(ids), address(out))
        self.call("symbols", job, float(d.size + out.size))
