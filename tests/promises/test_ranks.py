"""Real ranks of MPI: they train like one process, speak with one voice, and end together."""

import json
import os
import signal
import subprocess
import sys
from itertools import product

import numpy as np
import pytest
from helpers import mpirun
from helpers.commands import charrnn, command
from helpers.running import TEXT, metrics

from charrnn.storage import checkpoint as checkpoints
from charrnn.storage import runs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(mpirun.MISSING), reason=mpirun.MISSING),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc"),
]

LONG = ["train", "text.txt", "--name", "run", "--hidden", "8", "--batch", "4", "--seq-len", "8"]
LONG += ["--steps", "1000000", "--save-every", "10", "--eval-every", "0", "--backend", "numpy"]
INTACT = "charrnn: error: a rank ended unexpectedly, so all were ended (mpirun says which one); "
INTACT += "the last checkpoint is intact; to continue: "
INTACT += "charrnn train --resume checkpoints/run --backend numpy\n"


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "text.txt").write_text(TEXT * 3)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def last(name):
    return checkpoints.load(runs.HOME / name / runs.LAST)


def test_only_the_first_rank_writes_for_tensorboard(work):
    line = ["train", "text.txt", "--name", "run", "--hidden", "8", "--batch", "4", "--steps", "6"]
    line += ["--log-every", "1", "--tensorboard", "board", "--backend", "numpy"]
    code, _, err = mpirun.run(2, *line)
    assert code == 0, err
    (path,) = (work / "board/run").iterdir()
    assert path.read_bytes().count(b"smoothed") == 6


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize(
    ("dtype", "losses", "weights"), [("float64", 1e-10, 1e-10), ("float32", 1e-4, 1e-3)]
)
def test_two_ranks_train_like_one_process(cell, dtype, losses, weights):
    line = ["train", "text.txt", "--cell", cell, "--dtype", dtype, "--dropout", "0.3"]
    line += ["--layers", "2", "--hidden", "24", "--batch", "6", "--seq-len", "16", "--steps", "100"]
    line += ["--log-every", "1", "--eval-every", "20", "--backend", "numpy"]
    done = charrnn(*line, "--name", "one")
    assert done.returncode == 0, done.stderr
    for name in ("two", "again"):
        code, _, err = mpirun.run(2, *line, "--name", name)
        assert code == 0, err
    one, two, again = map(last, ("one", "two", "again"))
    assert two.weights.tobytes() == again.weights.tobytes()
    assert metrics(runs.HOME / "two") == metrics(runs.HOME / "again")
    pairs = zip(metrics(runs.HOME / "one"), metrics(runs.HOME / "two"), strict=True)
    for mine, theirs in pairs:
        key = "loss" if "loss" in mine else "val_loss"
        assert mine[key] == pytest.approx(theirs[key], rel=losses)
    apart = np.linalg.norm(one.weights - two.weights) / np.linalg.norm(one.weights)
    assert apart < weights


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_is_killed_ends_all_with_one_line(rank):
    launcher = mpirun.ranks(2, *LONG, "--quiet")
    mpirun.wait_for(runs.HOME / "run" / runs.LAST, launcher)
    while last("run").step < 20:  # the first save may not have been told yet
        assert launcher.poll() is None
    os.kill(mpirun.rank_of(launcher, rank), signal.SIGKILL)
    code, _, err = mpirun.ended(launcher, timeout=20)
    assert code not in (0, None)
    assert err.count("charrnn:") == 1
    assert INTACT in err
    assert last("run").step >= 10


@pytest.mark.parametrize(
    ("number", "to"),
    [
        *product((signal.SIGINT, signal.SIGTERM), ("launcher", 0, 1)),
        *product([signal.SIGHUP], (0, 1)),  # the launcher of MPICH does not pass it on
    ],
)
def test_a_signal_to_any_of_them_saves_and_ends_all(number, to):
    launcher = mpirun.ranks(2, *LONG)
    mpirun.wait_for(runs.HOME / "run" / runs.LAST, launcher)
    os.kill(launcher.pid if to == "launcher" else mpirun.rank_of(launcher, to), number)
    code, _, err = mpirun.ended(launcher, timeout=60)
    assert code == 128 + number
    assert err.count("interrupted at step") == 1
    assert "saved; to continue: charrnn train --resume checkpoints/run --backend numpy\n" in err
    for size in (1, 2, 3):
        steps = str(last("run").step + 5)
        code, _, err = mpirun.run(size, "train", "--resume", "run", "--steps", steps, "--quiet")
        assert (code, err) == (0, "")
        assert last("run").step == int(steps)


def test_a_reader_that_goes_away_ends_all():
    launcher = mpirun.ranks(2, *LONG, "--json", "--log-every", "1")
    assert json.loads(launcher.stdout.readline())["ranks"] == 2
    launcher.stdout.close()
    launcher.stdout = None
    code, _, err = mpirun.ended(launcher, timeout=60)
    assert code != 0
    assert "Traceback" not in err


