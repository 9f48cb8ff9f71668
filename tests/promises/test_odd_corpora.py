"""Odd texts, from the shell: each has a defined result."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.commands import charrnn, start
from helpers.memory import told_by

from charrnn.cli.app import run
from charrnn.errors import CorpusError
from charrnn.text import corpus_from_text, iter_lines, open_corpus
from charrnn.text.source import Source

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX only")
QUICK = ("--hidden", "4", "--steps", "4", "--batch", "4", "--seq-len", "8", "--backend", "numpy")


@pytest.fixture(autouse=True)
def _alone(home, monkeypatch):
    monkeypatch.setenv("PYTHONWARNINGS", "error")


@pytest.fixture
def call(home, capfdbinary):
    """Run a command line in this process; return its code, stdout and stderr."""

    def run_it(*arguments):
        code = run(arguments)
        out, err = capfdbinary.readouterr()
        return SimpleNamespace(returncode=code, stdout=out.decode(), stderr=err.decode())

    return run_it


@pytest.fixture
def train(call):
    return lambda *arguments: call("train", *arguments, *QUICK, "--name", "run")


@pytest.fixture
def trained(call):
    """Return what ``info`` shows of the run."""
    return lambda: json.loads(call("info", "run", "--json").stdout)


REFUSED = {
    "empty": (b"", "text is empty"),
    "one character": (b"a", "1 symbol, but at least 2 are needed; use a longer text\n"),
    "two characters": (b"ab", "has 1 symbol, but at least 2 are needed"),  # one is held out
    "invalid UTF-8": (b"abc\xff" * 50, "not valid utf-8 at byte offset 3 (0xff)"),
    "UTF-8 that is cut off": (
        ("abc" * 50 + "é").encode()[:-1],
        "not valid utf-8 at byte offset 150",
    ),
    "a surrogate as UTF-8": (b"abc\xed\xa0\x80" * 20, "not valid utf-8 at byte offset 3"),
}


@pytest.mark.parametrize(("content", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_in_one_line(home, content, said, train):
    (home / "text").write_bytes(content)
    done = train("text")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
    assert not (home / "checkpoints").exists()


ACCEPTED = {
    "three characters": (b"abc", 3, "instead"),
    "shorter than a window": (b"abcde\n", 6, "instead"),
    "one repeated character": (b"a" * 300, 1, ""),
    "NUL bytes": (b"a\0b" * 80, 3, ""),  # a\0b\0 would be UTF-16
    "CRLF": (b"ab\r\n" * 80, 4, ""),
    "lone CR": (b"ab\r" * 80, 3, ""),
    "a byte order mark": (b"\xef\xbb\xbfabc" * 60, 4, ""),
    "control sequences": (b"\x1b[31mred\x1b[0m\x07" * 30, 10, ""),
    "the last code point": (("a\U0010ffff" * 100).encode(), 2, ""),
    "the replacement character": (("a\ufffd" * 100).encode(), 2, ""),
}


@pytest.mark.parametrize(("content", "symbols", "said"), ACCEPTED.values(), ids=ACCEPTED.keys())
def test_trained_on_as_it_is(home, content, symbols, said, train, trained, call):
    (home / "text").write_bytes(content)
    done = train("text")
    assert done.returncode == 0, done.stderr
    assert said in done.stderr
    vocabulary = trained()["vocabulary"]
    assert len(vocabulary) == symbols
    assert set(vocabulary) == set(content.decode())  # nothing translated, nothing dropped
    sample = call("sample", "run", "--length", "20", "--seed", "1")
    assert sample.returncode == 0
    assert set(sample.stdout) <= set(content.decode())


def test_any_bytes_train_at_byte_level(home, train, trained):
    (home / "text").write_bytes(bytes(range(256)) * 3)
    done = train("text", "--level", "byte")
    assert done.returncode == 0, done.stderr
    assert trained()["vocabulary"] == list(range(256))


def test_invalid_bytes_can_be_replaced(home, train, trained):
    (home / "text").write_bytes(b"abc\xff\xc3" * 50)
    assert train("text", "--errors", "replace").returncode == 0
    assert trained()["vocabulary"] == ["a", "b", "c", "\ufffd"]


def test_a_mark_is_dropped_where_that_is_asked_for(home, train, trained):
    (home / "text").write_bytes(b"\xef\xbb\xbfabc" * 40)
    assert train("text", "--encoding", "utf-8-sig").returncode == 0
    assert trained()["vocabulary"] == ["a", "b", "c", "\ufeff"]  # the first alone is a mark


@pytest.mark.parametrize("held", ["val", "test"])
@pytest.mark.parametrize("content", [b"", b"\xff"])
def test_a_held_out_text_that_is_none(home, held, content, train):
    (home / "text").write_text("abc" * 50)
    (home / "held").write_bytes(content)
    done = train("text", f"--{held}", "held")
    assert done.returncode == 1
    assert "held" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("held", ["val", "test"])
def test_a_held_out_text_of_one_character_has_no_score(home, held, train, trained):
    (home / "text").write_text("abc" * 50)
    (home / "held").write_text("x")
    done = train("text", f"--{held}", "held")
    assert done.returncode == 0, done.stderr
    assert trained()["vocabulary"] == ["a", "b", "c", "x"]


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


# Very long, very many


OPEN = """
import sys
from charrnn.errors import CorpusError
from charrnn.text import open_corpus
open_corpus("hello")
base = peak()
try:
    corpus = open_corpus(sys.argv[1], level=sys.argv[2])
    found = len(corpus.vocabulary), corpus.chars
