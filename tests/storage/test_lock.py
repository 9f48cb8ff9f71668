"""Two training processes never write into one folder, and a dead owner locks nobody out."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing

import pytest
from helpers.commands import start
from helpers.running import SMALL, begin, train

from charrnn.cli.app import run
from charrnn.errors import CharRNNError
from charrnn.storage import checkpoint as checkpoints
from charrnn.storage import lock, runs
from charrnn.storage.lock import Lock, LockedError

posix = pytest.mark.skipif(os.name == "nt", reason="signals and locks are those of POSIX")

HOLD = """
import sys, time
from pathlib import Path
from charrnn.storage.lock import Lock
held = Lock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""
RACE = """
import sys
from charrnn.storage import runs
sys.stdin.read(1)
try:
    held = runs.create(sys.argv[1] or None, None, "text")
except Exception as problem:
    print(type(problem).__name__, flush=True)
else:
    print(held.folder, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


@pytest.fixture
def owner(folder):
    """A process that holds the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


@pytest.fixture(params=["flock", "by name"])
def kind(request, monkeypatch):
    """The locks of the system, and what there is without them."""
    if request.param == "by name":
        monkeypatch.setattr(lock, "fcntl", None)
        monkeypatch.setattr(lock, "_PATIENCE", 0.01)
    return request.param


def test_another_process_is_refused_and_told_who_holds_the_folder(owner, folder, kind):
    with pytest.raises(LockedError) as caught:
        Lock(folder)
    assert f"process {owner.pid} on {socket.gethostname()}" in caught.value.message
    assert caught.value.exit_code == 1
    assert "\n" not in str(caught.value)
    assert json.loads((folder / lock.NAME).read_text())["pid"] == owner.pid


@posix
def test_the_lock_of_a_killed_process_is_none(owner, folder, kind):
    owner.kill()
    owner.wait()
    assert (folder / lock.NAME).exists()
    held = Lock(folder)
    assert json.loads((folder / lock.NAME).read_text())["pid"] == os.getpid()
    held.release()
    assert list(folder.iterdir()) == []


def test_a_second_lock_of_the_same_process_is_refused_until_the_first_is_released(folder, kind):
    first = Lock(folder)
    with pytest.raises(LockedError, match=f"process {os.getpid()} "):
        Lock(folder)
    first.release()
    first.release()
    second = Lock(folder)
    first.release()
    assert (folder / lock.NAME).exists()
    del second  # as good as released
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"pid": "1"}', b"\xff", b"[" * 4000])
def test_a_file_that_says_nothing_sensible_is_no_lock(content, folder, kind):
    (folder / lock.NAME).write_bytes(content)
    Lock(folder).release()
    assert list(folder.iterdir()) == []


def sign(folder, **owner):
    found = {"pid": os.getppid(), "host": socket.gethostname(), "start": lock._start(os.getppid())}
    (folder / lock.NAME).write_text(json.dumps(found | owner))


def test_without_locks_of_the_system_the_owner_is_looked_up(folder, monkeypatch):
    monkeypatch.setattr(lock, "fcntl", None)
    sign(folder)
    with pytest.raises(LockedError, match=f"process {os.getppid()} "):
        Lock(folder)
    if lock._start(os.getpid()):
        sign(folder, start="1")  # its number has gone to another process
        Lock(folder).release()
    sign(folder, host="else\x1b[31mwhere")
    with pytest.raises(LockedError, match=r"on else\\x1b\[31mwhere; .*remove .*\.lock") as caught:
        Lock(folder)
    assert str(caught.value).isprintable()


@posix
def test_a_lock_that_is_not_a_regular_file_is_refused_and_not_followed(folder, tmp_path):
    (tmp_path / "precious").write_text("kept")
    (folder / lock.NAME).symlink_to(tmp_path / "precious")
    with pytest.raises(CharRNNError, match="cannot lock"):
        Lock(folder)
    assert (tmp_path / "precious").read_text() == "kept"
    (folder / lock.NAME).unlink()
    os.mkfifo(folder / lock.NAME)
    with pytest.raises(CharRNNError, match="is not a regular file"):
        Lock(folder)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks")
def test_a_fork_that_ends_does_not_let_go(folder):
    held = Lock(folder)
    pid = os.fork()
    if pid == 0:
        held.release()
        os._exit(0)
    os.waitpid(pid, 0)
    with pytest.raises(LockedError):
        Lock(folder)
    held.release()