ONCE = [
    (["train", "text.txt", "--hidden", "-3"], 2, "--hidden must be at least 1, not -3"),
    (["train", "text.txt", "--nonsense"], 2, "No such option: --nonsense"),
    (["train", "nowhere.txt"], 1, "nowhere.txt does not exist"),
    (["train", "text.txt", "--batch", "1"], 2, "1 stream cannot be divided among 2 ranks"),
    (["train", "-"], 2, "standard input reaches only one of the ranks; name a file"),
    (["train", "text.txt", "--dry-run"], 2, "--dry-run measures a single process"),
    (["train", "--resume", "nowhere"], 1, "there is no run 'nowhere'"),
    ([*LONG[:-6], "--lr", "1e30", "--max-rollbacks", "0", "--quiet"], 1, "training diverged"),
]


@pytest.mark.parametrize(("arguments", "code", "message"), ONCE)
def test_an_error_of_all_is_reported_once(arguments, code, message):
    found, out, err = mpirun.run(2, *arguments)
    assert (found, out) == (code, "")
    lines = [line for line in err.splitlines() if line]
    assert len(lines) == 1, err
    assert lines[0].startswith("charrnn: error: ")
    assert message in lines[0]


def test_an_error_of_one_names_its_rank(work):
    (work / "other.txt").write_text("abc" * 500)
    messages = {"no": "no does not exist", "other.txt": "has another text than rank 0"}
    for text, message in messages.items():
        code, _, err = mpirun.run(1, *LONG, more=[["train", text, *LONG[2:]]])
        assert code == 1
        assert err.startswith("charrnn: error: rank 1")
        assert message in err
        assert err.count("\n") == 1
    assert not runs.HOME.exists()


@pytest.mark.parametrize("odd", [0, 1])
def test_a_rank_of_another_version_is_refused(odd, work):
    patched = work / "patched"
    patched.mkdir()
    (patched / "sitecustomize.py").write_text("import charrnn\ncharrnn.__version__ = '0.0.0'\n")
    line = [*command("train", "text.txt", "--name", "run", "--backend", "numpy")]
    alone = [["-n", "1", *line], ["-n", "1", *line]]
    alone[odd][2:2] = ["env", f"PYTHONPATH={patched}"]
    found = subprocess.run(
        [mpirun.MPIRUN, *alone[0], ":", *alone[1]], capture_output=True, text=True, timeout=120
    )
    assert found.returncode == 1
    assert "rank 1 has another version of charrnn than rank 0; start all ranks" in found.stderr
    assert not runs.HOME.exists()


def test_two_ranks_tag_like_one_process(work):
    tokens = ["ab", "cde", "fa", "b", "dcb", "ea"]
    rows = [f"{one}\t{'V' if one[-1] in 'ae' else 'C'}" for one in tokens]
    lines = [row for n in range(40) for row in (*rows[n % 5 :], *rows[: 1 + n % 3], "")]
    (work / "tags.tsv").write_text("\n".join(lines) + "\n")
    line = ["train", "tags.tsv", "--task", "tag", "--hidden", "12", "--batch", "8", "--dropout"]
    line += ["0.2", "--dtype", "float64", "--steps", "20", "--log-every", "1", "--eval-every", "5"]
    assert charrnn(*line, "--backend", "numpy", "--name", "one").returncode == 0
    code, _, err = mpirun.run(2, *line, "--backend", "numpy", "--name", "two")
    assert code == 0, err
    assert last("two").weights == pytest.approx(last("one").weights, rel=1e-10, abs=1e-13)
    for mine, theirs in zip(*map(metrics, (runs.HOME / "one", runs.HOME / "two")), strict=True):
        for key in {"loss", "val_loss"} & mine.keys():
            assert mine[key] == pytest.approx(theirs[key], rel=1e-10)


def test_a_text_is_scored_together(work):
    lines = "".join(f"line {number} of a text\n" for number in range(400))
    (work / "lines.txt").write_text(lines)
    short = ["--hidden", "8", "--steps", "3", "--quiet", "--backend", "numpy"]
    for name, more in (("whole", []), ("lines", ["--examples", "line"])):
        assert charrnn("train", "lines.txt", "--name", name, *short, *more).returncode == 0
        line = ["eval", "lines.txt", "--run", name, "--json"]
        one = json.loads(charrnn(*line).stdout)
        code, out, err = mpirun.run(2, *line)
        assert (code, err) == (0, "")
        two = json.loads(out)
        for key in (
            "nats",
            "nats_per_char",
            "bits",
            "bits_per_char",
            "bits_per_byte",
            "perplexity",
        ):
            assert two.pop(key) == pytest.approx(one.pop(key), rel=1e-9)
        assert one == two
    code, _, err = mpirun.run(2, "eval", "lines.txt", "--run", "whole", "--per-char")
    assert code == 2
    assert err == "charrnn: error: --per-char needs a single process; start it without mpirun\n"
