"""The compiled core gives the same bits on every processor, by every compiler.

``bits.c`` computes everything in many shapes, and prints digests. The processors of another
architecture are emulated by QEMU (``qemu-user``); ziglang or a cross compiler compiles for them.
"""

import shutil
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from helpers.native import TARGETS
from helpers.nvrtc import missing

from charrnn.backend.native import build

pytestmark = pytest.mark.slow

SOURCE = Path(__file__).with_name("bits.c")
FOUND = [path for name in build.COMPILERS if (path := shutil.which(name))]
COMPILERS = list({Path(path).resolve(): path for path in reversed(FOUND)}.values())
PROGRAMS = [(path, target) for path in COMPILERS for target in reversed(TARGETS)]
"""Compilers and targets of this machine; the first is what all others are compared with."""

ARCHITECTURES = {"x86_64": "x86-64-v3", "aarch64": "aarch64"}
"""The target of each architecture that is compiled for Linux and emulated on other machines."""

BOUNDS = ("-O1", "-fsanitize=bounds", "-fsanitize-trap=bounds")
"""Stop where an index is outside of its array."""


@cache
def printed(command, flags, emulator=()):
    """Compile ``bits.c`` with a compiler and flags, run it, and return what it prints."""
    with TemporaryDirectory() as folder:
        program = Path(folder) / "bits"
        compiled = subprocess.run(
            [*command, *build.FLAGS, *flags, '-DCHARRNN_SOURCE="tests"', f"-I{build.SOURCE.parent}",
             str(SOURCE), "-o", str(program), "-lpthread", "-lm"],
            capture_output=True, text=True,
        )  # fmt: skip
        assert compiled.returncode == 0, compiled.stderr
        done = subprocess.run(
            [*emulator, str(program)], capture_output=True, text=True, timeout=600
        )
    lines = done.stdout.splitlines()
    assert done.returncode in (0, 1), (done.returncode, lines[-1:], done.stderr)
    assert not [line for line in lines if "threads" in line][:5]
    return lines


def compare(lines):
    if not PROGRAMS:
        missing("c", "no C compiler to compare with")
    path, target = PROGRAMS[0]
    expected = printed((path,), build.TARGET_FLAGS.get(target, ()))
    assert len(lines) == len(expected) > 1000
    differing = [pair for pair in zip(lines, expected, strict=True) if pair[0] != pair[1]]
    assert not differing[:5], f"{len(differing)} cases differ"


@pytest.mark.parametrize(("path", "target"), PROGRAMS[1:], ids=lambda text: Path(text).name)
def test_compilers_and_processors_of_this_machine_agree(path, target):
    compare(printed((path,), build.TARGET_FLAGS.get(target, ())))


@pytest.mark.parametrize("checks", [(), BOUNDS], ids=["plain", "bounds"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_processors_of_other_machines_agree(architecture, checks):
    target, emulator = ARCHITECTURES[architecture], ()
    if not (sys.platform == "linux" and target in TARGETS):
        found = shutil.which(f"qemu-{architecture}") or shutil.which(f"qemu-{architecture}-static")
        if not found:
            missing("qemu", f"no qemu-{architecture} to run a program (Debian: qemu-user)")
        emulator = (found, "-cpu", "max")
    cross = shutil.which(f"{architecture}-linux-gnu-gcc")
    if find_spec("ziglang"):
        triple = f"{architecture}-linux-musl"
        command = (sys.executable, "-m", "ziglang", "cc", "-target", triple, "-g0")
        flags = (f"-mcpu={target.replace('-', '_')}",) if target in build.TARGET_FLAGS else ()
    elif cross and not checks:
        command, flags = (cross,), build.TARGET_FLAGS.get(target, ())
    else:
        missing("qemu", f"no compiler for {architecture} (pip install ziglang)")
    compare(printed(command, ("-static", *flags, *checks), emulator))
