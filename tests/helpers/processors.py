"""Programs in C for this processor and, by QEMU, for others."""

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from helpers.nvrtc import missing

from charrnn.backend.native import build


def run_program(source, command, flags, emulator=()):
    """Compile a program that includes the core, and return how it ended."""
    with TemporaryDirectory() as folder:
        program = Path(folder) / "program"
        compiled = subprocess.run(
            [*command, *build.FLAGS, *flags, '-DCHARRNN_SOURCE="tests"', f"-I{build.SOURCE.parent}",
             str(source), "-o", str(program), "-lpthread", "-lm"],
            capture_output=True, text=True,
        )  # fmt: skip
        assert compiled.returncode == 0, compiled.stderr
        return subprocess.run(
            [*emulator, str(program)], capture_output=True, text=True, timeout=600
        )


def emulator(architecture):
    """Return the command that runs programs of an architecture on this machine."""
    found = shutil.which(f"qemu-{architecture}") or shutil.which(f"qemu-{architecture}-static")
    if not found:
        missing("qemu", f"no qemu-{architecture} to run a program (Debian: qemu-user)")
    return found, "-cpu", "max"


def cross_compiler(architecture, target, checks=()):
    """Return the command and the flags to compile a target, for Linux on that architecture."""
    march = build.TARGET_FLAGS.get(target, ())
    if find_spec("ziglang"):
        triple = f"{architecture}-linux-musl"
        command = (sys.executable, "-m", "ziglang", "cc", "-target", triple, "-g0")
        return command, ("-static", *march, *build.ziglang_cpu(target), *checks)
    cross = shutil.which(f"{architecture}-linux-gnu-gcc")
    if not cross or checks:
        missing("qemu", f"no compiler for {architecture} (pip install ziglang)")
    return (cross,), ("-static", *march)
