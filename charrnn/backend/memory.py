"""Memory: how much there is, and what to say when it is full."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

from charrnn.display import size
from charrnn.errors import BackendError, CharRNNError

_SIGNS = ("cudaErrorMemoryAllocation", "CUDA_ERROR_OUT_OF_MEMORY", "CUBLAS_STATUS_ALLOC_FAILED")
LOWER = "lower --batch, --seq-len, --hidden or --layers"


class Memory(NamedTuple):
    """Bytes in all and free; None where the system does not tell."""

    total: int | None
    free: int | None


def host() -> Memory:
    """Return the memory of the machine."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return Memory(None, None)
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        found = dict(line.split(":", 1) for line in lines if ":" in line)
        return Memory(total, 1024 * int(found["MemAvailable"].split()[0]))
    except (OSError, ValueError, KeyError, IndexError):
        return Memory(total, None)


def gpu(cupy: Any) -> Memory:
    """Return the memory of the current GPU; what CuPy keeps for later counts as free."""
    try:
        free, total = cupy.cuda.Device().mem_info
        kept = cupy.get_default_memory_pool().free_bytes()
    except Exception:  # after a failure the driver may answer nothing any more
        return Memory(None, None)
    return Memory(int(total), int(free) + int(kept))


def explain(problem: BaseException, need: int | None = None) -> CharRNNError | None:
    """Return what to tell the user if memory is what was lacking, else None.

    Parameters
    ----------
    problem
        What was raised: by NumPy, CuPy, the CUDA runtime or cuBLAS.
    need
        Bytes that the work takes, if they are known.
    """
    on_gpu = type(problem).__module__.partition(".")[0] in ("cupy", "cupy_backends")
    full = any(sign in str(problem) for sign in _SIGNS)
    on_gpu = on_gpu or (full and isinstance(problem, BackendError))  # by our own calls of cuBLAS
    if not isinstance(problem, MemoryError) and not (on_gpu and full):
        return None
    there = gpu(sys.modules.get("cupy")) if on_gpu else host()
    message = "out of GPU memory" if on_gpu else "out of memory"
    told = [f"this takes about {size(need)}"] if need else []
    if there.total is not None and there.free is not None:
        told.append(f"{size(there.free)} of {size(there.total)} are free")
    return CharRNNError(f"{message}: {', '.join(told)}" if told else message, LOWER)
