"""Pipes that close, streams that are full or missing, terminals that are poor: real processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import commands
from helpers.commands import charrnn
from helpers.shells import TRAIN, seldom, shell, unnoted

from charrnn.storage import checkpoint as checkpoints
from charrnn.storage import runs

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and pipes of POSIX")
full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")


FULL = "charrnn: error: cannot write to standard output: No space left on device\n"
PRINTING = [
    "sample run --length 200000",
    "sample run --length 9",
    "info run",
    "info run --json",
    "runs",
    "runs --json",
    "eval --run run --split val",
    "eval --run run text.txt --json",
    "eval --run run text.txt --per-char",
    "diagnose run --windows 2 --anchors 2",
    "diagnose run --windows 2 --anchors 2 --json",
    "diagnose run --history",
    "corpus list",
    "corpus info text.txt",
    "corpus cache",
    "corpus make hello",
    "--help",
    "--version",
    "train --help",
]


@full
@pytest.mark.slow
@pytest.mark.parametrize("command", PRINTING)
def test_streams_that_are_gone_full_or_closed(command, work):
    assert charrnn(*TRAIN, "-q").returncode == 0
    codes, said = shell(f"charrnn {command} | head -c 1 >/dev/null")
    assert codes[0] in (0, 141)  # 0 where all of it fitted into the pipe before the reader left
    assert unnoted(said) == ""
    codes, said = shell(f"charrnn {command} >/dev/full")
    assert codes == [1]
    assert unnoted(said) == FULL
    codes, said = shell(f"charrnn {command} >&-")
    assert codes == [1]
    assert unnoted(said) == "charrnn: error: standard output is closed\n"
    codes, said = shell(f"charrnn {command} >/dev/null <&-")
    assert (codes, unnoted(said)) == ([0], "")
    codes, said = shell(f"charrnn {command} >/dev/null 2>&-")
    assert (codes, said) == ([0], "")


def test_a_pipe_that_closes_at_once_is_141(work):
    """A reader that is gone before a byte is written."""
    codes, said = shell("charrnn corpus make hello | true; sleep 0")
    assert said == ""
    codes, said = shell("(sleep 0.2; charrnn corpus make hello) | exec 0<&-")
    assert codes[0] == 141
    assert said == ""


@pytest.mark.slow
def test_training_whose_reader_leaves_is_saved(work):
    line = " ".join(TRAIN).replace("--steps 40", "--minutes 2")
    codes, said = shell(f"charrnn {line} --json | head -1 >/dev/null")
    assert (codes, said) == ([141, 0], "")
    step = checkpoints.load(work / "checkpoints/run" / runs.LAST).step
    assert step < 5000
    codes, _ = shell(f"charrnn {line.replace('--name run', '--name other')} 2>&1 | head -4")
    assert codes == [141, 0]
    assert checkpoints.load(work / "checkpoints/other" / runs.LAST).step >= 1


@full
def test_training_into_a_full_stdout_is_saved_and_one_line(work):
    codes, said = shell(f"charrnn {' '.join(TRAIN)} --json >/dev/full")
    assert codes == [1]
    assert said == FULL
    assert checkpoints.load(work / "checkpoints/run" / runs.LAST).step == 0


@full
@pytest.mark.slow
def test_training_with_a_full_stderr_is_saved(work):
    codes, _ = shell(f"charrnn {' '.join(TRAIN)} 2>/dev/full")
    assert codes == [1]
    assert (work / "checkpoints/run" / runs.LAST).is_file()


@pytest.mark.parametrize("closed", [*seldom("<&-", ">&-", "2>&-"), "<&- >&- 2>&-"])
def test_training_needs_no_standard_stream(closed, work):
    """And no file of it gets the number of a closed stream, where a message would spoil it."""
    codes, said = shell(f"charrnn {' '.join(TRAIN)} {closed}")
    assert codes == [0]
    assert ("step limit reached" in said) == ("2>&-" not in closed)
    assert checkpoints.load(work / "checkpoints/run" / runs.LAST).step == 40
    lines = (work / "checkpoints/run" / runs.METRICS).read_text().splitlines()
    assert all(isinstance(json.loads(line), dict) for line in lines)


def test_text_from_a_closed_stdin_is_one_line(work):
    codes, said = shell("charrnn train - --hidden 4 <&-")
    assert codes == [1]
    assert said.startswith("charrnn: error: ")
    assert said.count("\n") == 1


@pytest.mark.slow
def test_notes_do_not_go_to_stdout_where_stderr_is_closed(work):
    codes, _ = shell(f"charrnn {' '.join(TRAIN)} --batch 900 --json 2>&- >out")
    assert codes == [0]
    lines = [json.loads(line) for line in Path("out").read_text().splitlines()]
    assert (lines[0]["event"], lines[-1]["event"]) == ("start", "end")


@pytest.mark.slow
def test_no_home_no_terminal_and_a_folder_that_cannot_be_written(work, monkeypatch):
    monkeypatch.delenv("CHARRNN_CACHE")
    clean = f"env -i PATH={os.environ['PATH']} {sys.executable} -m charrnn"
    done = subprocess.run(
        f"{clean} {' '.join(TRAIN)} -q", shell=True, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    locked = work / "locked"
    locked.mkdir(mode=0o500)
    if os.access(locked, os.W_OK):
        pytest.skip("root may write anywhere")
    done = charrnn(*TRAIN[:2], "--out", "locked/run", "-q")
    assert done.returncode == 1
    assert done.stderr.startswith("charrnn: error: cannot make folder 'locked/run'")


@pytest.mark.parametrize("terminal", [("xterm", "1"), *seldom(("dumb", "80"), ("xterm", "7"))])
def test_a_terminal_however_poor_shows_the_training(terminal, work):
    import pty

    main, other = pty.openpty()
    env = {"TERM": terminal[0], "COLUMNS": terminal[1], "LINES": "3"}
    process = commands.start(*TRAIN, stderr=other, stdout=other, env=env)
    os.close(other)
    shown = b""
    try:
        while part := os.read(main, 4096):
            shown += part
    except OSError:  # what Linux says at the end
        pass
    os.close(main)
    assert process.wait(60) == 0
    assert b"Traceback" not in shown
    if terminal[0] == "dumb":
        assert b"\x1b" not in shown
        assert b"step limit reached" in shown
