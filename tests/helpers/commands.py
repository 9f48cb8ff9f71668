"""The command line as a user runs it, in a process of its own."""

import subprocess
import sys

ENDLESS = ["--hidden", "8", "--steps", "1000000", "--log-every", "1"]
ENDLESS += ["--save-every", "0", "--eval-every", "0", "--backend", "numpy"]
"""Options of a small run that does not end by itself."""


def charrnn(*arguments, cwd=None, text=True, **keywords):
    return subprocess.run(
        [sys.executable, "-m", "charrnn", *arguments],
        cwd=cwd,
        capture_output=True,
        text=text,
        timeout=120,
        **keywords,
    )
