"""Sources of text, and the errors if there is none."""

import io
import os
import shutil
import subprocess
import sys
import threading

import pytest
from helpers.commands import inside
from helpers.corpora import whole

from charrnn.errors import CorpusError, UsageError
from charrnn.text import builtin, open_corpus
from charrnn.text.finding import find_sources, in_directories

fifo = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")


def test_files_are_joined_in_the_order_named_with_nothing_between(tmp_path):
    for name in "ab":
        (tmp_path / name).write_bytes(f"<{name}>".encode())
    corpus = open_corpus([tmp_path / "b", str(tmp_path / "a")])
    assert whole(corpus) == "<b><a>"
    assert corpus.sources == (str(tmp_path / "b"), str(tmp_path / "a"))


def test_sources_are_absolute(tmp_path, monkeypatch):
    (tmp_path / "sub").mkdir()
    (tmp_path / "a").write_text("text")
    monkeypatch.chdir(tmp_path / "sub")
    assert open_corpus("../a").sources == (str(tmp_path.resolve() / "a"),)


def test_a_word_goes_on_across_joined_files(tmp_path):
    (tmp_path / "a").write_text("one tw")
    (tmp_path / "b").write_text("o three")
    corpus = open_corpus([tmp_path / "a", tmp_path / "b"], level="word")
    assert corpus.vocabulary.symbols == (" ", "one", "three", "two")


def test_a_directory_gives_its_text_files_sorted_by_path(tmp_path):
    folder = tmp_path / "texts"
    (folder / "b").mkdir(parents=True)
    (folder / ".git").mkdir()
    for name in ("c", "b/z", "b/a", "a", ".hidden", ".git/config", "b.txt"):
        (folder / name).write_text(f"<{name}>")
    (folder / "image").write_bytes(b"\x89PNG\0")
    corpus = open_corpus(folder)
    assert whole(corpus) == "<a><b.txt><b/a><b/z><c>"
    assert len(corpus.sources) == 5


