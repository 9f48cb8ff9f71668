"""Commands in messages can be pasted into a shell unchanged."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.commands import charrnn, inside

SMALL = ("--hidden", "4", "--steps", "1", "--backend", "numpy")
LION = Path(__file__).parent.parent / "plugins/lion.py"


def pasted(line):
    """Run a line in bash, with this charrnn."""
    function = f'charrnn() {{ {shlex.quote(sys.executable)} -m charrnn "$@"; }}'
    return subprocess.run(
        ["bash", "-c", f"{function}\n{line}"], capture_output=True, text=True, env={**os.environ}
    )


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
@pytest.mark.parametrize(
    "place",
    [
        ("--name", "my run"),
        ("--name", "it's $HOME; `x`"),
        ("--name", "a\nb\x1b[31m"),
        ("--out=-x",),
        ("--name", "plug in", "--plugin", str(LION), "--optimizer", "lion"),
    ],
)
def test_the_command_that_comes_next(place, home, cache_folder):
    # A plug-in stays loaded in the process, so it gets its own.
    done = (charrnn if "--plugin" in place else inside)("train", "hello", *SMALL, *place)
    assert done.returncode == 0, done.stderr
    line = done.stderr.splitlines()[-1].partition("to sample: ")[2]
    sampled = pasted(f"{line} --length 4")
    assert (sampled.returncode, len(sampled.stdout)) == (0, 4), (line, sampled.stderr)


@pytest.mark.slow
def test_the_proposal_of_bench_names_the_plugin(home):
    cell = Path(__file__).parent.parent / "doubles/peephole.py"
    done = charrnn(
        *("bench", "--plugin", cell, "--cell", "peephole", "--hidden", "4", "--seq-len", "3"),
        *("--seconds", "0.1"),
    )
    assert done.returncode == 0, done.stderr
    command = next(line for line in done.stdout.splitlines() if "charrnn train CORPUS" in line)
    assert f"--plugin {cell}" in command
