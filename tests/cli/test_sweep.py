"""``charrnn sweep`` as it is used: its output, its end, several processes, no Optuna."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from helpers.commands import inside, start
from helpers.running import SMALL, TEXT

from charrnn.storage import runs

SWEEP = ["sweep", "text.txt", "--name", "s", "--backend", "numpy", "--threads", "1"]
for name, value in SMALL.items():
    SWEEP += ["--" + name.replace("_", "-"), str(value)] if name not in ("hidden", "lr") else []
SWEEP += ["--eval-every", "10"]
FOUR = (*SWEEP, "--try", "hidden=3,4", "--try", "lr=0.01,0.03")


@pytest.fixture(autouse=True)
def corpus(home):
    Path("text.txt").write_text(TEXT)


@pytest.fixture
def optuna():
    return pytest.importorskip("optuna")


def test_without_optuna_one_line_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr("charrnn.sweep.study.find_spec", lambda name: None)
    done = inside(*FOUR)
    assert (done.returncode, done.stdout) == (1, "")
    told = "charrnn: error: a sweep needs Optuna; pip install 'charrnn[sweep]'\n"
    assert done.stderr == told
    assert not runs.HOME.exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--try", "hidden=0,3"], "--hidden must be at least 1, not 0"),
        (["--try", "hidden=3..9"], "--search tpe has no end; give --trials or --total-minutes"),
        (["--try", "hidden=3", "--search", "best"], "choose one of grid, random, tpe"),
        (["--try", "hidden=3", "--trials", "0"], "--trials must be at least 1"),
        (["--try", "hidden=3", "--keep-runs", "none"], "choose one of best, all"),
        (["--try", "hidden=3", "-"], "- is read once; name files"),
        (["--try", "dtype=float64,float32", "--core", "native"], "computes in float32"),
        ([], "nothing to try: --try is missing"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_made(more, message):
    done = inside(*SWEEP, *more)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not runs.HOME.exists()


def test_the_file_of_a_run_is_one_for_its_sweep(optuna):
    train = ("train", "text.txt", "--name", "r", "--steps", "3", "--hidden", "3", "--quiet")
    assert inside(*train).returncode == 0
    own = inside("info", "r", "--config").stdout
    Path("own.toml").write_text(own)
    done = inside("sweep", "--config", "own.toml", "--try", "lr=0.01,0.02")
    assert (done.returncode, "passed over" in done.stderr) == (0, False), done.stderr
    Path("ranks.toml").write_text(own.replace("sync-every = 1", "sync-every = 4"))
    done = inside("sweep", "--config", "ranks.toml", "--try", "lr=0.01,0.02", "--name", "two")
    assert done.returncode == 0, done.stderr
    assert "note: --sync-every (in ranks.toml) only applies to several ranks" in done.stderr
    # what the command line says twice, and what a file says twice
    done = inside("sweep", "--config", "own.toml", "--try", "lr=0.01,0.02", "--lr", "1")
    assert "error: --lr is given for all trials, but --try varies it" in done.stderr
    Path("both.toml").write_text('try = ["lr=0.01,0.02"]\n' + own)
    done = inside("sweep", "--config", "both.toml")
    assert "error: --lr (in both.toml) is given for all trials" in done.stderr


def test_a_sweep_prints_its_trials_and_is_named_as_its_best_run(optuna):
    done = inside(*SWEEP, "--try", "hidden=3,4")
    assert done.returncode == 0, done.stderr
    head, *rows = done.stdout.splitlines()
    assert head.split() == ["trial", "hidden", "loss", "steps", "time", "state"]
    losses = [float(row.split()[2]) for row in rows]
    assert losses == sorted(losses)
    assert len(losses) == 2
    assert done.stderr.count("validation loss") == 3  # two trials, and the best of them
    assert inside("runs", "s").stdout == done.stdout
    listed = [json.loads(line) for line in inside("runs", "s", "--json").stdout.splitlines()]
    assert [trial["state"] for trial in listed] == ["complete"] * 2
    facts = json.loads(inside("info", "s", "--json").stdout)
    assert facts["hidden"] == listed[0]["options"]["hidden"]
    assert facts["best_val_loss"] == listed[0]["loss"]
    assert json.loads(inside("runs", "--json").stdout)["run"] == "s"
    assert inside("sample", "s", "--length", "5").returncode == 0
    assert inside("eval", "--run", "s", "--split", "val").returncode == 0
    unknown = inside("runs", "other")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "there is no sweep 'other'" in unknown.stderr


@pytest.mark.slow
def test_events_are_lines_of_json(optuna):
    done = inside(*FOUR, "--json", "--max-rollbacks", "0")
    assert (done.returncode, done.stderr) == (0, "")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    kinds = [event["event"] for event in events]
    assert (kinds[0], kinds[-1]) == ("sweep", "end")
    assert kinds.count("trial") == kinds.count("trial-end") == 4
    assert kinds.count("eval") == 16
    assert events[-1]["complete"] == 4
    assert events[-1]["best"]["loss"] == min(e["loss"] for e in events if e.get("loss"))


@pytest.mark.slow
def test_a_text_that_is_not_there_leaves_nothing(optuna):
    done = inside("sweep", "nothing.txt", "--try", "hidden=3,4", "--backend", "numpy")
    assert done.returncode == 1
    assert "nothing.txt does not exist" in done.stderr
    assert not (runs.HOME / "nothing-sweep").exists()


@pytest.mark.slow
def test_if_all_trials_fail_so_does_the_sweep(optuna):
    done = inside(*SWEEP, "--try", "lr=1e29,1e30", "--hidden", "3", "--max-rollbacks", "0")
    assert done.returncode == 1
    assert done.stdout.count("failed: training diverged") == 2
    assert done.stderr.endswith("charrnn: error: all trials failed; the table says why\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "text"),
    [
        ("classify", "cat\tthe cat sat\ndog\ta dog ate it\n" * 20),
        ("generate", "cat\tthe cat sat\ndog\ta dog ate it\n" * 20),
        ("tag", "a\tb\nb\ta\n\nb\tb\n\n" * 20),
        ("transduce", "cat\ttac\ndog\tgod\n" * 20),
    ],
)
def test_every_task_is_swept(task, text, optuna):
    Path("table.tsv").write_text(text)
    more = ("--task", task, "--steps", "4", "--batch", "4", "--try", "hidden=3,4")
    done = inside("sweep", "table.tsv", *more, "--backend", "numpy", "--name", "s")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("complete") == 2
    assert json.loads(inside("info", "s", "--json").stdout)["task"] == task


@pytest.mark.slow
def test_two_processes_divide_the_trials(optuna):
    processes = [start(*FOUR, "--try", "dropout=0,0.1,0.2", "--json") for _ in range(2)]
    outputs = [process.communicate(timeout=100) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    ends = [
        event["trial"]
        for out, _ in outputs
        for event in map(json.loads, out.splitlines())
        if event["event"] == "trial-end"
    ]
    assert sorted(ends) == list(range(1, 13))  # none twice


LONG = (*SWEEP, "--try", "hidden=3,4", "--steps", "3000", "--eval-every", "100")


def begun(process):
    """Wait until a sweep has evaluated a trial."""
    for line in process.stdout:
        if json.loads(line)["event"] == "eval":
            return
    raise AssertionError(process.stderr.read())


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), ("KILL", None)]
)
def test_a_sweep_that_was_stopped_goes_on(number, code, optuna):
    process = start(*LONG, "--json")
    begun(process)
    process.send_signal(signal.SIGKILL if number == "KILL" else number)
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    if code:
        assert process.returncode == code
        end = json.loads(out.splitlines()[-1])
        assert (end["event"], end["reason"], end["running"]) == ("end", "interrupted", 1)
    done = inside(*LONG)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("complete") == 2
    alone = ("train", "text.txt", *LONG[4:8], *LONG[8:], "--name", "alone", "--hidden")
    words = [w for w in alone if w not in ("--try", "hidden=3,4")]
    best = json.loads(inside("info", "s", "--json").stdout)
    assert inside(*words, str(best["hidden"]), "--quiet").returncode == 0
    same = json.loads(inside("info", "alone", "--json").stdout)
    assert same["weights_sha256"] == best["weights_sha256"]


@pytest.mark.slow
def test_a_sweep_keeps_to_its_time(optuna):
    begin = time.monotonic()
    done = inside(*SWEEP, "--try", "hidden=3,4", "--steps", "100000000", "--total-minutes", "0.03")
    assert done.returncode == 0, done.stderr
    assert "time limit reached, 1 unfinished" in done.stderr
    assert "the same command goes on" in done.stderr
    assert time.monotonic() - begin >= 1.8


def test_ranks_are_refused(optuna, monkeypatch):
    from charrnn.cli.process.ranks import Command

    class Two:
        size, rank = 2, 0

    monkeypatch.setattr(Command, "__init__", lambda self, *a: setattr(self, "team", Two()))
    done = inside(*FOUR)
    assert (done.returncode, done.stdout) == (2, "")
    assert "not by ranks; start it without mpirun" in done.stderr
    assert not runs.HOME.exists()
