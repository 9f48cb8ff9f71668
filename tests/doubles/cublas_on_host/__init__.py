"""The functions of cuBLAS that are called, on a host: ``cublas.cpp``, built by the C++ compiler.

A program for a GPU calls them as it calls the real ones, by ctypes, with pointers into NumPy's
memory. :class:`Library` obeys the double of CuPy: what is called while a stream is recorded runs
when the graph does.
"""

import atexit
import ctypes
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from doubles import cuda_on_host

from charrnn.backend.gpu.cublas import declared

_built = tempfile.TemporaryDirectory(prefix="charrnn-cublas-")
atexit.register(_built.cleanup)


@cache
def library():
    """Compile the functions and load them."""
    made = Path(_built.name) / "cublas.so"
    source = Path(__file__).parent / "cublas.cpp"
    command = [cuda_on_host.compiler(), "-O2", "-shared", "-fPIC", str(source), "-o", str(made)]
    subprocess.run(command, check=True)
    found = declared(ctypes.CDLL(str(made)))
    for name in ("stream_of", "room_of"):
        function = getattr(found, name)
        function.argtypes, function.restype = (ctypes.c_void_p,), ctypes.c_void_p
    return found


class Library:
    """The library as the double's process sees it.

    Attributes
    ----------
    calls
        Name and arguments of every call, in order.
    status
        What products return in the place of their own status, if not 0.
    """

    def __init__(self, owner):
        self._owner, self._real = owner, library()
        self.calls, self.status = [], 0

    def __getattr__(self, name):
        function = getattr(self._real, name)

        def call(*arguments):
            self.calls.append((name, arguments))
            if not name.startswith("cublasGemm"):
                assert self._owner.capture is None, f"{name} while a stream is recorded"
                return function(*arguments)
            if self.status:
                return self.status
            stream = self._real.stream_of(arguments[0]) or 0
            assert stream == self._owner.current.ptr, "the handle belongs to another stream"
            assert self._real.room_of(arguments[0]), "the handle has no workspace"
            statuses = []
            self._owner.perform(
                name, lambda: statuses.append(function(*arguments)), *_regions(name, arguments)
            )
            return statuses[0] if statuses else 0

        return call


def _regions(name, arguments):
    """Return what a product reads and writes, as lists of (first, last + 1) address."""
    many = "Batched" in name
    _, ta, tb, m, n, k = arguments[:6]
    size = 8 if arguments[8] else 4
    if many:
        a, _, lda, a_step, b, _, ldb, b_step, beta, c, _, ldc, c_step, count = arguments[7:21]
    else:
        a, _, lda, b, _, ldb, beta, c, _, ldc = arguments[7:17]
        a_step = b_step = c_step = 0
        count = 1

    def region(at, rows, columns, leading, step):
        return at, at + size * ((count - 1) * step + (columns - 1) * leading + rows)

    left = region(a, *((k, m) if ta else (m, k)), lda, a_step)
    right = region(b, *((n, k) if tb else (k, n)), ldb, b_step)
    result = region(c, m, n, ldc, c_step)
    added = ctypes.cast(beta, ctypes.POINTER((ctypes.c_float, ctypes.c_double)[size == 8]))[0]
    return [left, right] + ([result] if added else []), [result]