@pytest.mark.parametrize("level", ["char", "byte"])
def test_a_directory_leaves_out_runs_and_caches(level, tmp_path, monkeypatch):
    """Those that stand in it, and those of a run that was trained in the directory itself."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "a.txt").write_text("a text of some length\n" * 20)
    options = ["--hidden", "4", "--steps", "1", "--backend", "numpy", "--quiet", "--level", level]
    for place in (["--name", "one"], ["--out", "."], ["--out", "sub/two"]):
        assert inside("train", ".", *options, *place).returncode == 0
    shutil.copy("last.safetensors", "model.safetensors")
    unfinished = tmp_path / "cache/corpora/tmp-0-1-x"
    unfinished.mkdir()
    (unfinished / "ids.bin").write_bytes(b"ids")
    for name in ("checkpoints/notes.txt", "meta.json", "sub/metrics.jsonl", "sub/val.npy"):
        (tmp_path / name).write_text(f"<{name}>")
    kept = ["a.txt", "checkpoints/notes.txt", "meta.json", "sub/metrics.jsonl", "sub/val.npy"]
    found = [source.name for source in find_sources(".")]
    assert found == [str(tmp_path / name) for name in kept]
    assert find_sources("metrics.jsonl")  # what is named is taken


def test_a_nul_byte_after_the_first_8_kib_does_not_hide_a_file(tmp_path):
    (tmp_path / "late").write_bytes(b"a" * 8192 + b"\0")
    (tmp_path / "early").write_bytes(b"b" * 8191 + b"\0")
    assert whole(open_corpus(tmp_path)) == "a" * 8192 + "\0"


def test_binary_files_count_at_byte_level_and_when_named(tmp_path):
    (tmp_path / "binary").write_bytes(b"\0\1\2")
    assert whole(open_corpus(tmp_path, level="byte")) == b"\0\1\2"
    assert whole(open_corpus(tmp_path / "binary")) == "\0\1\2"


def test_utf_16_files_of_a_directory_are_text(tmp_path):
    (tmp_path / "a").write_bytes("text".encode("utf-16"))
    assert whole(open_corpus(tmp_path, encoding="utf-16")) == "text"


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege")
def test_loops_of_links_end(tmp_path):
    folder = tmp_path / "texts"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a").write_text("once ")
    (folder / "sub" / "up").symlink_to(folder)
    (folder / "self").symlink_to(folder / "self")
    (folder / "nowhere").symlink_to(tmp_path / "missing")
    assert whole(open_corpus(folder)) == "once "


def test_a_directory_without_text_is_an_error(tmp_path):
    (tmp_path / "sub").mkdir()
    with pytest.raises(CorpusError, match="holds no text file"):
        open_corpus(tmp_path)
    (tmp_path / "sub" / "binary").write_bytes(b"\0")
    with pytest.raises(CorpusError, match="holds no text file"):
        open_corpus(tmp_path)


def test_standard_input(monkeypatch):
    assert whole(open_corpus("-", stdin=io.BytesIO("größer".encode()))) == "größer"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"from stdin")))
    corpus = open_corpus("-")
    assert whole(corpus) == "from stdin"
    assert corpus.sources == ("-",)


def test_closed_standard_input_is_an_error(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(CorpusError, match="standard input is closed"):
        open_corpus("-")


def test_standard_input_can_be_named_once(tmp_path):
    (tmp_path / "a").write_text("text")
    with pytest.raises(UsageError, match="more than once"):
        open_corpus(["-", tmp_path / "a", "-"])
    with pytest.raises(UsageError, match="more than once"):
        open_corpus("-", val="-")
    with pytest.raises(UsageError, match="no text is named"):
        open_corpus([])
    for names in ({"names": ""}, {"names": tmp_path / "a", "val": ""}):
        with pytest.raises(UsageError, match="the name of a text is empty"):
            open_corpus(**names)


@fifo
def test_a_fifo_is_read_once(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    data = b"through a pipe\n" * 20_000
    writer = threading.Thread(target=path.write_bytes, args=(data,))
    writer.start()
    corpus = open_corpus(path)
    writer.join()
    assert whole(corpus) == data.decode()


@fifo
def test_a_fifo_in_a_directory_is_left_alone(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a").write_text("text")
    assert whole(open_corpus(tmp_path)) == "text"


def test_a_built_in_corpus_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    expected = b"".join(builtin.generate("hello")).decode()
    corpus = open_corpus("hello")
    assert whole(corpus) == expected
    assert corpus.sources == ("hello",)
    assert open_corpus("hello").cached


def test_a_file_wins_over_a_built_in_corpus_of_the_same_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hello").write_text("mine")
    assert whole(open_corpus("hello")) == "mine"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("shakespear", "copy-lag, dates, hello, markov"),
        ("no/such/file.txt", "no/such/file.txt does not exist"),
        ("bad\x1b[31m", r"bad\x1b[31m does not exist"),
        ("x" * 5000, "cannot read"),
        ("a\0b", r"'a\x00b' is not a path"),
    ],
)
def test_a_missing_path_is_one_clear_line(tmp_path, monkeypatch, name, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CorpusError) as caught:
        open_corpus(name)
    assert said in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_path_through_a_file_is_missing(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(CorpusError, match="does not exist"):
        open_corpus(tmp_path / "a.txt" / "b.txt")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads anything")
def test_an_unreadable_file_is_an_error(tmp_path):
    path = tmp_path / "secret"
    path.write_text("text")
    path.chmod(0)
    with pytest.raises(CorpusError, match=r"cannot read .*secret: Permission denied"):
        open_corpus(path)


def test_empty_text_is_an_error(tmp_path):
    (tmp_path / "empty").touch()
    (tmp_path / "some").write_text("some")
    with pytest.raises(CorpusError, match="empty is empty"):
        open_corpus(tmp_path / "empty")
    with pytest.raises(CorpusError, match="standard input is empty"):
        open_corpus("-", stdin=io.BytesIO())
    with pytest.raises(CorpusError, match="empty is empty"):
        open_corpus(tmp_path / "some", val=tmp_path / "empty")
    assert whole(open_corpus([tmp_path / "empty", tmp_path / "some"])) == "some"


def test_importing_the_package_does_not_load_numpy():
    code = "import charrnn.text, sys; print('numpy' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert result.stdout.strip() == b"False"


def test_many_files_are_named_by_their_directory(tmp_path, monkeypatch):
    for name in ("a/1", "a/2", "a/b/3", "a/b/4", "c/5", "c/6"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "a" / "picture").write_bytes(bytes(9))  # is left out of a directory
    a, c = str(tmp_path / "a"), str(tmp_path / "c")
    files = [f"{a}/1", f"{a}/2", f"{a}/b/3", f"{a}/b/4", f"{c}/5", f"{c}/6"]
    assert in_directories(files[:4], 2, "utf-8") == [a]
    assert in_directories(files[2:4], 2, "utf-8") == [f"{a}/b"]
    assert in_directories([files[4], *files[:4]], 2, "utf-8") == [files[4], a]
    assert in_directories(files[:3], 2, "utf-8") is None
    assert in_directories(["-", *files[4:]], 2, "utf-8") == ["-", c]
    (tmp_path / "a" / "2").unlink()
    assert in_directories(files[:4], 1, "utf-8") == [a]
    (tmp_path / "a" / "new").write_text("new")
    assert in_directories(files[:4], 1, "utf-8") is None
