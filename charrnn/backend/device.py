"""Finding a GPU that really works: import, device, then one tiny product and kernel."""

from __future__ import annotations

from typing import Any

from charrnn.errors import BackendError


def open_cupy() -> Any:
    """Import CuPy and prove that it computes; return the module.

    Raises
    ------
    BackendError
        Saying which of the three is missing: the package, the GPU or driver, or a result.
    """
    try:
        import cupy
    except ImportError as problem:
        why = "" if problem.name == "cupy" else f" completely ({problem})"
        raise BackendError(
            f"CuPy is not installed{why}",
            "pip install 'charrnn[gpu]' (or 'charrnn[gpu12]' for older drivers)",
        ) from None
    if not cupy.is_available():
        raise BackendError(
            f"CuPy {cupy.__version__} is installed but finds no GPU{_why_unavailable(cupy)}",
            "check the NVIDIA driver with nvidia-smi, or use --backend numpy",
        )
    try:
        ones = cupy.ones((2, 2), dtype=cupy.float32)
        total = float(cupy.asnumpy((ones @ ones + ones).sum()))
    except Exception as problem:  # the driver, the runtime, NVRTC or cuBLAS; each has its own class
        first = str(problem).strip().partition("\n")[0]
        raise BackendError(
            f"CuPy {cupy.__version__} finds a GPU but cannot compute on it: {first}",
            "check that driver and CUDA libraries belong together, or use --backend numpy",
        ) from None
    if total != 12.0:
        raise BackendError(f"the GPU computed a wrong product ({total} instead of 12)")
    return cupy


def _why_unavailable(cupy: Any) -> str:
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as problem:
        return f" ({str(problem).strip().partition(chr(10))[0]})"
    return "" if count else " (no device is visible)"
