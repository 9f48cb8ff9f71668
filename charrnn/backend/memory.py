"""Memory: the total, the free part, the limit, and the message when it runs out."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from charrnn.backend.array import Backend
from charrnn.display import size
from charrnn.errors import BackendError, OutOfMemoryError, setting

_SIGNS = ("cudaErrorMemoryAllocation", "CUDA_ERROR_OUT_OF_MEMORY", "CUBLAS_STATUS_ALLOC_FAILED")
_LESS = ("batch", "seq_len", "hidden", "layers")


class Memory(NamedTuple):
    """Total and free memory in bytes; None if the system does not say."""

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
        sizes = dict(line.split(":", 1) for line in lines if ":" in line)
        return Memory(total, 1024 * int(sizes["MemAvailable"].split()[0]))
    except (OSError, ValueError, KeyError, IndexError):
        return Memory(total, None)


def gpu(cupy: Any) -> Memory:
    """Return the memory of the current GPU; what CuPy's pool keeps for reuse counts as free."""
    try:
        free, total = cupy.cuda.Device().mem_info
        pooled = cupy.get_default_memory_pool().free_bytes()
    except Exception:  # after a failure the driver may no longer answer
        return Memory(None, None)
    return Memory(int(total), int(free) + int(pooled))


def limit(backend: Backend) -> int | None:
    """Return the bytes this process may use, on a GPU the card's total; None if not known."""
    if backend.name != "numpy":
        return gpu(backend.xp).total
    limits = [host().total, _cgroup(), *_resource_limits()]
    return min((limit for limit in limits if limit is not None), default=None)


def _cgroup() -> int | None:
    """Return the limit of the container, if there is one."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            return int((Path("/sys/fs/cgroup") / name).read_text("ascii"))
        except (OSError, ValueError):
            continue
    return None


def _resource_limits() -> list[int]:
    """Return the limits of the process (``ulimit -v`` and ``-d``)."""
    try:
        import resource
    except ImportError:  # Windows
        return []
    limits = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA)]
    return [limit for limit in limits if limit != resource.RLIM_INFINITY]


def explain(problem: BaseException, need: int | None = None) -> OutOfMemoryError | None:
    """Return the error for the user if ``problem`` means that memory ran out, else None.

    Parameters
    ----------
    problem
        An exception of NumPy, CuPy, the CUDA runtime or cuBLAS.
    need
        The bytes that the work needs, if they are known.
    """
    on_gpu = type(problem).__module__.partition(".")[0] in ("cupy", "cupy_backends")
    full = any(sign in str(problem) for sign in _SIGNS)
    on_gpu = on_gpu or (full and isinstance(problem, BackendError))  # our own calls of cuBLAS
    if not isinstance(problem, MemoryError) and not (on_gpu and full):
        return None
    memory = gpu(sys.modules.get("cupy")) if on_gpu else host()
    message = "out of GPU memory" if on_gpu else "out of memory"
    details = [f"this needs about {size(need)}"] if need else []
    if memory.total is not None and memory.free is not None:
        details.append(f"{size(memory.free)} of {size(memory.total)} are free")
    return OutOfMemoryError(
        f"{message}: {', '.join(details)}" if details else message, lower(_LESS)
    )


def lower(settings: Sequence[str]) -> str:
    """Return the remedy that names several settings to lower."""
    *first, last = map(setting, settings)
    return f"lower {', '.join(first)} or {last}"
