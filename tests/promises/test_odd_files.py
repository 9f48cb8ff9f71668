"""Odd files as texts, which change, never end or may not be read: each has a defined result."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from helpers.commands import charrnn, start

from charrnn.errors import CorpusError
from charrnn.text import open_corpus
from charrnn.text.source import Source

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX only")


@pytest.fixture(autouse=True)
def _alone(home, monkeypatch):
    monkeypatch.setenv("PYTHONWARNINGS", "error")


# Files that change


@pytest.mark.parametrize("change", ["shrinks", "grows", "vanishes", "is exchanged"])
@pytest.mark.parametrize("reading", [1, 2])
def test_a_file_that_changes_while_it_is_encoded(home, monkeypatch, change, reading):
    """Encoding reads a text twice; a change between the two, or in one of them, is reported."""
    path = home / "text"
    path.write_text("abcdefgh" * 400_000)
    whole, count = Source.chunks, []

    def chunks(self, **keywords):
        count.append(1)
        for number, data in enumerate(whole(self, **keywords)):
            yield data
            if number == 0 and len(count) == reading:
                if change == "shrinks":
                    os.truncate(path, 2_000_000)
                elif change == "grows":
                    with path.open("ab") as file:
                        file.write(b"more")
                elif change == "vanishes":
                    path.unlink()
                else:
                    path.write_text("01234567" * 400_000)

    monkeypatch.setattr(Source, "chunks", chunks)
    if change == "vanishes" and reading == 2 and os.name == "posix":
        assert len(open_corpus(path).train)  # what is open can still be read
        return
    with pytest.raises(CorpusError, match=r"changed while being read|does not exist|cannot read"):
        open_corpus(path)


ENDLESS = ("--hidden", "8", "--steps", "400", "--log-every", "1", "--batch", "4", "--seq-len", "8")


@pytest.mark.slow
@posix
@pytest.mark.parametrize("level", ["char", pytest.param("byte", marks=pytest.mark.slow)])
def test_a_file_that_shrinks_while_training_changes_nothing(home, level):
    """The text is read before the first step and never again; what is mapped is the cache's."""
    for name in ("text", "held"):
        (home / name).write_text("some text that is long enough to be trained on\n" * 200)
    command = ("train", "text", "--val", "held", "--level", level, *ENDLESS, "--eval-every", "100")
    losses = []
    for shrink in (False, True):
        with start(*command, "--json", cwd=home, stderr=None) as process:
            told = [json.loads(process.stdout.readline()) for _ in range(3)]
            if shrink:
                os.truncate(home / "text", 0)
                os.truncate(home / "held", 5)
            told += [json.loads(line) for line in process.stdout]
        assert process.returncode == 0
        losses.append([r.get("loss", r.get("val_loss")) for r in told if r["event"] != "start"])
    assert losses[0] == losses[1]


@pytest.mark.slow
@posix
def test_the_cache_removed_while_training_changes_nothing(home):
    (home / "text").write_text("some text that is long enough to be trained on\n" * 200)
    quiet = {"cwd": home, "stderr": subprocess.DEVNULL}
    with start("train", "text", *ENDLESS, "--json", **quiet) as process:
        process.stdout.readline()
        assert charrnn("corpus", "cache", "--clear", cwd=home).returncode == 0
        assert len(process.stdout.readlines()) > 300
    assert process.returncode == 0


# What is no file


@posix
def test_a_pipe_is_read_to_its_end(home, train, trained):
    os.mkfifo(home / "fifo")
    writer = threading.Thread(target=lambda: (home / "fifo").write_text("from a pipe\n" * 50))
    writer.start()
    done = train("fifo")
    writer.join()
    assert done.returncode == 0, done.stderr
    assert set(trained()["vocabulary"]) == set("from a pipe\n")


@posix
@pytest.mark.parametrize(
    "device", ["/dev/zero", pytest.param("/dev/urandom", marks=pytest.mark.slow)]
)
def test_a_device_without_end_is_refused(home, device, call):
    (home / "link").symlink_to(device)
    (home / "text").write_text("abc" * 50)
    (home / "run.safetensors").write_text("")
    for command in (
        ["train", device],
        ["train", "link"],
        ["train", "text", "--val", device],
        ["corpus", "info", device],
    ):
        done = call(*command)
        assert done.returncode == 1
        assert "is a device, not a text" in done.stderr
    with Path(device).open("rb") as endless:
        done = charrnn("train", "-", cwd=home, stdin=endless)
    assert done.returncode == 1
    assert "standard input is a device, not a text" in done.stderr


@posix
def test_the_null_device_is_an_empty_text(home):
    for name in ("/dev/null", "-"):
        done = charrnn("train", name, cwd=home, stdin=subprocess.DEVNULL)
        assert done.returncode == 1
        assert "is empty" in done.stderr
        assert done.stderr.count("\n") == 1


@posix
def test_a_socket_is_one_line(home, call):
    import socket

    with socket.socket(socket.AF_UNIX) as listening:
        os.chdir(home)
        listening.bind("socket")
        done = call("train", "socket")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "cannot read" in done.stderr


@posix
def test_loops_of_folders_end(home, train, trained):
    folder = home / "texts"
    (folder / "below" / "deep").mkdir(parents=True)
    (folder / "one").write_text("abc" * 30)
    (folder / "below" / "two").write_text("def" * 30)
    (folder / "below" / "up").symlink_to(folder)
    (folder / "below" / "deep" / "again").symlink_to("..")
    (folder / "self").symlink_to("self")
    (folder / "nowhere").symlink_to("not/there")
    os.mkfifo(folder / "fifo")
    (folder / "device").symlink_to("/dev/zero")
    done = train("texts")
    assert done.returncode == 0, done.stderr
    assert trained()["vocabulary"] == list("abcdef")


@posix
def test_a_link_to_itself_is_one_line(home, call):
    (home / "self").symlink_to("self")
    done = call("train", "self")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1


@posix
def test_a_folder_or_file_that_may_not_be_read(home):
    if os.geteuid() == 0:
        code = (
            "import os, sys; os.setgroups([]); os.setgid(12345); os.setuid(12345)\n"
            "os.environ['HOME'] = '/none'; os.environ.pop('CHARRNN_CACHE', None)\n"
            "sys.dont_write_bytecode = True\n"
            "from charrnn.text import open_corpus; from charrnn.errors import CorpusError\n"
            "try: open_corpus(sys.argv[1])\n"
            "except CorpusError as problem: print(problem)\n"
        )
        probe = subprocess.run(
            [sys.executable, "-c", code, "hello"], capture_output=True, text=True, timeout=60
        )
        if probe.returncode or probe.stdout:
            pytest.skip("another user cannot run this Python")
    else:
        code = (
            "import sys; from charrnn.text import open_corpus\n"
            "from charrnn.errors import CorpusError\n"
            "try: open_corpus(sys.argv[1])\n"
            "except CorpusError as problem: print(problem)\n"
        )
    (home / "text").write_text("abc")
    (home / "text").chmod(0)
    (home / "folder").mkdir()
    (home / "folder").chmod(0)
    for name in ("text", "folder"):
        done = subprocess.run(
            [sys.executable, "-c", code, str(home / name)],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.stderr == ""
        assert done.stdout.startswith("cannot read")
    (home / "folder").chmod(0o700)


def test_names_that_cannot_be_paths(home, call):
    for name in ("x" * 5000, "a" * 300 + "/b", "text/below"):
        (home / "text").write_text("abc")
        done = call("train", name)
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
