"""The compiled core gives the same bits on every processor, by every compiler.

``bits.c`` computes everything in many shapes, and prints digests. The processors of another
architecture are emulated by QEMU (``qemu-user``); ziglang or a cross compiler compiles for them.
"""

import shutil
import sys
from functools import cache
from pathlib import Path

import pytest
from helpers.native import TARGETS
from helpers.nvrtc import missing
from helpers.processors import cross_compiler, emulator, run_program

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
def printed(command, flags, emulated_by=()):
    """Compile ``bits.c`` with a compiler and flags, run it, and return what it prints."""
    done = run_program(SOURCE, command, flags, emulated_by)
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
    target = ARCHITECTURES[architecture]
    runs_here = sys.platform == "linux" and target in TARGETS
    emulated_by = () if runs_here else emulator(architecture)
    compare(printed(*cross_compiler(architecture, target, checks), emulated_by))
