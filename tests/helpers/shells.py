"""A small training run as a command line, and lines of bash that run charrnn."""

import subprocess
import sys
from pathlib import Path

import pytest
from helpers.running import SMALL

TRAIN = ["train", "text.txt", "--name", "run", "--backend", "numpy", "--threads", "1"]
for option, value in SMALL.items():
    TRAIN += ["--" + option.replace("_", "-"), str(value)]
TRAIN += ["--eval-every", "6", "--save-every", "4"]


def seldom(*phases):
    """Return parameters of a test that are slow."""
    return [pytest.param(phase, marks=pytest.mark.slow) for phase in phases]


def shell(command):
    """Run a line of bash; return the exit codes of its pipeline, and its standard error."""
    line = command.replace("charrnn", f"{sys.executable} -m charrnn")
    done = subprocess.run(
        ["bash", "-c", line + '; echo "${PIPESTATUS[@]}" >codes'],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return [int(code) for code in Path("codes").read_text().split()], done.stderr


def unnoted(said):
    """Return what was said on stderr besides notes."""
    lines = said.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("charrnn: note: "))
