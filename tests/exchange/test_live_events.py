"""Event files that are written while training goes on."""

import json
import os
import struct

import numpy as np
import pytest
from helpers.commands import charrnn, inside, start
from helpers.faults import Disk
from helpers.running import TEXT

from charrnn.errors import CharRNNError
from charrnn.exchange.event_file import event, opening, restart, scalars, summaries
from charrnn.exchange.live_events import LiveEvents
from charrnn.storage.metrics import read_metrics

START = {"event": "start", "step": 0, "run": "r"}
STEPS = [
    {"event": "step", "step": n, "loss": 3.0 - n / 10, "seconds": 2.0 * n} for n in range(1, 6)
]
BACK = {"event": "rollback", "step": 5, "to_step": 2, "lr_factor": 0.5}


def keep(run, *lines):
    """Write a run's metrics."""
    run.mkdir(exist_ok=True)
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (run / "metrics.jsonl").write_text(text, encoding="utf-8")


def written(path):
    """Return the data of the records of a file, after their times."""
    data, found = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        found.append(data[12 + 9 : 12 + length])
        data = data[16 + length :]
    return found


def timeless(*records):
    return [data[12 + 9 : -4] for data in records]


def test_a_session_begins_with_what_is_kept_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 100.0)
    run = tmp_path / "r"
    keep(run, START, *STEPS[:2])
    events = LiveEvents(tmp_path / "board" / "r", run)
    events.take({**START, "step": 2, "resumed": True})
    events.take(STEPS[2])
    events.close()
    assert events.path.name == "events.out.tfevents.r.0001.charrnn"
    assert events.path.read_bytes() == b"".join(
        [
            opening(100.0),
            restart(100.0, 0),
            *summaries(STEPS[:2], 96.0),
            *summaries(STEPS[2:3], 94.0),
        ]
    )
    again = LiveEvents(tmp_path / "board" / "r", run)
    assert again.path.name == "events.out.tfevents.r.0002.charrnn"


def test_a_rollback_takes_back_what_it_undid(tmp_path):
    run = tmp_path / "r"
    keep(run, START)
    events = LiveEvents(tmp_path / "board", run)
    for line in (START, *STEPS):
        events.take(line)
    keep(run, START, *STEPS[:2], BACK)
    events.take(BACK)
    events.take(STEPS[2])
    of = {n: event(0.0, n, scalars(STEPS[n - 1])) for n in range(1, 6)}
    assert written(events.path)[1:] == timeless(
        restart(0.0, 0), of[1], of[2], of[3], of[4], of[5], restart(0.0, 2), of[2], of[3]
    )


@pytest.mark.parametrize("call", range(1, 4))
def test_a_full_disk_leaves_whole_records(call, tmp_path, monkeypatch):
    run = tmp_path / "r"
    keep(run, START)
    events = LiveEvents(tmp_path / "board", run)
    with monkeypatch.context() as patch:
        events._handle = None  # opened anew, so that the disk knows it
        disk = Disk(patch, tmp_path / "board", fail_at=call)
        events._handle = os.open(events.path, os.O_WRONLY | os.O_APPEND)
        with pytest.raises(CharRNNError, match="No space left"):
            for line in (START, *STEPS):
                events.take(line)
        assert disk.failed
    assert len(written(events.path)) == call
    events.close()


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "t.txt").write_text(TEXT * 3)
    return tmp_path


SMALL = (
    "--hidden",
    "4",
    "--batch",
    "2",
    "--seq-len",
    "8",
    "--log-every",
    "1",
    "--tensorboard",
    "b",
)


def test_training_goes_on_without_a_board_that_fails(place, monkeypatch):
    disk = Disk(monkeypatch, "b/", fail_at=4, lasting=True)
    done = inside("train", "t.txt", "--name", "r", "--steps", "6", *SMALL, "--json", cwd=place)
    assert (done.returncode, done.stdout.count('"event": "step"')) == (0, 6)
    assert disk.failed
    (note,) = [line for line in done.stderr.splitlines() if "No space left" in line]
    later = note.partition("writes it: charrnn ")[2].split()
    monkeypatch.undo()
    assert inside(*later, cwd=place).returncode == 0
    (path,) = (place / "b" / "r").iterdir()
    assert path.read_bytes().count(b"smoothed") == 6


@pytest.mark.slow
def test_a_board_that_cannot_be_made_stops_it_before_it_begins(place):
    (place / "b").mkdir()
    (place / "b" / "r").write_text("in the way")
    done = inside("train", "t.txt", "--name", "r", "--steps", "6", *SMALL, cwd=place)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "cannot write b/r/events" in done.stderr
    assert not (place / "checkpoints" / "r").exists()
    (place / "file").touch()
    done = inside("train", "t.txt", "--tensorboard", "file", cwd=place)
    assert (done.returncode, "--tensorboard file is a file" in done.stderr) == (2, True)


def series(folder):
    """Return what TensorBoard's reader finds in a folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    read.Reload()
    return {
        tag: [(one.step, one.value) for one in read.Scalars(tag)] for tag in read.Tags()["scalars"]
    }


def recorded(folder):
    """Return the same of a run's metrics."""
    found = {}
    for line in read_metrics(folder):
        for tag, value in scalars(line).items():
            found.setdefault(tag, []).append((line["step"], np.float32(value)))
    return found


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of its own imports
def test_tensorboard_reads_a_run_that_was_killed_and_resumed(place):
    pytest.importorskip("tensorboard")
    every = ("--watch", "3", "--eval-every", "5", "--save-every", "7")
    line = ("train", "t.txt", "--name", "r", *SMALL, *every, "--steps", "100000", "--quiet")
    metrics = place / "checkpoints/r/metrics.jsonl"
    with start(*line, cwd=place) as process:
        while not metrics.exists() or metrics.read_bytes().count(b'"step"') < 60:
            assert process.poll() is None
        process.kill()
    resume = ("train", "--resume", "r", "--tensorboard", "b", "--quiet")
    steps = [json.loads(line)["step"] for line in metrics.read_text().splitlines()[:-1]][-1] + 20
    for more in (0, 9):
        done = charrnn(*resume, "--steps", steps + more, cwd=place)
        assert done.returncode == 0, done.stderr
    assert len(list((place / "b/r").iterdir())) == 3
    expected = recorded(place / "checkpoints/r")
    assert series(place / "b/r") == expected
    assert {"val_loss", "loss", "grad_norms/l0", "update_ratios/global"} <= expected.keys()
    assert [step for step, _ in expected["loss"]] == list(range(1, steps + 10))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_tensorboard_reads_a_run_that_was_rolled_back(place):
    pytest.importorskip("tensorboard")
    wild = ("--cell", "rnn", "--activation", "relu", "--optimizer", "sgd", "--clip-norm", "0")
    wild += ("--lr", "1e4", "--warmup", "100", "--save-every", "4", "--eval-every", "3")
    line = ("train", "t.txt", "--name", "r", "--steps", "60", *SMALL, *wild)
    assert "rollbacks; look at it" in inside(*line, "--max-rollbacks", "9", cwd=place).stderr
    lines = list(read_metrics(place / "checkpoints/r"))
    assert any(line["event"] == "rollback" and line["to_step"] > 0 for line in lines)
    assert series(place / "b/r") == recorded(place / "checkpoints/r")
