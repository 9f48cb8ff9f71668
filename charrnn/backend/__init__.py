"""The array switch: NumPy on the CPU, CuPy on a GPU.

Everything above computes with ``backend.xp`` and moves data with :meth:`Backend.put` and
:meth:`Backend.get`, the only two places where an array crosses between host and device.
Nothing outside this package names CuPy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from charrnn.errors import BackendError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from charrnn.backend.gpu.graphs import Graphs

Array = Any  # numpy.ndarray or cupy.ndarray; neither has a common typed base
Name = Literal["auto", "numpy", "cupy"]
NAMES: tuple[str, ...] = ("auto", "numpy", "cupy")
MATMULS: tuple[str, ...] = ("fp32", "tf32")


@dataclass(frozen=True)
class Backend:
    """One array module and how to reach it.

    Attributes
    ----------
    name
        ``"numpy"`` or ``"cupy"``.
    xp
        The array module.
    note
        Why ``auto`` took this one, where it fell back; empty otherwise.
    expected
        Whether that is no surprise: there is no CuPy.
    block
        Elements that one pass over the flat parameter vector should handle at a time: what fits
        the caches of a CPU, everything on a GPU.
    matmul
        How products of float32 matrices are computed, ``"fp32"`` or ``"tf32"``.
    graphs
        Where computations can be recorded; None on NumPy.
    """

    name: str
    xp: Any
    note: str = ""
    block: int = 1 << 15
    matmul: str = "fp32"
    expected: bool = False
    graphs: Graphs | None = None

    @property
    def synchronous(self) -> bool:
        """Whether looking at a number costs no waiting for other computations."""
        return self.name == "numpy"

    def put(self, host: np.ndarray, dtype: Any = None) -> Array:
        """Copy a host array to where this backend computes (no copy on NumPy if not needed)."""
        return self.xp.asarray(host, dtype=dtype)

    def get(self, array: Array) -> np.ndarray:
        """Return the array on the host: itself on NumPy, a copy from a GPU (which waits for it)."""
        if self.name == "numpy":
            return self.xp.asarray(array)  # type: ignore[no-any-return]
        host: np.ndarray = self.xp.asnumpy(array)
        return host


def numpy_backend(note: str = "", expected: bool = False) -> Backend:
    """Return the NumPy backend."""
    import numpy as np

    return Backend("numpy", np, note, expected=expected)


def select(name: str = "auto", matmul: str = "fp32") -> Backend:
    """Return the backend called ``name``; ``auto`` takes a working GPU, else NumPy.

    ``matmul`` is how it multiplies float32 matrices, ``fp32`` or (on a GPU alone) ``tf32``.

    Raises
    ------
    UsageError
        For an unknown name, or ``tf32`` where NumPy computes.
    BackendError
        If CuPy was asked for and cannot run; the message says what is missing.
    """
    for value, known, what in ((name, NAMES, "backend"), (matmul, MATMULS, "--matmul")):
        if value not in known:
            raise UsageError(f"unknown {what} {value!r}", f"choose one of {', '.join(known)}")
    found = numpy_backend() if name == "numpy" else _gpu_or_numpy(name, matmul)
    if found.matmul != matmul:
        why = f" ({found.note})" if found.note else ""
        raise UsageError(f"--matmul {matmul} is for a GPU, and NumPy computes here{why}")
    return found


def _gpu_or_numpy(name: str, matmul: str) -> Backend:
    from charrnn.backend.gpu.open import NotInstalledError, open_cupy

    try:
        cupy = open_cupy(matmul)
    except BackendError as problem:
        if name == "cupy":
            raise
        expected = isinstance(problem, NotInstalledError)
        return numpy_backend(problem.message, expected)
    from charrnn.backend.gpu.cublas import with_own_products
    from charrnn.backend.gpu.graphs import Graphs

    xp, why = with_own_products(cupy, matmul)
    return Backend("cupy", xp, block=1 << 62, matmul=matmul, graphs=Graphs(xp, why))


def array_module(array: Array) -> Any:
    """Return the module that ``array`` belongs to (CuPy arrays know theirs; all else is NumPy)."""
    import numpy as np

    if isinstance(array, np.ndarray):
        return np
    import sys

    return sys.modules[type(array).__module__.partition(".")[0]]


def limit_threads(count: int | None) -> None:
    """Set the number of BLAS threads of this process (``None`` leaves the library's choice).

    Raises
    ------
    UsageError
        If ``count`` is less than 1.
    """
    if count is None:
        return
    if count < 1:
        raise UsageError(f"--threads must be at least 1, not {count}")
    import numpy as np  # noqa: F401 - its BLAS must be loaded before it can be limited
    from threadpoolctl import threadpool_limits

    threadpool_limits(limits=count, user_api="blas")
