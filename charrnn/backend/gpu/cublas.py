"""Products of matrices on a GPU, through a separate cuBLAS handle.

CuPy's own products raise an error while a stream is captured into a CUDA graph. These do not: the
library is the copy that CuPy has loaded, called by ctypes, with a handle and a workspace for each
stream. Arrays are row-major, and cuBLAS is column-major: C = A B is asked for as Cᵀ = Bᵀ Aᵀ, which
is the same memory.
"""

from __future__ import annotations

import ctypes
import sys
from ctypes import byref, c_double, c_float, c_int, c_longlong, c_size_t, c_void_p
from pathlib import Path
from typing import Any, NamedTuple

from charrnn.backend.array import Array
from charrnn.backend.gpu.open import reason
from charrnn.errors import BackendError

WORKSPACE = 32 << 20
"""Bytes that cuBLAS may use in each stream; the size recommended for the largest GPUs."""

_NAMES = {
    "linux": ("libcublas.so.13", "libcublas.so.12", "libcublas.so.11"),
    "win32": ("cublas64_13.dll", "cublas64_12.dll", "cublas64_11.dll"),
}
_REAL = {"float32": 0, "float64": 1}  # cudaDataType
_COMPUTE = {("float32", "fp32"): 68, ("float32", "tf32"): 77, ("float64", "fp32"): 70}
_COMPUTE["float64", "tf32"] = 70
_DEFAULT_ALGORITHM = -1
_STATUS = {
    1: "NOT_INITIALIZED",
    3: "ALLOC_FAILED",
    7: "INVALID_VALUE",
    8: "ARCH_MISMATCH",
    11: "MAPPING_ERROR",
    13: "EXECUTION_FAILED",
    14: "INTERNAL_ERROR",
    15: "NOT_SUPPORTED",
    16: "LICENSE_ERROR",
}

_SIZES = (c_int, c_int, c_int, c_int, c_int)  # two operations, then m, n, k
_CALLS: dict[str, tuple[Any, ...]] = {
    "cublasCreate_v2": (c_void_p,),
    "cublasSetStream_v2": (c_void_p, c_void_p),
    "cublasSetWorkspace_v2": (c_void_p, c_void_p, c_size_t),
    "cublasGemmEx": (
        *(c_void_p, *_SIZES, c_void_p),  # handle, sizes, alpha
        *(c_void_p, c_int, c_int) * 2,  # two operands, their types and leading dimensions
        *(c_void_p, c_void_p, c_int, c_int),  # beta, the result
        *(c_int, c_int),  # how to compute
    ),
    "cublasGemmStridedBatchedEx": (
        *(c_void_p, *_SIZES, c_void_p),
        *(c_void_p, c_int, c_int, c_longlong) * 2,
        *(c_void_p, c_void_p, c_int, c_int, c_longlong),
        *(c_int, c_int, c_int),  # how many, and how to compute
    ),
}


def load(cupy: Any) -> Any:
    """Return the cuBLAS library of CuPy.

    Raises
    ------
    BackendError
        If the library is not found.
    """
    for path in (*_in_use(), *_by_pathfinder(), *_NAMES.get(sys.platform, ())):
        try:
            return declared(ctypes.CDLL(path))
        except (OSError, AttributeError):  # missing, or too old
            continue
    raise BackendError("the cuBLAS library was not found")


def declared(library: Any) -> Any:
    """Declare the types of arguments and results."""
    for name, types in _CALLS.items():
        function = getattr(library, name)
        function.argtypes, function.restype = types, c_int
    return library


def _in_use() -> list[str]:
    """Return the paths of the copies that this process has loaded."""
    try:
        lines = Path("/proc/self/maps").read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
    paths = (line.split(maxsplit=5)[-1] for line in lines if "/libcublas.so" in line)
    return sorted(set(paths))


def _by_pathfinder() -> list[str]:
    try:
        from cuda import pathfinder  # type: ignore[import-not-found, unused-ignore]

        return [str(pathfinder.load_nvidia_dynamic_lib("cublas").abs_path)]
    except Exception:  # it has its own errors for each way not to find a library
        return []


class _Layout(NamedTuple):
    """A matrix in memory: transposed or not, its row stride, the distance to the next matrix."""

    transposed: int
    leading: int
    step: int


