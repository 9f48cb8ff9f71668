"""Compile the core with a C compiler. Needs only the standard library.

``pip install`` runs this through ``hatch_build.py``; ``python -m charrnn.backend.native.build``
recompiles in place.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

SOURCE = Path(__file__).parent / "c" / "core.c"
FOLDER = Path(__file__).parent / "lib"

FEATURES: dict[str, dict[str, tuple[str, ...]]] = {
    "x86_64": {
        "x86-64-v4": ("AVX512F", "AVX512_SKX"),
        "x86-64-v3": ("AVX2", "FMA3"),
    },
    "aarch64": {"aarch64": ()},
}
"""The targets of each architecture, best first, with the processor features that each needs (by
their names in NumPy)."""

BF16_FEATURES: dict[str, dict[str, tuple[str, ...]]] = {
    "x86_64": {"x86-64-v4-bf16": ("AVX512F", "AVX512_SKX", "AVX512BF16")},
}
"""The same for the libraries whose products round their factors to bfloat16."""

TARGET_FLAGS = {
    "x86-64-v4": ("-march=x86-64-v4",),
    "x86-64-v4-bf16": ("-march=x86-64-v4", "-mavx512bf16", "-DBF16"),
    "x86-64-v3": ("-march=x86-64-v3",),
}
"""What the compiler is told about a target, if anything."""

FLAGS = ("-O3", "-std=gnu11", "-ffp-contract=off", "-fno-math-errno", "-fvisibility=hidden")
"""None of these may allow the compiler to change the order or the rounding of operations."""

COMPILERS = ("cc", "gcc", "clang")


def machine() -> str:
    """Return this machine's architecture, as :data:`FEATURES` names it; empty if unsupported."""
    if sys.platform not in ("linux", "darwin"):
        return ""
    name = platform.machine().lower()
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(name, name)


def file_name(target: str) -> str:
    """Return the name of the library for a target."""
    return f"core-{target}.so"


def compiler() -> list[str] | None:
    """Return the command of the C compiler: ``CC`` if set, else the first in ``PATH``, or None."""
    chosen = os.environ.get("CC")
    if chosen:
        return chosen.split()
    found = next((path for name in COMPILERS if (path := shutil.which(name))), None)
    return [found] if found else None


def compile_core(target: str, out: Path, command: Sequence[str], extra: Sequence[str] = ()) -> None:
    """Compile the library for one target to the file ``out``, which is replaced at the end.

    Raises
    ------
    subprocess.CalledProcessError
        If the compiler fails.
    OSError
        If the compiler cannot be run, or the file cannot be written.
    """
    march = TARGET_FLAGS.get(target, ())
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        library = Path(folder) / out.name
        arguments = [*FLAGS, *march, *extra, "-fPIC", "-shared", str(SOURCE), "-o", str(library)]
        subprocess.run(
            [*command, *arguments, "-lpthread", "-lm"], check=True, capture_output=True, text=True
        )
        library.replace(out)


def build(folder: Path = FOLDER) -> list[Path]:
    """Compile the core for every target of this machine; return the libraries.

    There are none without a C compiler or if it fails: charrnn then computes with NumPy.
    """
    command, here = compiler(), machine()
    libraries: list[Path] = []
    targets = [*FEATURES.get(here, ()), *BF16_FEATURES.get(here, ())]
    for target in targets if command else ():
        out = folder / file_name(target)
        try:
            compile_core(target, out, command or ())
        except (OSError, subprocess.CalledProcessError):
            out.unlink(missing_ok=True)
        else:
            libraries.append(out)
    return libraries


if __name__ == "__main__":
    sys.exit(None if build() else "no C compiler, or none that can compile the core")
