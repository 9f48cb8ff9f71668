"""Signals in every phase: real processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import commands
from helpers.commands import charrnn, inside
from helpers.running import TEXT, assert_same_run
from helpers.shells import TRAIN, seldom, shell, unnoted

from charrnn.storage import checkpoint as checkpoints
from charrnn.storage import runs
from charrnn.text import open_corpus

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and pipes of POSIX")

DRIVER = str(Path(__file__).parents[1] / "helpers" / "signalled.py")
NUMBERS = [
    pytest.param(signal.SIGINT, 130, id="INT"),
    pytest.param(signal.SIGTERM, 143, id="TERM", marks=pytest.mark.slow),
]
both = pytest.mark.parametrize(("number", "code"), NUMBERS)


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


def test_the_help_tells_the_exit_codes():
    told = " ".join(charrnn("--help").stdout.split())
    assert "3 a verdict of diagnose --fail-on; 129, 130, 143 after SIGHUP, SIGINT" in told