def _layout(array: Array) -> _Layout | None:
    """Return the layout of the matrices of a 2-D or 3-D array; None if cuBLAS cannot address it."""
    rows, columns = array.shape[-2:]
    size = array.dtype.itemsize
    down, along = (stride // size for stride in array.strides[-2:])
    step = array.strides[0] // size if array.ndim == 3 else 0
    if (along == 1 or columns == 1) and (down >= columns or rows == 1):
        return _Layout(0, down if rows > 1 else columns, step)
    if (down == 1 or rows == 1) and (along >= rows or columns == 1):
        return _Layout(1, along if columns > 1 else rows, step)
    return None


class MatrixProducts:
    """Matrix products in CuPy's current stream.

    Parameters
    ----------
    cupy
        The array module.
    library
        The result of :func:`load`.
    matmul
        How to multiply float32: ``fp32`` or ``tf32``.

    Raises
    ------
    BackendError
        If cuBLAS refuses, here or in a call; its status is named.
    """

    def __init__(self, cupy: Any, library: Any, matmul: str = "fp32") -> None:
        self._cupy, self._library, self._matmul = cupy, library, matmul
        self._handles: dict[int, tuple[c_void_p, Array]] = {}
        self._numbers = {
            "float32": (c_float(0.0), c_float(1.0)),
            "float64": (c_double(0.0), c_double(1.0)),
        }

    def prepare(self, stream: int) -> c_void_p:
        """Return the handle of a stream, created at the first call (never during a capture)."""
        if stream not in self._handles:
            handle = c_void_p()
            workspace = self._cupy.empty(WORKSPACE, self._cupy.uint8)
            self._call("cublasCreate_v2", byref(handle))
            self._call("cublasSetStream_v2", handle, stream)
            self._call("cublasSetWorkspace_v2", handle, workspace.data.ptr, WORKSPACE)
            self._handles[stream] = handle, workspace
        return self._handles[stream][0]

    def multiply(self, a: Array, b: Array, out: Array, *, add: bool = False) -> bool:
        """Write ``a @ b`` to ``out``, or add it; return False if cuBLAS cannot do it.

        Operands are 2-D or, for several products at once, 3-D; a 2-D operand is then used in all.
        """
        dims, kind = max(a.ndim, b.ndim), out.dtype.name
        shape = (*(a if a.ndim == 3 else b).shape[: dims - 2], a.shape[-2], b.shape[-1])
        if a.dtype != b.dtype or a.dtype != out.dtype or kind not in _REAL or out.shape != shape:
            return False
        if 0 in a.shape + b.shape or (a.ndim == b.ndim == 3 and a.shape[0] != b.shape[0]):
            return False
        left, right, result = _layout(a), _layout(b), _layout(out)
        if left is None or right is None or result is None or result.transposed:
            return False
        if a.shape[-1] != b.shape[-2]:
            return False
        handle = self.prepare(self._cupy.cuda.get_current_stream().ptr)
        real, compute = _REAL[kind], _COMPUTE[kind, self._matmul]
        zero, one = self._numbers[kind]
        beta = byref(one if add else zero)
        sizes = (right.transposed, left.transposed, b.shape[-1], a.shape[-2], a.shape[-1])
        if dims == 2:
            operands = ((b.data.ptr, real, right.leading), (a.data.ptr, real, left.leading))
            made = (out.data.ptr, real, result.leading, compute, _DEFAULT_ALGORITHM)
            name = "cublasGemmEx"
            self._call(name, handle, *sizes, byref(one), *operands[0], *operands[1], beta, *made)
            return True
        first = (b.data.ptr, real, right.leading, right.step)
        second = (a.data.ptr, real, left.leading, left.step)
        last = (out.data.ptr, real, result.leading, result.step, out.shape[0])
        arguments = (handle, *sizes, byref(one), *first, *second, beta, *last)
        self._call("cublasGemmStridedBatchedEx", *arguments, compute, _DEFAULT_ALGORITHM)
        return True

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._library, name)(*arguments)
        if status:
            meant = _STATUS.get(status, f"code {status}")
            raise BackendError(f"{name.partition('_')[0]} failed: CUBLAS_STATUS_{meant}")


class Module:
    """CuPy, but with :class:`MatrixProducts` for its matrix products.

    Attributes
    ----------
    cupy
        The module itself.
    products
        The products to use.
    """

    def __init__(self, cupy: Any, products: MatrixProducts) -> None:
        self.cupy, self.products = cupy, products

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cupy, name)

    def matmul(self, a: Array, b: Array, out: Array | None = None) -> Array:
        """Return ``a @ b``, written to ``out`` if it is given."""
        if a.ndim in (2, 3) and b.ndim in (2, 3):
            result = out
            if result is None:
                batch = (a if a.ndim == 3 else b).shape[:-2]
                result = self.cupy.empty((*batch, a.shape[-2], b.shape[-1]), a.dtype)
            if self.products.multiply(a, b, result):
                return result
        return self.cupy.matmul(a, b) if out is None else self.cupy.matmul(a, b, out=out)

    def add_product(self, a: Array, b: Array, out: Array) -> None:
        """Add ``a @ b`` to ``out``."""
        if not self.products.multiply(a, b, out, add=True):
            out[...] += self.matmul(a, b)


def with_own_products(cupy: Any, matmul: str = "fp32") -> tuple[Any, str]:
    """Return CuPy with products that can be recorded, else CuPy itself and the reason."""
    try:
        module = Module(cupy, MatrixProducts(cupy, load(cupy), matmul))
        ones = cupy.ones((3, 2), cupy.float32)
        product = module.matmul(ones.T, ones, out=cupy.zeros((2, 2), cupy.float32))
        module.add_product(ones.T, ones, product)
        right = cupy.asnumpy(product).tolist() == [[6.0, 6.0], [6.0, 6.0]]
    except Exception as problem:  # any failure: fall back to CuPy's own products
        return cupy, reason(problem)
    return (module, "") if right else (cupy, "cuBLAS computes a wrong product")
