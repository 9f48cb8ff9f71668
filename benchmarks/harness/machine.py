"""The machine of a measurement: processor, cores, memory, versions, threads."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = ("charrnn", "numpy", "torch")


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def describe() -> dict[str, Any]:
    """Return the machine as one JSON object; nothing in it names a user, a host or a path."""
    return {
        "cores": cores(),
        "architecture": architecture(),
        "processor": processor(),
        "vectors": vectors(),
        "memory_gb": memory_gb(),
        "system": platform.system(),
    }


def in_words(machine: dict[str, Any]) -> str:
    """Return the machine on one line."""
    marks = ", ".join(mark for mark in (machine["processor"], machine["vectors"]) if mark)
    return f"{machine['cores']}-core {machine['architecture']}" + (f" ({marks})" if marks else "")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that are there."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def architecture() -> str:
    """Return the instruction set by its usual name."""
    name = platform.machine()
    return {"x86_64": "x86-64", "AMD64": "x86-64", "aarch64": "arm64"}.get(name, name)


def processor() -> str:
    """Return the processor's name, or an empty string if the system does not say."""
    name = _cpuinfo("model name")
    if not name and sys.platform == "darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        name = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return re.sub(r"\s+", " ", re.sub(r"\((R|TM)\)|CPU|Processor", "", name)).strip()


def vectors() -> str:
    """Return the widest vector instructions that matter to a product, if they are known."""
    flags = set(_cpuinfo("flags").split())
    for flag, name in (("avx512f", "AVX-512"), ("avx2", "AVX2")):
        if flag in flags:
            return name
    return ""


def memory_gb() -> float | None:
    """Return the memory in 10⁹ bytes, or None if the system does not say."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (AttributeError, ValueError, OSError):
        return None


def others(seconds: float = 0.5) -> float | None:
    """Return how many cores other programs keep busy, while this one sleeps; None if unknown."""
    before = _busy()
    time.sleep(seconds)
    after = _busy()
    if before is None or after is None:
        return None
    return round(max(0.0, after - before) / seconds, 2)


def _busy() -> float | None:
    """Return the seconds of all cores together that were not idle so far (Linux)."""
    try:
        numbers = Path("/proc/stat").read_text("ascii").split("\n", 1)[0].split()[1:]
        ticks = [int(number) for number in numbers]
        return (sum(ticks[:8]) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return None


def _cpuinfo(key: str) -> str:
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return ""
    found = re.search(rf"^{re.escape(key)}\s*:\s*(.*)$", text, re.M)
    return found[1] if found else ""
