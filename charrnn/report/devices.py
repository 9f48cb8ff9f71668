"""The output of ``charrnn info --devices``."""

from __future__ import annotations

from typing import Any

from charrnn.display import size
from charrnn.report.tables import listed


def devices_text(facts: dict[str, Any]) -> str:
    """Return the facts of :func:`charrnn.backend.describe.describe` in words, one per line."""
    auto, cpu, gpu = facts["auto"], facts["numpy"], facts["cupy"]
    rows = [("auto uses", f"{auto['backend']}: {auto['why']}"), ("NumPy", cpu["version"])]
    blas = cpu["blas"]
    if blas:
        parts = (blas["name"], blas["version"], blas["kernels"] and f"({blas['kernels']})")
        words = " ".join(str(part) for part in parts if part)
        rows.append(("BLAS", f"{words}, {blas['threads']} threads"))
    core = facts["core"]
    unused = ", not used: CHARRNN_CORE is numpy" if core["chosen"] == "numpy" else ""
    target = core["target"] and core["target"] + unused
    rows.append(("compiled core", target or f"none: {core['problem']}"))
    rows.append(("cores", str(cpu["cores"])))
    rows.append(("memory", _memory(cpu)))
    if gpu["version"]:
        runtime, driver = gpu["runtime"] or "none", gpu["driver"] or "none"
        rows.append(("CuPy", f"{gpu['version']}, CUDA runtime {runtime}, driver {driver}"))
    if gpu["problem"]:
        rows.append(("GPU", gpu["problem"]))
    for number, device in enumerate(gpu["devices"]):
        rows.append(
            (
                f"GPU {number}",
                f"{device['name']}, compute capability {device['compute_capability']}, "
                f"{device['multiprocessors']} multiprocessors, {_memory(device)}",
            )
        )
    return listed(rows)


def _memory(facts: dict[str, Any]) -> str:
    total, free = facts["memory_total"], facts["memory_free"]
    if total is None:
        return "unknown"
    return size(total) + ("" if free is None else f", {size(free)} free")
