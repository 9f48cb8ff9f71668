"""Opening CuPy: it is imported, a GPU is found, and a tiny computation on it is checked."""

from __future__ import annotations

from typing import Any

from charrnn.errors import BackendError, UsageError, setting

_TF32_SINCE = 80  # compute capability, times ten


class NotInstalledError(BackendError):
    """CuPy is not installed, as on most machines without a GPU."""


def import_cupy() -> Any:
    """Return CuPy.

    Raises
    ------
    NotInstalledError
        If it is not installed.
    BackendError
        If it is installed but cannot be imported.
    """
    try:
        import cupy
    except Exception as problem:  # also what a broken or foreign CUDA installation raises
        remedy = "pip install 'charrnn[gpu]' (or 'charrnn[gpu12]' for older drivers)"
        if isinstance(problem, ModuleNotFoundError) and problem.name == "cupy":
            raise NotInstalledError("CuPy is not installed", remedy) from None
        raise BackendError(f"CuPy cannot be imported: {reason(problem)}", remedy) from None
    return cupy


def open_cupy(matmul: str = "fp32", place: tuple[int, int] = (0, 1)) -> Any:
    """Import CuPy, check that it computes, and return the module.

    Of several processes on this machine, each takes a GPU of its own: ``place`` is the number of
    this process among them, and how many they are.

    From then on it multiplies float32 matrices as ``matmul`` says: in ``fp32``, or in ``tf32``,
    which rounds the operands to 10 bits of mantissa.

    Raises
    ------
    BackendError
        If the package is missing, there is no working GPU or driver, or the result is wrong; if
        there are fewer GPUs than processes.
    UsageError
        If the GPU has no TF32.
    """
    cupy = import_cupy()
    if not cupy.is_available():
        raise BackendError(
            f"CuPy {cupy.__version__} is installed but finds no GPU{_why_unavailable(cupy)}",
            f"check the NVIDIA driver with nvidia-smi, or choose {setting('backend')} numpy",
        )
    if place != (0, 1):
        _use_device(cupy, *place)
    try:
        capable = int(cupy.cuda.Device().compute_capability) >= _TF32_SINCE
        if matmul == "fp32" or capable:
            _set_products(cupy, matmul)
        ones = cupy.ones((2, 2), dtype=cupy.float32)
        total = float(cupy.asnumpy((ones @ ones + ones).sum()))
    except Exception as problem:  # the driver, the runtime, NVRTC or cuBLAS; each has its own class
        raise BackendError(
            f"CuPy {cupy.__version__} finds a GPU but cannot compute on it: {reason(problem)}",
            "check that the driver and the CUDA libraries belong together, "
            f"or choose {setting('backend')} numpy",
        ) from None
    if total != 12.0:
        raise BackendError(f"the GPU computed a wrong product ({total} instead of 12)")
    if matmul == "tf32" and not capable:
        needed = "a GPU of compute capability 8.0"
        raise UsageError(f"{setting('matmul')} tf32 needs {needed}", "leave it out")
    return cupy


def _use_device(cupy: Any, member: int, members: int) -> None:
    """Make the GPU of a machine's ``member``-th process of ``members`` the current one."""
    count = cupy.cuda.runtime.getDeviceCount()
    if members > count:
        raise BackendError(
            f"this machine has fewer GPUs ({count}) than ranks ({members})",
            f"start one rank for each GPU, or give {setting('backend')} numpy",
        )
    cupy.cuda.Device(member).use()


def _set_products(cupy: Any, matmul: str) -> None:
    """Set how products of float32 are computed, whatever CUPY_TF32 in the environment says."""
    types = cupy._core._routines_linalg
    chosen = types.COMPUTE_TYPE_TF32 if matmul == "tf32" else types.COMPUTE_TYPE_FP32
    cupy._core.set_compute_type(cupy.float32, chosen)


def reason(problem: BaseException) -> str:
    """Return the first line of an exception's message; if it is empty, the class's name."""
    line = str(problem).strip().partition("\n")[0]
    return "".join(c for c in line if c.isprintable()) or type(problem).__name__


def _why_unavailable(cupy: Any) -> str:
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as problem:
        return f" ({reason(problem)})"
    return "" if count else " (no device is visible)"
