"""The array switch: NumPy on the CPU, CuPy on a GPU.

All other packages compute with ``backend.xp`` or, for float32 on a CPU, with the compiled core
(``backend.core``). They move data with :meth:`Backend.put` and :meth:`Backend.get`, the only two
places where an array crosses between host and device.
Nothing outside this package names CuPy.
"""

from charrnn.backend.array import Array, Backend, numpy_backend
from charrnn.backend.selection import MATMULS, NAMES, reopen, select

__all__ = ["MATMULS", "NAMES", "Array", "Backend", "numpy_backend", "reopen", "select"]