except CorpusError as problem:
    found = 0, 0
print(*found, peak() - base)
"""


def opened(path, level):
    """Open a text in a fresh process; return its symbols, length and bytes of memory taken."""
    symbols, length, taken = map(float, told_by(OPEN, path, level).split())
    return symbols, length, taken


@posix
@pytest.mark.slow
@pytest.mark.parametrize(("level", "memory"), [("char", 60e6), ("byte", 60e6), ("word", 700e6)])
def test_a_line_of_100_megabytes(home, level, memory):
    path = home / "line"
    with path.open("wb") as file:
        for _ in range(100):
            file.write(b"abcdefghij" * 100_000)
    symbols, length, taken = opened(path, level)
    assert (symbols, length) == ((0, 0) if level == "word" else (10, 100_000_000))
    assert taken < memory


@pytest.mark.slow
def test_a_line_of_100_megabytes_is_trained_on_and_scored(home, train, call):
    path = home / "line"
    path.write_bytes(b"abcdefghij" * 10_000_000)
    assert train("line", "--val-frac", "0.001").returncode == 0
    (home / "short").write_bytes(b"abcdefghij" * 100_000)
    done = call("eval", "short", "--per-line", "--run", "run")
    assert done.returncode == 0
    assert done.stdout.count("\n") == 1


@pytest.mark.slow
def test_a_word_too_long_for_a_checkpoint_is_refused_before_training(home, train):
    (home / "text").write_text("a" * 65_000_000)
    done = train("text", "--level", "word")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "vocabulary" in done.stderr


def many_characters(count):
    codes = [c for c in range(0x20, 0x11_0000) if not 0xD800 <= c <= 0xDFFF][:count]
    return "".join(map(chr, codes))


@posix
def test_100000_distinct_characters_are_encoded_in_little_memory(home):
    text = many_characters(100_000)
    (home / "text").write_text(text * 3, encoding="utf-8")
    symbols, length, taken = opened(home / "text", "char")
    assert (symbols, length) == (100_000, 300_000)
    assert taken < 80e6


@posix
@pytest.mark.slow
def test_100000_distinct_characters_are_trained_on_and_saved(home, train, trained, call):
    text = many_characters(100_000)
    (home / "text").write_text(text * 3, encoding="utf-8")
    done = train("text", "--embed", "4")
    assert done.returncode == 0, done.stderr
    assert "".join(trained()["vocabulary"]) == text
    assert call("sample", "run", "--length", "5").returncode == 0
    assert call("train", "--resume", "run", "--steps", "6").returncode == 0


@pytest.mark.parametrize("count", [80_000, pytest.param(0x11_0000, marks=pytest.mark.slow)])
def test_every_character_there_is_comes_back(count):
    text = many_characters(count)
    corpus = corpus_from_text(text, val_frac=0)
    assert len(corpus.vocabulary) == min(count, 0x11_0000 - 0x800 - 0x20)
    assert corpus.vocabulary.decode(corpus.train) == text


def test_lines_of_an_endless_line_are_cut_nowhere(home):
    (home / "text").write_text("ab" * 3_000_000)
    corpus = corpus_from_text("ab")
    lines = list(iter_lines(home / "text", corpus.vocabulary))
    assert [len(line) for line, _ in lines] == [6_000_000]
    assert np.array_equal(lines[0][1][:4], [0, 1, 0, 1])
