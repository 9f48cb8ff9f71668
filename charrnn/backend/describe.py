"""The compute resources of this machine: backends, cores, memory and GPUs."""

from __future__ import annotations

import os
from typing import Any

from charrnn.backend import memory, select
from charrnn.backend.gpu.open import import_cupy, reason
from charrnn.backend.selection import CORE_VARIABLE
from charrnn.backend.threads import cores
from charrnn.errors import BackendError


def describe() -> dict[str, Any]:
    """Return the backend that ``auto`` chooses and why, and the resources of NumPy and CuPy.

    Memory is in bytes.
    """
    chosen = select("auto")
    why = chosen.note or "a GPU works"
    auto = {"backend": chosen.name, "why": why}
    return {"auto": auto, "numpy": _numpy(), "core": _core(), "cupy": _cupy()}


def _core() -> dict[str, Any]:
    """Return what the compiled core is compiled for, or why there is none."""
    from charrnn.backend.native.library import open_core

    chosen = os.environ.get(CORE_VARIABLE) or "auto"
    try:
        return {"target": open_core(1).name, "problem": None, "chosen": chosen}
    except BackendError as problem:
        return {"target": None, "problem": problem.message, "chosen": chosen}


def _numpy() -> dict[str, Any]:
    import numpy as np

    available = memory.host()
    return {
        "version": np.__version__,
        "blas": _blas(),
        "cores": cores(),
        "memory_total": available.total,
        "memory_free": available.free,
    }


def _blas() -> dict[str, Any] | None:
    """Return the library that multiplies NumPy's matrices; None if it is not known."""
    from threadpoolctl import threadpool_info

    blas = [library for library in threadpool_info() if library["user_api"] == "blas"]
    if not blas:
        return None
    library = blas[0]
    return {
        "name": library["internal_api"],
        "version": library["version"],
        "kernels": library.get("architecture"),
        "threads": library["num_threads"],
    }


def _cupy() -> dict[str, Any]:
    facts: dict[str, Any] = dict.fromkeys(("version", "runtime", "driver", "problem"))
    facts["devices"] = []
    try:
        cupy = import_cupy()
    except BackendError as problem:
        return facts | {"problem": str(problem)}
    runtime = cupy.cuda.runtime
    facts["version"] = cupy.__version__
    try:
        facts["runtime"] = _version(runtime.runtimeGetVersion())
        facts["driver"] = _version(runtime.driverGetVersion())
        facts["devices"] = [_device(cupy, at) for at in range(runtime.getDeviceCount())]
    except Exception as problem:  # each part of CUDA raises its own classes
        facts["problem"] = reason(problem)
    return facts


def _device(cupy: Any, at: int) -> dict[str, Any]:
    properties = cupy.cuda.runtime.getDeviceProperties(at)
    with cupy.cuda.Device(at):
        available = memory.gpu(cupy)
    name = properties["name"]
    return {
        "name": name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name),
        "compute_capability": f"{properties['major']}.{properties['minor']}",
        "multiprocessors": properties["multiProcessorCount"],
        "memory_total": available.total,
        "memory_free": available.free,
    }


def _version(number: int) -> str | None:
    """Return a version of CUDA as it is written, ``13.2`` for 13020; None for 0."""
    return f"{number // 1000}.{number % 1000 // 10}" if number else None
