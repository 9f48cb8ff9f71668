"""The cache of encoded texts: found again, never trusted when damaged, bounded, private."""

import io
import json
import os
import stat
import time

import numpy as np
import pytest
from helpers.corpora import whole

from charrnn.errors import CorpusError, UsageError
from charrnn.text import cache_dir, cache_entries, clear_cache, open_corpus
from charrnn.text.cache import store
from charrnn.text.source import Source

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX only")


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text"
    path.write_text("some text to be encoded, twice at most\n" * 30)
    return path


def leftovers(folder):
    return [p for p in (folder / "corpora").iterdir() if p.name.startswith("tmp-")]


def test_a_second_open_does_not_read_the_text(text, monkeypatch):
    first = open_corpus(text)

    def refuse(*_, **__):
        raise AssertionError("the text was read")

    monkeypatch.setattr(Source, "chunks", refuse)
    second = open_corpus(text)
    assert (first.cached, second.cached) == (False, True)
    assert whole(second) == whole(first) == text.read_text()
    for name in ("vocabulary", "sha256", "heldout_sha256", "chars", "bytes", "sources"):
        assert getattr(first, name) == getattr(second, name)


def test_a_directory_is_found_again_without_opening_its_files(text, monkeypatch):
    (text.parent / "binary").write_bytes(b"\0")
    first = open_corpus(text.parent)
    monkeypatch.setattr(Source, "head", lambda *_: 1 / 0)
    second = open_corpus(text.parent)
    assert second.cached
    assert second.sources == first.sources == (str(text),)
    monkeypatch.undo()


