"""Memory of a process: resident now, and its peak."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

TINY = {"layers": 1, "hidden": 8, "window": 4, "batch": 2}

_STATUS = Path("/proc/self/status")


def footprint(
    make: Callable[[dict[str, Any]], Any], size: dict[str, Any], steps: int
) -> dict[str, int]:
    """Train a tiny model, then the one of ``size``, ``steps`` updates each; return bytes.

    Returns
    -------
    dict
        ``imports``: resident after the imports. ``tiny``: resident after the tiny model was
        trained, with all that libraries load and allocate when first used. ``peak``: the most that
        was resident at any time of the training that counts.
    """
    imports = resident()
    make(size | TINY).run(steps)
    tiny = resident()
    reset_peak()
    task = make(size)
    task.run(steps)
    return {"imports": imports, "tiny": tiny, "peak": peak()}


def resident() -> int:
    """Return the bytes that are resident now; the peak so far if the system has no other figure."""
    return _of_status("VmRSS") or _most()


def peak() -> int:
    """Return the most bytes that were resident since :func:`reset_peak`, or ever."""
    return _of_status("VmHWM") or _most()


def reset_peak() -> None:
    """Reset the peak, if the system allows it (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _of_status(name: str) -> int | None:
    try:
        found = re.search(rf"^{name}:\s+(\d+) kB$", _STATUS.read_text("ascii"), re.M)
    except OSError:
        return None
    return 1024 * int(found[1]) if found else None


def _most() -> int:
    import resource  # not on Windows, where there is nothing to fall back to

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most
