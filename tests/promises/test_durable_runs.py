"""Whatever fails in a training run, what was saved is there, and the run goes on from it."""

import errno
import os
import shutil
import subprocess
import sys
from contextlib import closing

import numpy as np
import pytest
from helpers.faults import Disk, names
from helpers.killing import state
from helpers.running import SMALL, assert_same_run, begin, metrics, train

from charrnn.cli.app import run
from charrnn.errors import CharRNNError
from charrnn.storage import checkpoint as checkpoints
from charrnn.storage import runs
from charrnn.storage.lock import NAME as LOCK
from charrnn.storage.metrics import read_metrics

posix = pytest.mark.skipif(os.name == "nt", reason="folders cannot be flushed there")


def command(*arguments, steps=8):
    small = ["--hidden", "6", "--batch", "4", "--seq-len", "8", "--steps", str(steps), "--quiet"]
    often = ["--log-every", "1", "--save-every", "3", "--eval-every", "4", "--backend", "numpy"]
    return ["train", *arguments, *small, *often]


def go_through_a_failing_run(folder, expected, capsys):
    """After a run failed: one line, what was saved loads, and going on ends as it should."""
    told = capsys.readouterr()
    assert told.out == ""
    problems = [line for line in told.err.splitlines() if not line.startswith("charrnn: note: ")]
    assert [line[:23] for line in problems] == ["charrnn: error: cannot "]
    saved = list(folder.glob("*.safetensors"))
    for path in saved:
        checkpoints.load(path)
    if folder.exists():
        assert not [name for name in names(folder) if name.endswith((".tmp", LOCK))]
    again = ["train", "--resume", str(folder), "--quiet"]
    assert run(again if saved else command("text.txt", "--out", str(folder))) == 0
    assert state(folder) == expected
    capsys.readouterr()


@posix
@pytest.mark.parametrize(
    ("error", "lasting", "stride"),
    [
        (errno.ENOSPC, True, 19),
        (errno.EIO, False, 23),
        pytest.param(errno.ENOSPC, False, 1, marks=pytest.mark.slow),
        pytest.param(errno.ENOSPC, True, 1, marks=pytest.mark.slow),
        pytest.param(errno.EIO, False, 1, marks=pytest.mark.slow),
    ],
)
def test_each_call_of_a_training_may_fail(error, lasting, stride, text, home, monkeypatch, capsys):
    """Of a whole run from the command line: exit code 1, one line, nothing lost, no litter."""
    folder = home / "run"
    assert run(command(text, "--out", str(folder))) == 0
    expected = state(folder)
    capsys.readouterr()
    for number in range(0, 10_000, stride):
        shutil.rmtree(folder)
        with monkeypatch.context() as patch:
            disk = Disk(patch, folder, number, error, lasting=lasting)
            code = run(command(text, "--out", str(folder)))
        assert code == disk.failed, (number, disk.calls[-1])
        if not disk.failed:
            break
        go_through_a_failing_run(folder, expected, capsys)
    assert number > 50
    assert state(folder) == expected


BIG = """
import resource, sys
sys.dont_write_bytecode = True  # Python would leave a part of a module's file, which breaks others
from charrnn.cli.app import run
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(run(sys.argv[2:]))
"""


@posix
@pytest.mark.slow
@pytest.mark.parametrize("limit", [400, 1200, 5000])
def test_files_that_may_not_grow_are_a_clean_error(limit, text, home, capsys):
    """A limit of the system: some writes come short, the next one fails."""
    folder, arguments = home / "run", command(text, "--out", str(home / "run"))
    assert run(arguments) == 0
    assert max(path.stat().st_size for path in folder.iterdir()) > limit
    expected = state(folder)
    shutil.rmtree(folder)
    capsys.readouterr()
    done = subprocess.run(
        [sys.executable, "-c", BIG, str(limit), *arguments], capture_output=True, text=True
    )
    assert done.returncode == 1, done.stderr
    print(done.stderr, end="", file=sys.stderr)
    go_through_a_failing_run(folder, expected, capsys)


