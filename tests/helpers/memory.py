"""Peak memory of a computation, measured in a separate process."""

import os
import subprocess
import sys
from pathlib import Path


def peak():
    """Return the largest resident size of this process so far, in bytes.

    What ``getrusage`` tells on Linux counts the parent's memory at the time of the fork as well.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return 1024 * int(line.split()[1])
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def told_by(code, *arguments):
    """Run code that may use :func:`peak`; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", "from helpers.memory import peak\n" + code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