@pytest.mark.parametrize(("name", "given"), [("", None), ("mine", "mine")])
def test_of_many_that_begin_at_once_each_gets_a_folder_of_its_own_or_is_refused(name, given, home):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    racers = [subprocess.Popen([sys.executable, "-c", RACE, name], **pipes) for _ in range(4)]
    time.sleep(0.3)
    for racer in racers:
        racer.stdin.write("x")
        racer.stdin.flush()
    told = sorted(racer.stdout.readline().strip() for racer in racers)
    for racer in racers:
        racer.communicate()
    if given:
        assert told == ["LockedError"] * 3 + [str(runs.HOME / given)]
    else:
        stems = ["text", "text-2", "text-3", "text-4"]
        assert told == sorted(str(runs.HOME / stem) for stem in stems)
    for folder in runs.HOME.iterdir():  # nothing came of them
        assert list(folder.iterdir()) == []


def test_sessions_hold_their_folder_and_let_it_go(text):
    with closing(begin(text, name="run", **SMALL)) as session:
        with pytest.raises(LockedError):
            begin(text, name="run", **SMALL)
        assert (session.folder / lock.NAME).exists()
    assert not session.folder.exists()
    first, _ = train(text, name="run", stop=2, **SMALL)
    with closing(begin(resume="run")), pytest.raises(LockedError) as caught:
        begin(resume="run")
    assert caught.value.remedy == "wait until it ends, or end that training run in this process"
    last, _ = train(resume="run")
    assert last.finished is None
    assert begin(resume="run").finished == "steps"
    with pytest.raises(CharRNNError, match="conflicts"):
        begin(resume="run", hidden=99)
    assert lock.NAME not in {path.name for path in first.folder.iterdir()}


@posix
def test_two_trainings_from_the_command_line(home, capfd):
    small = ["--hidden", "8", "--batch", "4", "--seq-len", "8", "--save-every", "5", "--quiet"]
    endless = ["train", "hello", "--name", "run", *small, "--minutes", "9", "--eval-every", "0"]
    first = start(*endless, stdout=None, stderr=None)
    try:
        folder = runs.HOME / "run"
        for _ in range(600):
            if (folder / runs.LAST).exists():
                break
            time.sleep(0.05)
        for second in (["--resume", "run"], ["hello", "--name", "run"], ["--resume", "last"]):
            assert run(["train", *second]) == 1
            told = capfd.readouterr()
            assert told.out == ""
            assert told.err.startswith("charrnn: error: run 'checkpoints/run' is being trained by ")
            assert f"process {first.pid} on {socket.gethostname()}; " in told.err
            resumes = "--resume" in second
            assert ("train into another folder" in told.err) != resumes
            stopping = f"or stop it with kill {first.pid}, which saves the run\n"
            assert (stopping in told.err) == resumes
            assert told.err.count("\n") == 1
        for reading in (["info", "run"], ["sample", "run", "--length", "9"], ["runs"]):
            assert run(reading) == 0
            told = capfd.readouterr()
            assert told.err == ""
            assert reading[0] == "sample" or "running, " in told.out
        first.send_signal(signal.SIGKILL)
        first.wait()
        assert (folder / lock.NAME).exists()
        assert not lock.is_held(folder)
        assert run(["runs"]) == 0
        assert "stopped" in capfd.readouterr().out
        (folder / f".{runs.LAST}.{first.pid}.tmp").write_bytes(b"half a checkpoint")
        step = checkpoints.load(folder / runs.LAST).step
        assert run(["train", "--resume", "run", "--steps", str(step + 50), "--quiet"]) == 0
        names = {path.name for path in folder.iterdir()}
        assert names == {runs.BEST, runs.LAST, runs.METRICS, "val.npy"}
    finally:
        first.kill()
        first.wait()


def test_whether_a_folder_is_held_is_seen_without_touching_it(folder):
    assert not lock.is_held(folder)
    assert not any(folder.iterdir())
    held = Lock(folder)
    contents = (folder / lock.NAME).read_bytes()
    assert lock.is_held(folder)
    assert (folder / lock.NAME).read_bytes() == contents
    held.release()
    for owner in ("", "[]", json.dumps({"pid": 2**30, "host": socket.gethostname()})):
        (folder / lock.NAME).write_text(owner)
        assert not lock.is_held(folder)
    (folder / lock.NAME).write_text(json.dumps({"pid": 1, "host": "elsewhere"}))
    assert lock.is_held(folder)
