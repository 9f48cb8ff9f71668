"""Signals in every phase, pipes that close, streams that are full or missing: real processes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import commands
from helpers.commands import charrnn, inside
from helpers.running import SMALL, TEXT, assert_same_run

from charrnn.storage import checkpoint as checkpoints
from charrnn.storage import runs
from charrnn.text import open_corpus

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and pipes of POSIX")

DRIVER = str(Path(__file__).parents[1] / "helpers" / "signalled.py")
TRAIN = ["train", "text.txt", "--name", "run", "--backend", "numpy", "--threads", "1"]
for option, value in SMALL.items():
    TRAIN += ["--" + option.replace("_", "-"), str(value)]
TRAIN += ["--eval-every", "6", "--save-every", "4"]
NUMBERS = [
    pytest.param(signal.SIGINT, 130, id="INT"),
    pytest.param(signal.SIGTERM, 143, id="TERM", marks=pytest.mark.slow),
]
both = pytest.mark.parametrize(("number", "code"), NUMBERS)
full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")


def seldom(*phases):
    return [pytest.param(phase, marks=pytest.mark.slow) for phase in phases]


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "text.txt").write_text(TEXT)
    monkeypatch.chdir(folder)
    return folder


def start(phase, seconds, *arguments, **options):
    """Start a command and wait until it is held up in that phase."""
    process = subprocess.Popen(
        [sys.executable, DRIVER, phase, str(seconds), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        if line == f"@{phase}\n":
            return process, said
        said += line
    raise AssertionError(f"{phase} was never reached: {said}")


def ended(process, said=""):
    """Return exit code, standard output and standard error."""
    try:
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    return process.returncode, out, said + err


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


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that was never disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "text.txt").write_text(TEXT)
    done = charrnn(*TRAIN, "-q", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "checkpoints" / "run"


@pytest.fixture
def used(work):
    """The folder as an earlier run leaves it, so that a phase counts what one run flushes."""
    open_corpus("text.txt")
    runs.HOME.mkdir()
    return work


@both
@pytest.mark.parametrize("phase", ["read", *seldom("start", "model")])
def test_before_training_begins_it_ends_without_a_word_or_a_trace(phase, number, code, work):
    process, said = start(phase, 20, *TRAIN)
    process.send_signal(number)
    assert ended(process, said) == (code, "", "")
    assert sorted(path.name for path in work.iterdir()) == ["text.txt"]


@both
@pytest.mark.parametrize(
    "phase", [*seldom("begin"), "step", *seldom("eval", "flush", "told"), "save"]
)
def test_in_training_it_finishes_the_step_saves_and_resumes_exactly(
    phase, number, code, whole, used
):
    process, said = start(phase, 0.3, *TRAIN)
    process.send_signal(number)
    found, out, said = ended(process, said)
    assert (found, out) == (code, "")
    more = "--backend numpy --threads 1"
    assert said.endswith(f"saved; to continue: charrnn train --resume checkpoints/run {more}\n")
    assert "Traceback" not in said
    folder = used / "checkpoints" / "run"
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    done = inside("train", "--resume", "run", "-q", "--backend", "numpy", "--threads", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert_same_run(whole, folder)


@pytest.mark.slow
@both
@pytest.mark.parametrize(
    "phase", ["begin", *seldom("step", "eval", "flush", "save"), "before the rename"]
)
def test_a_second_signal_leaves_at_once_and_the_last_checkpoint_is_intact(
    phase, number, code, whole, used
):
    held = 50
    process, said = start(phase, held, *TRAIN)
    process.send_signal(number)
    time.sleep(0.2)
    assert process.poll() is None
    begun = time.monotonic()
    process.send_signal(number)
    found, out, said = ended(process, said)
    assert time.monotonic() - begun < held - 10
    assert (found, out) == (code, "")
    assert "Traceback" not in said
    assert "error" not in said
    folder = used / "checkpoints" / "run"
    if phase == "begin":
        assert not (folder / runs.LAST).exists()
        done = inside(*TRAIN, "-q")
    else:
        assert checkpoints.load(folder / runs.LAST).step >= 0
        done = inside("train", "--resume", "run", "-q", "--backend", "numpy", "--threads", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    assert_same_run(whole, folder)


@pytest.mark.slow
def test_when_all_is_done_a_signal_still_leaves_a_whole_run(whole, used):
    process, said = start("end", 0.3, *TRAIN)
    process.send_signal(signal.SIGINT)
    code, _, said = ended(process, said)
    assert code == 130
    assert "step limit reached at step 40" in said
    assert_same_run(whole, used / "checkpoints" / "run")


@pytest.mark.slow
def test_an_evaluation_is_given_up_rather_than_waited_for(work):
    process, said = start("eval", 0.3, *TRAIN)
    process.send_signal(signal.SIGINT)
    code, _, said = ended(process, said)
    assert code == 130
    assert "validation loss" not in said.split("interrupted")[0]
    assert "interrupted at step 6" in said


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP")
def test_a_terminal_that_closes_ends_training_with_a_save(work):
    process, said = start("step", 0.5, *TRAIN)
    process.send_signal(signal.SIGHUP)
    time.sleep(0.1)
    process.send_signal(signal.SIGHUP)  # as a shell and its terminal do, both
    code, _, said = ended(process, said)
    assert code == 129
    assert "saved; to continue" in said


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP")
def test_nohup_is_respected(work):
    ignore = lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)  # noqa: E731
    process, said = start("step", 0.3, *TRAIN, preexec_fn=ignore)
    process.send_signal(signal.SIGHUP)
    code, _, said = ended(process, said)
    assert code == 0
    assert "step limit reached" in said


@pytest.mark.slow
def test_training_in_the_background_of_a_script_stops_on_kill(work):
    """A shell that is not interactive has commands with & ignore SIGINT."""
    line = " ".join(TRAIN).replace("--steps 40", "--minutes 2")
    codes, said = shell(
        f"charrnn {line} 2>log & until grep -q ^step log; do sleep 0.1; done; kill -INT $!; wait $!"
    )
    assert codes == [130], said
    assert "saved" in Path("log").read_text()


ENDLESS = {
    "sample": ["sample", "run", "--length", "0"],
    "corpus": ["corpus", "make", "markov", "--chars", "2000000000"],
    "bench": ["bench", "--seconds", "60", "--threads", "1", "--backend", "numpy"],
    "diagnose": ["diagnose", "run", "--corpus", "-"],
    "eval": ["eval", "--run", "run", "-"],
    "train": ["train", "-"],
}


@pytest.mark.slow
@both
@pytest.mark.parametrize("command", ENDLESS)
def test_every_other_command_ends_without_a_word(command, number, code, work):
    done = charrnn(*TRAIN, "-q")
    assert done.returncode == 0
    before = sorted(work.rglob("*"))
    process = commands.start(*ENDLESS[command], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    time.sleep(1.2)
    assert process.poll() is None, process.stderr.read()
    process.send_signal(number)
    found, _, said = ended(process)
    assert (found, unnoted(said)) == (code, "")
    assert sorted(work.rglob("*")) == before


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


def test_the_help_tells_the_exit_codes():
    told = " ".join(charrnn("--help").stdout.split())
    assert "3 a verdict of diagnose --fail-on; 129, 130, 143 after SIGHUP, SIGINT" in told
