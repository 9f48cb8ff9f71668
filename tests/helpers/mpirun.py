"""Commands on real ranks of MPI: how they are started, and which processes they are."""

import os
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

from helpers.commands import PIPES, command

BESIDE = Path(sys.executable).parent / "mpirun"  # where pip install mpich puts it
MPIRUN = str(BESIDE) if BESIDE.exists() else shutil.which("mpirun")
MISSING = "" if MPIRUN and find_spec("mpi4py") else "needs MPI: pip install mpi4py mpich"
"""Why no ranks can be started here; empty if they can."""


def ranks(size, *arguments, env=None, more=(), **options):
    """Start a command on several ranks; return the launcher's process.

    ``more`` are the command lines of further ranks, one each.
    """
    assert MPIRUN is not None
    line = [MPIRUN, "-n", str(size), *command(*arguments)]
    for others in more:
        line += [":", "-n", "1", *command(*others)]
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", **(env or {})}
    return subprocess.Popen(line, encoding="utf-8", env=env, **{**PIPES, **options})


def ended(process, timeout=120):
    """Return exit code, standard output and standard error of a launcher."""
    try:
        out, err = process.communicate(timeout=timeout)
    finally:
        process.kill()
    return process.returncode, out, err


def run(size, *arguments, **options):
    """Run a command on several ranks to its end."""
    return ended(ranks(size, *arguments, **options))


def rank_of(launcher, rank):
    """Return the process id of a rank; waits until there is one."""
    for _ in range(1000):
        for pid in _below(launcher.pid):
            if f"PMI_RANK={rank}\0".encode() in _read(pid, "environ") and b"python" in _read(
                pid, "cmdline"
            ):
                return pid
        time.sleep(0.01)
    raise AssertionError(f"there is no rank {rank}")


def _below(pid):
    """Yield the children of a process, and theirs, in the order of generations."""
    found = [pid]
    for parent in found:
        path = Path(f"/proc/{parent}/task/{parent}/children")
        children = path.read_text().split() if path.exists() else []
        found += [int(child) for child in children]
        yield from map(int, children)


def _read(pid, name):
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def wait_for(path, launcher=None, timeout=60):
    """Wait until a file exists."""
    end = time.monotonic() + timeout
    while not Path(path).exists():
        assert time.monotonic() < end, f"{path} was never written"
        assert launcher is None or launcher.poll() is None, launcher.communicate()
        time.sleep(0.01)