def test_other_fractions_use_the_same_entry(text):
    open_corpus(text)
    corpus = open_corpus(text, val_frac=0.5, test_frac=0.25)
    assert corpus.cached
    assert len(cache_entries()) == 1
    assert len(corpus.test) == -(-corpus.chars // 4)


@pytest.mark.parametrize(
    "options",
    [{"level": "byte"}, {"encoding": "latin-1"}, {"errors": "replace"}, {"min_count": 2}],
)
def test_other_options_use_another_entry(text, options):
    open_corpus(text)
    assert not open_corpus(text, **options).cached
    assert open_corpus(text).cached


def test_spelling_of_the_encoding_does_not_matter(text):
    open_corpus(text, encoding="utf-8")
    assert open_corpus(text, encoding="UTF8").cached


def test_the_role_of_a_file_matters(text, tmp_path):
    other = tmp_path / "other"
    other.write_text("other text")
    joined = open_corpus([text, other])
    held_out = open_corpus(text, val=other)
    assert not held_out.cached
    assert joined.sources == (str(text), str(other))
    assert held_out.sources == (str(text),)
    assert whole(joined) == whole(held_out)
    assert len(held_out.val) == 10


@pytest.mark.parametrize("same_size", [True, False])
def test_a_changed_file_is_noticed_at_once(tmp_path, same_size):
    path = tmp_path / "text"
    for round_ in range(5):
        path.write_text(f"text {round_}" + "x" * (0 if same_size else round_))
        corpus = open_corpus(path)
        assert whole(corpus) == path.read_text()
        assert not corpus.cached


def test_a_text_written_just_now_is_read_a_tick_of_the_clock_later(tmp_path):
    path = tmp_path / "text"
    path.write_text("text")  # another change within the same tick could not be told from this one
    open_corpus(path)
    assert time.time() - path.stat().st_mtime > 0.02


def test_a_file_added_to_a_directory_is_noticed(text):
    open_corpus(text.parent)
    (text.parent / "another").write_text("more")
    assert whole(open_corpus(text.parent)).startswith("more")


def test_the_same_standard_input_is_found_again(folder):
    assert not open_corpus("-", stdin=io.BytesIO(b"abc")).cached
    assert open_corpus("-", stdin=io.BytesIO(b"abc")).cached
    assert not open_corpus("-", stdin=io.BytesIO(b"abd")).cached
    assert {p.name for p in folder.iterdir()} == {"corpora"}  # the spooled text is gone


def rewrite_meta(change):
    def damage(entry):
        content = json.loads((entry / "meta.json").read_text())
        change(content)
        (entry / "meta.json").write_text(json.dumps(content))

    return damage


def flip(entry, place):
    data = bytearray((entry / "ids.bin").read_bytes())
    data[place] ^= 1
    (entry / "ids.bin").write_bytes(data)


DAMAGE = {
    "truncated ids": lambda entry: os.truncate(entry / "ids.bin", 100),
    "longer ids": lambda entry: (entry / "ids.bin").write_bytes(b"\0" * 5000),
    "first id": lambda entry: flip(entry, 0),
    "last id": lambda entry: flip(entry, -1),
    "no ids": lambda entry: (entry / "ids.bin").unlink(),
    "no meta": lambda entry: (entry / "meta.json").unlink(),
    "empty meta": lambda entry: (entry / "meta.json").write_bytes(b""),
    "no json": lambda entry: (entry / "meta.json").write_bytes(b"{\xff"),
    "other json": lambda entry: (entry / "meta.json").write_text("[1]"),
    "symbols": rewrite_meta(lambda content: content["meta"]["vocabulary"]["symbols"].pop()),
    "parts": rewrite_meta(lambda content: content["meta"].update(parts=[3, 0, 0])),
    "digest": rewrite_meta(lambda content: content.update(digest="0" * 64)),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_entry_is_encoded_again(text, folder, damage):
    open_corpus(text)
    [entry] = cache_entries()
    damage(entry.path)
    corpus = open_corpus(text)
    assert not corpus.cached
    assert whole(corpus) == text.read_text()
    assert open_corpus(text).cached
    assert leftovers(folder) == []


def test_an_entry_under_the_name_of_another_is_not_trusted(text, tmp_path):
    open_corpus(text)
    [wrong] = cache_entries()
    other = tmp_path / "other"
    other.write_text("other text")
    open_corpus(other)
    [right] = [e for e in cache_entries() if e.path != wrong.path]
    for name in ("ids.bin", "meta.json"):
        (right.path / name).write_bytes((wrong.path / name).read_bytes())
    assert whole(open_corpus(other)) == "other text"


def test_another_process_that_was_faster_wins(text, folder):
    open_corpus(text)
    [entry] = cache_entries()
    _, meta = store.load(entry.path.name)
    with store.writing() as (path, file):
        file.write(b"\0" * 7)
    ids, found = store.publish(path, entry.path.name, {})
    assert found == meta
    assert ids.parent == entry.path
    assert leftovers(folder) == []


def test_failure_leaves_nothing_behind(tmp_path, folder, monkeypatch):
    path = tmp_path / "text"
    path.write_bytes(b"valid" * 1000 + b"\xff")
    with pytest.raises(CorpusError):
        open_corpus(path)
    path.write_text("text")

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "publish", interrupt)
    with pytest.raises(KeyboardInterrupt):
        open_corpus(path)
    monkeypatch.undo()
    assert list(folder.rglob("*")) in ([], [folder / "corpora"])


@posix
def test_a_full_disk_is_told_and_the_text_kept_in_memory(tmp_path, folder):
    import resource

    path = tmp_path / "text"
    path.write_text("abc" * 100_000)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        kept = open_corpus(path, test_frac=0.2)
        with pytest.raises(CorpusError, match=r"cannot write the cache.*CHARRNN_CACHE"):
            open_corpus("-", stdin=io.BytesIO(b"abc" * 100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert leftovers(folder) == []
    assert "cannot write the cache" in kept.notes[0]
    assert "memory" in kept.notes[0]
    cached = open_corpus(path, test_frac=0.2)
    assert cached.notes == ()
    for part in ("train", "val", "test"):
        np.testing.assert_array_equal(getattr(kept, part), getattr(cached, part))
        assert not getattr(kept, part).flags.writeable
    for name in ("vocabulary", "sha256", "chars", "bytes", "sources", "cached"):
        assert getattr(kept, name) == getattr(cached, name)


def test_entries_are_listed_and_cleared(text, folder):
    open_corpus(text)
    time.sleep(0.02)
    open_corpus(text, level="byte")
    newest, oldest = cache_entries()
    assert newest.last_used > oldest.last_used
    assert newest.bytes == sum(p.stat().st_size for p in newest.path.iterdir())
    time.sleep(0.02)
    open_corpus(text)
    assert [e.path for e in cache_entries()] == [oldest.path, newest.path]
    (folder / "corpora" / "mine").mkdir()
    (folder / "notes").write_text("keep")
    total = newest.bytes + oldest.bytes
    assert clear_cache() == total
    assert cache_entries() == []
    assert {p.name for p in folder.rglob("*")} == {"corpora", "mine", "notes"}
    assert clear_cache() == 0


def test_the_least_recently_used_entries_are_evicted(tmp_path, monkeypatch):
    paths = [tmp_path / name for name in "abcd"]
    for i, path in enumerate(paths):
        path.write_text("0123456789" * 1000)
        open_corpus(path)
        meta = cache_entries()[0].path / "meta.json"
        os.utime(meta, (1000 + i, 1000 + i))
    assert open_corpus(paths[0]).cached  # and used just now
    monkeypatch.setenv("CHARRNN_CACHE_LIMIT_GB", "36e-6")
    corpus = open_corpus(paths[0], level="byte")
    assert len(cache_entries()) == 3
    assert [open_corpus(p).cached for p in (paths[0], paths[3])] == [True, True]
    monkeypatch.setenv("CHARRNN_CACHE_LIMIT_GB", "0")
    other = open_corpus(paths[1])
    assert len(cache_entries()) == 1
    assert whole(other) == "0123456789" * 1000
    if os.name != "nt":
        assert whole(corpus) == b"0123456789" * 1000  # mapped: still there


def test_an_impossible_limit_is_a_usage_error(text, monkeypatch):
    for value in ("many", "-1", "nan"):
        monkeypatch.setenv("CHARRNN_CACHE_LIMIT_GB", value)
        with pytest.raises(UsageError, match="CHARRNN_CACHE_LIMIT_GB"):
            open_corpus(text, min_count=len(value))


def test_abandoned_temporary_folders_are_removed(text, folder):
    for name, age in (("tmp-old", 3 * 86400), ("tmp-new", 60)):
        path = folder / "corpora" / name
        path.mkdir(parents=True)
        then = time.time() - age
        os.utime(path, (then, then))
    open_corpus(text)
    assert [p.name for p in leftovers(folder)] == ["tmp-new"]


@posix
def test_entries_are_private(text, monkeypatch):
    old = os.umask(0)
    try:
        open_corpus(text)
    finally:
        os.umask(old)
    [entry] = cache_entries()
    assert stat.S_IMODE(entry.path.stat().st_mode) == 0o700
    for file in entry.path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_cache_that_cannot_be_written_falls_back_to_a_temporary_folder(text, monkeypatch):
    monkeypatch.setenv("CHARRNN_CACHE", str(text / "below-a-file"))
    assert whole(open_corpus(text)) == text.read_text()
    assert open_corpus(text).cached
    assert cache_dir().is_dir()
    assert text not in cache_dir().parents


def test_no_home_gives_a_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("CHARRNN_CACHE")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(store.platformdirs, "user_cache_dir", lambda _: "~/.cache/charrnn")
    assert cache_dir().is_dir()
    assert list(tmp_path.iterdir()) == []


def test_a_relative_cache_folder_is_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHARRNN_CACHE", "here")
    assert cache_dir() == tmp_path / "here"
    assert cache_dir().is_dir()