FULL = """
set -e
mount -t tmpfs -o size=$1 none "$2"
"$3" -m charrnn train text.txt --out "$2/run" --hidden 24 --batch 4 --seq-len 8 --steps 30 \
    --log-every 1 --save-every 5 --eval-every 0 --keep 20 --quiet --backend numpy && exit 99
test -z "$(find "$2/run" -name '*.tmp' -o -name .lock)"
for file in $(find "$2/run" -name '*.safetensors'); do "$3" -m charrnn info "$file" >/dev/null; done
ls "$2/run" | grep -c step- || true
mount -o remount,size=100m "$2"
"$3" -m charrnn train --resume "$2/run" --quiet
ls "$2/run" | grep -c step-
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux" or os.getuid() != 0, reason="mounting needs root")
@pytest.mark.parametrize("size", ["128k", "176k"])
def test_a_full_disk_is_a_clean_error_and_training_goes_on_once_there_is_room(size, text, home):
    (home / "disk").mkdir()
    if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("no namespace for mounts")
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", FULL, "sh", size, "disk", sys.executable],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("charrnn: error:") == 1
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr
    before, after = map(int, done.stdout.split())
    assert 0 < before < after == 6


def test_metrics_that_lost_their_end_are_noted_and_go_on_at_a_whole_line(text, home, capsys):
    train(text, name="whole", **SMALL, save_every=10)
    session, _ = train(text, name="run", stop=20, **SMALL, save_every=10)
    path = session.folder / runs.METRICS
    whole = path.read_bytes()
    for length in (len(whole) // 2, 0):
        path.write_bytes(whole[:length])
        before = checkpoints.load(session.folder / runs.LAST).weights
        again = begin(resume="run", stop=20)
        assert len([note for note in again.notes if "metrics.jsonl is shorter" in note]) == 1
        list(again.records())
        lines = list(read_metrics(session.folder))  # every line can be read
        assert lines[-1]["event"] == "end"
        assert path.read_bytes().startswith(whole[: whole.rfind(b"\n", 0, length) + 1])
        after = checkpoints.load(session.folder / runs.LAST)
        np.testing.assert_array_equal(after.weights, before)
        assert after.progress.metrics_bytes <= path.stat().st_size
    path.unlink()
    session, _ = train(resume="run")
    assert [line["step"] for line in metrics(session.folder, ["step"])] == list(range(21, 41))
    whole, other = (checkpoints.load(runs.HOME / n / runs.LAST) for n in ("whole", "run"))
    np.testing.assert_array_equal(whole.weights, other.weights)


def test_what_was_left_before_the_first_save_is_taken_over(text, home):
    def unsaved(name, start=b'{"event": "start", "step": 0}\n{"ev'):
        folder = runs.HOME / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / runs.METRICS).write_bytes(start)
        (folder / "test.npy").write_bytes(b"of a run with a test text")
        (folder / LOCK).write_bytes(b'{"pid": 1, "host": "elsewhere"}')
        return folder

    for options in ({}, {"name": "text"}):
        folder = unsaved("text")
        session, _ = train(text, **SMALL | {"steps": 2}, **options)
        assert session.folder == folder
        assert names(folder) == [runs.BEST, runs.LAST, runs.METRICS, "val.npy"]
        assert [line["step"] for line in metrics(folder, ["step"])] == [1, 2]
        for path in folder.iterdir():
            path.unlink()
    folder = unsaved("text", b'{"loss": 3}\n')  # of another program
    before = (folder / runs.METRICS).read_bytes()
    with pytest.raises(CharRNNError, match="already contains a run"):
        begin(text, name="text", **SMALL)
    assert (folder / runs.METRICS).read_bytes() == before


def test_a_run_that_has_only_a_best_or_a_numbered_checkpoint_is_resumed_exactly(text, home):
    options = SMALL | {"eval_every": 5, "save_every": 10, "sample_every": 5, "watch": 4}
    whole, _ = train(text, name="whole", **options, keep=4)
    expected = metrics(whole.folder, ("step", "eval", "sample", "watch"))
    for name in (runs.BEST, "step-00000010.safetensors"):
        session, _ = train(text, name="run", stop=14, **options, keep=4)
        kept = (session.folder / name).read_bytes()
        for path in session.folder.glob("*.safetensors"):
            path.unlink()
        (session.folder / name).write_bytes(kept)
        if name == runs.BEST:
            assert runs.newest() == session.folder
        session, _ = train(resume="run")
        assert metrics(session.folder, ("step", "eval", "sample", "watch")) == expected
        assert names(session.folder) == names(whole.folder)
        for path in session.folder.iterdir():
            path.unlink()
        session.folder.rmdir()


def test_a_name_of_a_metrics_file_that_is_a_link_is_not_followed(text, home):
    session, _ = train(text, name="run", stop=3, **SMALL)
    (home / "precious").write_text("kept\n")
    path = session.folder / runs.METRICS
    path.unlink()
    path.symlink_to(home / "precious")
    with pytest.raises(CharRNNError, match=r"cannot write .*metrics\.jsonl"):
        train(resume="run")
    assert (home / "precious").read_text() == "kept\n"


@pytest.mark.slow
def test_whoever_stops_listening_at_any_record_loses_none(text, home):
    options = SMALL | {"steps": 9, "eval_every": 3, "save_every": 4, "sample_every": 3, "watch": 2}
    events = ("step", "eval", "sample", "watch")
    whole, records = train(text, name="whole", **options, keep=9)
    expected = metrics(whole.folder, events)
    assert len(records) > 25
    for heard in range(1, len(records), 2):
        with closing(begin(text, name="run", **options, keep=9)) as session:
            told = session.records()
            for _ in range(heard):
                next(told)
            told.close()
        train(resume="run")
        assert metrics(session.folder, events) == expected
        assert_same_run(session.folder, whole.folder)
        assert names(session.folder) == names(whole.folder)
        shutil.rmtree(session.folder)
