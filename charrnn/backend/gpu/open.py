"""Finding a GPU that really works: import, device, then one tiny product and kernel."""

from __future__ import annotations

from typing import Any

from charrnn.errors import BackendError, UsageError

_TF32_SINCE = 80


class NotInstalledError(BackendError):
    """CuPy is not there, as on most machines without a GPU."""


def import_cupy() -> Any:
    """Return CuPy.

    Raises
    ------
    NotInstalledError
        If it is not installed.
    BackendError
        If it lacks something of its own.
    """
    try:
        import cupy
    except Exception as problem:  # also what a broken or foreign CUDA installation raises
        remedy = "pip install 'charrnn[gpu]' (or 'charrnn[gpu12]' for older drivers)"
        if isinstance(problem, ModuleNotFoundError) and problem.name == "cupy":
            raise NotInstalledError("CuPy is not installed", remedy) from None
        raise BackendError(f"CuPy cannot be imported: {reason(problem)}", remedy) from None
    return cupy


def open_cupy(matmul: str = "fp32") -> Any:
    """Import CuPy and prove that it computes; return the module.

    ``matmul`` says how it multiplies matrices in single precision from now on: ``fp32``, or
    ``tf32``, which rounds the operands to 10 bits of mantissa.

    Raises
    ------
    BackendError
        Saying which of the three is missing: the package, the GPU or driver, or a result.
    UsageError
        If the GPU has no TF32.
    """
    cupy = import_cupy()
    if not cupy.is_available():
        raise BackendError(
            f"CuPy {cupy.__version__} is installed but finds no GPU{_why_unavailable(cupy)}",
            "check the NVIDIA driver with nvidia-smi, or use --backend numpy",
        )
    try:
        capable = int(cupy.cuda.Device().compute_capability) >= _TF32_SINCE
        if matmul == "fp32" or capable:
            _set_products(cupy, matmul)
        ones = cupy.ones((2, 2), dtype=cupy.float32)
        total = float(cupy.asnumpy((ones @ ones + ones).sum()))
    except Exception as problem:  # the driver, the runtime, NVRTC or cuBLAS; each has its own class
        raise BackendError(
            f"CuPy {cupy.__version__} finds a GPU but cannot compute on it: {reason(problem)}",
            "check that driver and CUDA libraries belong together, or use --backend numpy",
        ) from None
    if total != 12.0:
        raise BackendError(f"the GPU computed a wrong product ({total} instead of 12)")
    if matmul == "tf32" and not capable:
        raise UsageError("--matmul tf32 needs a GPU of compute capability 8.0", "leave it out")
    return cupy


def _set_products(cupy: Any, matmul: str) -> None:
    """Fix how products of float32 are computed, whatever CUPY_TF32 in the environment says."""
    types = cupy._core._routines_linalg
    chosen = types.COMPUTE_TYPE_TF32 if matmul == "tf32" else types.COMPUTE_TYPE_FP32
    cupy._core.set_compute_type(cupy.float32, chosen)


def reason(problem: BaseException) -> str:
    """Return the first line of what an exception says, or its class."""
    line = str(problem).strip().partition("\n")[0]
    return "".join(c for c in line if c.isprintable()) or type(problem).__name__


def _why_unavailable(cupy: Any) -> str:
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as problem:
        return f" ({reason(problem)})"
    return "" if count else " (no device is visible)"
