"""A cache that is damaged, planted, stale or impossible: noticed, made anew, or done without."""

import hashlib
import json
import os
import stat
import subprocess
import sys
import time

import numpy as np
import pytest
from helpers.commands import charrnn
from helpers.corpora import whole

from charrnn.errors import CorpusError
from charrnn.text import cache_entries, open_corpus
from charrnn.text.cache import entry, store
from charrnn.text.cache.entry import _digest

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX only")
TEXT = "some text to be encoded, twice at most\n" * 9000  # more than both ends of the file


@pytest.fixture(autouse=True)
def folder(cache_folder):
    return cache_folder


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text"
    path.write_text(TEXT)
    return path


def found_again(text):
    """Open until the entry is settled: verified later than a tick after it was written."""
    open_corpus(text)
    time.sleep(0.04)
    assert open_corpus(text).cached
    return cache_entries()[0].path


@pytest.mark.parametrize("settled", [True, False])
def test_one_flipped_id_anywhere_is_noticed(text, settled):
    open_corpus(text)
    for place in (0, 70_000, len(TEXT) // 2, len(TEXT) - 70_000, len(TEXT) - 1):
        path = (found_again(text) if settled else cache_entries()[0].path) / "ids.bin"
        data = bytearray(path.read_bytes())
        data[place] ^= 1
        path.write_bytes(data)
        corpus = open_corpus(text)
        assert not corpus.cached
        assert whole(corpus) == TEXT


def test_a_settled_entry_is_not_read_again(text, monkeypatch):
    found_again(text)
    monkeypatch.setattr(entry, "_verify", lambda *_: 1 / 0)
    assert whole(open_corpus(text)) == TEXT


def test_an_entry_that_was_moved_is_verified_once_and_used(text, folder, monkeypatch):
    path = found_again(text)
    content = (path / "ids.bin").read_bytes()
    (path / "ids.bin").unlink()
    (path / "ids.bin").write_bytes(content)
    assert open_corpus(text).cached
    assert whole(open_corpus(text)) == TEXT


def forge(path, ids=None, **facts):
    """Rewrite an entry with digests that fit, as anyone with write access can."""
    meta = json.loads((path / "meta.json").read_text())["meta"] | facts
    if ids is not None:
        (path / "ids.bin").unlink()
        (path / "ids.bin").write_bytes(ids)
        meta |= {"size": len(ids), "ids_sha256": hashlib.sha256(ids).hexdigest()}
        meta |= {"parts": [len(ids), 0, 0]} | facts
    (path / "meta.json").write_text(json.dumps({"meta": meta, "digest": _digest(meta)}))


FORGED = {
    "ids beyond the vocabulary": {"ids": b"\xff" * 100},
    "one id beyond it": {"ids": b"\0" * 99 + b"\x20"},
    "negative parts": {"parts": [len(TEXT) + 1, -1, 0]},
    "parts that are real": {"parts": [float(len(TEXT)), 0, 0]},
    "two parts": {"parts": [len(TEXT), 0]},
    "parts that are a text": {"parts": "123"},
    "huge parts": {"parts": [2**62, 2**62, 2**62]},
    "sources that are a number": {"sources": 5},
    "a source that is a number": {"sources": [5]},
    "bytes that are a text": {"bytes": "many"},
    "no digest": {"sha256": None},
    "a fact too many": {"more": 1},
    "another vocabulary": {"vocabulary": {"level": "char", "symbols": ["a"], "unknown": None}},
    "no vocabulary": {"vocabulary": []},
}


@pytest.mark.slow
@pytest.mark.parametrize("facts", FORGED.values(), ids=FORGED.keys())
def test_a_forged_entry_is_made_anew(text, facts):
    forge(found_again(text), **facts)
    corpus = open_corpus(text)
    assert not corpus.cached
    assert whole(corpus) == TEXT
    assert open_corpus(text).cached


def plant(kind, path, elsewhere):
    """Put something else in the place of a file of the entry."""
    content = path.read_bytes()
    path.unlink()
    if kind == "link":
        elsewhere.write_bytes(content)
        path.symlink_to(elsewhere)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")


@posix
@pytest.mark.parametrize("name", ["ids.bin", "meta.json"])
@pytest.mark.parametrize("kind", ["link", "fifo", "folder", "device"])
def test_only_regular_files_are_read(text, tmp_path, name, kind):
    path = found_again(text)
    plant(kind, path / name, tmp_path / "elsewhere")
    before = sorted(p.name for p in tmp_path.iterdir())
    corpus = open_corpus(text)
    assert not corpus.cached
    assert whole(corpus) == TEXT
    assert sorted(p.name for p in tmp_path.iterdir()) == before  # what a link names is left alone


@posix
def test_an_entry_that_is_a_link_is_replaced_and_its_target_left_alone(text, tmp_path):
    path = found_again(text)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert not open_corpus(text).cached
    assert open_corpus(text).cached
    assert not path.is_symlink()
    assert {p.name for p in (tmp_path / "elsewhere").iterdir()} == {"ids.bin", "meta.json"}


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs two users")
@pytest.mark.parametrize("what", [".", "ids.bin", "meta.json"])
def test_what_belongs_to_another_user_is_not_used(text, what):
    path = found_again(text)
    os.chown(path / what, 12345, 12345)
    corpus = open_corpus(text)
    assert not corpus.cached
    assert whole(corpus) == TEXT


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs two users")
def test_a_folder_of_another_user_is_not_used_at_all(text, folder):
    (folder / "corpora").mkdir(mode=0o777)
    os.chown(folder / "corpora", 12345, 12345)
    corpus = open_corpus(text)
    assert whole(corpus) == TEXT
    assert "another user's" in corpus.notes[0]
    assert list((folder / "corpora").iterdir()) == []


@posix
def test_a_link_planted_in_the_place_of_the_folder_is_not_followed(text, folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (folder / "corpora").symlink_to(tmp_path / "elsewhere")
    corpus = open_corpus(text)
    assert whole(corpus) == TEXT
    assert "a link" in corpus.notes[0]
    assert list((tmp_path / "elsewhere").iterdir()) == []


@posix
def test_a_folder_that_others_may_enter_is_closed(text, folder):
    (folder / "corpora").mkdir()
    (folder / "corpora").chmod(0o777)
    open_corpus(text)
    open_corpus(text)
    [found] = cache_entries()
    assert stat.S_IMODE((folder / "corpora").stat().st_mode) == 0o700
    assert stat.S_IMODE(found.path.stat().st_mode) == 0o700
    assert {stat.S_IMODE(p.stat().st_mode) for p in found.path.iterdir()} == {0o600}


@posix
def test_temporary_names_cannot_be_foreseen(text, monkeypatch):
    made = []
    whole_mkdtemp = store.tempfile.mkdtemp
    monkeypatch.setattr(
        store.tempfile, "mkdtemp", lambda **k: made.append(whole_mkdtemp(**k)) or made[-1]
    )
    open_corpus(text)
    open_corpus(text, level="byte")
    first, second = (os.path.basename(name).rsplit("-", 1) for name in made)  # noqa: PTH119
    assert first[0] == second[0]
    assert first[1] != second[1]
    assert len(first[1]) >= 8


@posix
def test_litter_of_a_dead_process_is_removed_at_once(text, folder, tmp_path):
    code = (
        "import os, signal, sys; from charrnn.text import open_corpus\n"
        "from charrnn.text.cache import store\n"
        "store.publish = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "open_corpus(sys.argv[1])"
    )
    subprocess.run([sys.executable, "-c", code, str(text)], timeout=60)
    [left] = (folder / "corpora").iterdir()
    assert left.name.startswith("tmp-")
    living = folder / "corpora" / left.name.replace(left.name.split("-")[2], str(os.getpid()))
    living.mkdir()
    foreign = folder / "corpora" / ("tmp-00000000-" + left.name.split("-", 2)[2])
    foreign.mkdir()
    open_corpus(text)
    assert {p.name for p in (folder / "corpora").iterdir() if p.name.startswith("tmp-")} == {
        living.name,
        foreign.name,
    }


SMALL = ("--hidden", "4", "--steps", "3", "--batch", "2", "--seq-len", "4", "--backend", "numpy")


@pytest.mark.slow
@posix
@pytest.mark.parametrize("where", ["/proc/none", "/dev/null", "file/below"])
def test_training_goes_on_without_a_cache_and_says_so(text, tmp_path, where):
    (tmp_path / "file").write_text("")
    done = charrnn("train", "text", *SMALL, cwd=tmp_path, env=os.environ | {"CHARRNN_CACHE": where})
    assert done.returncode == 0, done.stderr
    assert "charrnn: note: the cache of encoded texts" in done.stderr
    assert "cannot be written" in done.stderr


@posix
def test_no_home_and_no_place_for_temporary_files(text, tmp_path):
    """Nothing can be written anywhere but in the run's own folder."""
    code = (
        "import sys, tempfile; from charrnn.text.cache import store\n"
        "def refuse(*a, **k): raise FileNotFoundError(2, 'No usable temporary directory found')\n"
        "tempfile.mkdtemp = refuse\n"
        "store.platformdirs.user_cache_dir = lambda name: '~/.cache'\n"
        "from charrnn.cli import main\n"
        "sys.argv = ['charrnn', *sys.argv[1:]]\n"
        "main()\n"
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("CHARRNN_CACHE", "HOME")}
    done = subprocess.run(
        [sys.executable, "-c", code, "train", "text", *SMALL],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "no folder for temporary files" in done.stderr
    assert "kept in memory" in done.stderr


@posix
def test_a_full_disk_while_the_description_is_written(text, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(entry, "_write", full)
    corpus = open_corpus(text)
    assert whole(corpus) == TEXT
    assert "No space left" in corpus.notes[0]
    assert cache_entries() == []


def test_a_text_that_has_room_nowhere_is_one_line(text, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    def no_memory(*_, **__):
        raise MemoryError

    monkeypatch.setattr(store.tempfile, "mkdtemp", full)
    monkeypatch.setattr(np, "concatenate", no_memory)
    with pytest.raises(CorpusError, match="neither on the disk nor in memory"):
        open_corpus(text)


def test_another_limit_of_open_files_or_a_file_that_vanishes_is_no_crash(text, monkeypatch):
    path = found_again(text)
    taken = entry.read

    def vanish(*arguments):
        meta = taken(*arguments)
        (path / "ids.bin").unlink()
        return meta

    monkeypatch.setattr(entry, "read", vanish)
    corpus = open_corpus(text)
    assert not corpus.cached
    assert whole(corpus) == TEXT
