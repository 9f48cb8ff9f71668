"""The command line as a user runs it, in a process of its own."""

import os
import subprocess
import sys

ENDLESS = ["--hidden", "8", "--steps", "1000000", "--log-every", "1"]
ENDLESS += ["--save-every", "0", "--eval-every", "0", "--backend", "numpy"]
"""Options of a small run that does not end by itself."""

PIPES = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}


def command(*arguments):
    """Return the command line that runs charrnn with this Python."""
    return [sys.executable, "-m", "charrnn", *map(str, arguments)]


def charrnn(*arguments, text=True, env=None, **options):
    """Run a command to its end; return exit code and output.

    ``env`` is added to the environment. One thread for BLAS is enough for what tests compute.
    """
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        encoding="utf-8" if text else None,
        timeout=120,
        env=_environment(env),
        **options,
    )


def start(*arguments, env=None, **options):
    """Start a command whose output is read through pipes; return its process."""
    return subprocess.Popen(
        command(*arguments), encoding="utf-8", env=_environment(env), **{**PIPES, **options}
    )


def _environment(more):
    return {**os.environ, "OPENBLAS_NUM_THREADS": "1", **(more or {})}
