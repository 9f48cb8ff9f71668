"""Compile the core with a C compiler. Needs only the standard library.

``pip install`` runs this through ``hatch_build.py``; ``python -m charrnn.backend.native.build``
recompiles in place. For the wheels of a release, ``ziglang`` compiles for every platform.
"""

from __future__ import annotations

import hashlib
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
COMMAND = "python -m charrnn.backend.native.build"
"""Recompiles the core where it is installed."""

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
    "x86_64": {
        "x86-64-v4-amx": ("AVX512F", "AVX512_SKX", "AVX512BF16"),  # and AMX: NumPy does not know it
        "x86-64-v4-bf16": ("AVX512F", "AVX512_SKX", "AVX512BF16"),
    },
    "aarch64": {"aarch64-bf16": ()},  # and BFDOT: NumPy does not know it
}
"""The same for the libraries whose products round their factors to bfloat16. A library itself tells
whether the processor has what NumPy does not know."""

TARGET_FLAGS = {
    "x86-64-v4": ("-march=x86-64-v4",),
    "x86-64-v4-amx": (
        "-march=x86-64-v4",
        "-mavx512bf16",
        "-mamx-tile",
        "-mamx-bf16",
        "-DBF16",
        "-DAMX",
    ),
    "x86-64-v4-bf16": ("-march=x86-64-v4", "-mavx512bf16", "-DBF16"),
    "x86-64-v3": ("-march=x86-64-v3",),
    "aarch64-bf16": ("-march=armv8.2-a+bf16", "-DBF16"),
}
"""What the compiler is told about a target, if anything."""

ZIGLANG_CPUS = {"armv8.2-a+bf16": "generic+v8_2a+bf16"}
"""Ziglang's names for processors that differ in more than a ``_`` for each ``-``."""

PLATFORMS: dict[str, tuple[str, str]] = {
    "manylinux_2_17_x86_64": ("x86_64", "x86_64-linux-gnu.2.17"),
    "manylinux_2_17_aarch64": ("aarch64", "aarch64-linux-gnu.2.17"),
    "macosx_10_13_x86_64": ("x86_64", "x86_64-macos.10.13"),
    "macosx_11_0_arm64": ("aarch64", "aarch64-macos.11.0"),
}
"""The platform tags of a release's wheels, each with its architecture and ziglang's name for it."""

FLAGS = ("-O3", "-std=gnu11", "-ffp-contract=off", "-fno-math-errno", "-fvisibility=hidden")
"""None of these may allow the compiler to change the order or the rounding of operations."""

COMPILERS = ("cc", "gcc", "clang")


def machine() -> str:
    """Return this machine's architecture, as :data:`FEATURES` names it; empty if unsupported."""
    if sys.platform not in ("linux", "darwin"):
        return ""
    name = platform.machine().lower()
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(name, name)


def targets(architecture: str) -> list[str]:
    """Return the targets of an architecture; none if it is not supported."""
    return [*FEATURES.get(architecture, ()), *BF16_FEATURES.get(architecture, ())]


def file_name(target: str) -> str:
    """Return the name of the library for a target."""
    return f"core-{target}.so"


def digest() -> str:
    """Return a digest of the C source and the flags, which is compiled into every library."""
    known = hashlib.sha256(" ".join(FLAGS).encode())
    for path in sorted(SOURCE.parent.glob("*.[ch]")):
        known.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return known.hexdigest()[:16]


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
    source = [f'-DCHARRNN_SOURCE="{digest()}"', str(SOURCE)]
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        library = Path(folder) / out.name
        arguments = [*FLAGS, *march, *extra, "-fPIC", "-shared", *source, "-o", str(library)]
        subprocess.run(
            [*command, *arguments, "-lpthread", "-lm"], check=True, capture_output=True, text=True
        )
        library.replace(out)


def build(folder: Path = FOLDER) -> list[Path]:
    """Compile the core for every target of this machine; return the libraries.

    There are none without a C compiler or if it fails: charrnn then computes with NumPy.
    """
    command = compiler()
    libraries: list[Path] = []
    for target in targets(machine()) if command else ():
        out = folder / file_name(target)
        try:
            compile_core(target, out, command or ())
        except (OSError, subprocess.CalledProcessError):
            continue
        libraries.append(out)
    return libraries


def cross_build(tag: str, folder: Path) -> list[Path]:
    """Compile the core with ziglang for every target of a platform of :data:`PLATFORMS`.

    Raises
    ------
    ValueError
        If the platform is unknown.
    subprocess.CalledProcessError
        If ziglang is not installed, or fails.
    """
    if tag not in PLATFORMS:
        raise ValueError(f"unknown platform {tag!r}; choose one of {', '.join(PLATFORMS)}")
    architecture, triple = PLATFORMS[tag]
    command = [sys.executable, "-m", "ziglang", "cc", "-target", triple]
    libraries: list[Path] = []
    for target in targets(architecture):
        libraries.append(folder / file_name(target))
        compile_core(target, libraries[-1], command, (*ziglang_cpu(target), "-g0", "-s"))
    return libraries


def ziglang_cpu(target: str) -> list[str]:
    """Return what ziglang needs beside a target's flags: its own name for the processor."""
    cpus = [flag[7:] for flag in TARGET_FLAGS.get(target, ()) if flag.startswith("-march=")]
    return [f"-mcpu={ZIGLANG_CPUS.get(cpu, cpu.replace('-', '_'))}" for cpu in cpus]


def main(arguments: Sequence[str]) -> str | None:
    """Compile the core in place; return what failed, in one line, or None."""
    if arguments:
        return f"takes no arguments: {COMMAND}"
    if build():
        return None
    known, command = targets(machine()), compiler()
    if not known:
        return f"the compiled core does not support {platform.system()} on {platform.machine()}"
    if not command:
        return "no C compiler: install gcc or clang, or let CC name one"
    return f"{' '.join(command)} cannot compile the core: {_failure(known[-1], command)}"


def _failure(target: str, command: Sequence[str]) -> str:
    """Return why the library for a target cannot be made: the compiler's first error, in a line."""
    try:
        compile_core(target, FOLDER / file_name(target), command)
    except subprocess.CalledProcessError as problem:
        lines = str(problem.stderr).strip().splitlines() or [f"exit code {problem.returncode}"]
        return next((line for line in lines if "error" in line), lines[0]).strip()
    except OSError as problem:
        return str(problem)
    return "it failed once; run this again"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
