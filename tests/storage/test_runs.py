"""Run folders: how names resolve to checkpoints, and the folders of new runs."""

import os

import pytest
from helpers.checkpoints import checkpoint_of
from helpers.commands import inside

from charrnn.errors import CharRNNError, UsageError
from charrnn.storage import runs
from charrnn.storage.checkpoint import save


def make(name, *files, age=0):
    folder = runs.HOME / name
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        (folder / file).write_bytes(b"")
        os.utime(folder / file, (1e9 - age, 1e9 - age))
    return folder


def test_a_name_a_folder_and_a_file_mean_the_same(home):
    folder = make("poems", runs.BEST, runs.LAST)
    for name in ("poems", str(folder), str(folder.absolute()), f"{folder}/"):
        assert runs.resolve(name).samefile(folder / runs.BEST)
        assert runs.resolve(name, "last").samefile(folder / runs.LAST)
    numbered = make("poems", "step-00000010.safetensors") / "step-00000010.safetensors"
    assert runs.resolve(str(numbered)) == numbered
    assert runs.resolve(str(numbered), "last") == numbered


def test_the_last_of_the_numbered_checkpoints_is_that_of_the_highest_step(home):
    folder = make(
        "long", *map(runs.number, (99_999_995, 100_000_000, 5)), "step-by-hand.safetensors"
    )
    assert list(runs.numbered(folder)) == [5, 99_999_995, 100_000_000]
    assert runs.resolve("long") == folder / "step-100000000.safetensors"


def test_without_a_name_the_newest_run_is_meant(home):
    make("b-old", runs.LAST, age=50)
    make("a-new", runs.LAST, runs.BEST, age=5)
    make("c-older", runs.LAST, age=99)
    make("unfinished")
    assert runs.resolve() == runs.HOME / "a-new" / runs.BEST
    assert runs.resolve("last", "last") == runs.HOME / "a-new" / runs.LAST
    assert [folder.name for folder in runs.folders()] == ["c-older", "b-old", "a-new"]
    os.utime(runs.HOME / "b-old" / runs.LAST)
    assert runs.resolve() == runs.HOME / "b-old" / runs.LAST  # it has no best
    make("d-newest", runs.BEST, age=-1e9)
    assert runs.resolve("last", "last") == runs.HOME / "d-newest" / runs.BEST  # it has no last


def test_what_is_not_there_is_an_error_with_a_remedy(home):
    with pytest.raises(CharRNNError, match=r"no run under checkpoints.*charrnn\.fit"):
        runs.resolve()
    make("empty")
    for name, which, match in (
        ("gone", "best", "there is no run 'gone'"),
        ("\x1b[31m", "best", r"no run '\\x1b\[31m'"),
        ("empty", "best", "no checkpoint yet"),
    ):
        with pytest.raises(CharRNNError, match=match) as caught:
            runs.resolve(name, which)
        assert caught.value.exit_code == 1
        assert str(caught.value).isprintable()
        assert caught.value.remedy


def test_a_run_is_found_by_its_name_whatever_else_lies_in_the_folder(home):
    """A folder or a file of that name that holds no checkpoint is not a run."""
    saved = checkpoint_of("rnn-tanh", hidden=2)
    for name in ("texts", "poems", "begun"):
        (runs.HOME / name).mkdir(parents=True)
        save(runs.HOME / name / runs.LAST, saved)
    (home / "texts").mkdir()
    (home / "texts" / "a.txt").write_text("text")
    (home / "texts" / runs.BEST).write_text("not a checkpoint")
    (home / "poems").write_text("a poem without a checkpoint's beginning, of many characters")
    (home / "begun").mkdir()
    (home / "begun" / runs.METRICS).touch()
    for name in ("texts", "poems", "begun"):
        for which in ("best", "last"):
            assert runs.resolve(name, which) == runs.HOME / name / runs.LAST
    for place in ("texts", "begun"):
        save(home / place / runs.BEST, saved)
        assert runs.resolve(place).samefile(home / place / runs.BEST)  # that one is a run
    save(home / "poems", saved)
    assert runs.resolve("poems").samefile(home / "poems")


def test_a_folder_or_file_that_is_no_run_is_told_as_what_it_is(home):
    (home / "texts").mkdir()
    (home / "begun").mkdir()
    (home / "begun" / runs.METRICS).touch()
    (home / "poem").write_text("a poem")
    with pytest.raises(CharRNNError, match=r"folder 'texts' holds no run.*charrnn\.load"):
        runs.resolve("texts")
    with pytest.raises(CharRNNError, match="run 'begun' has no checkpoint yet"):
        runs.resolve("begun")
    assert runs.resolve("poem").samefile(home / "poem")  # which to load is an error


def test_last_is_the_newest_run_also_beside_a_text_of_that_name(home):
    make("newest", runs.LAST)
    (home / "last").mkdir()
    assert runs.resolve("last", "last") == runs.HOME / "newest" / runs.LAST
    assert runs.create(None, None, "last.txt").folder == runs.HOME / "last-2"


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("/a/b/poems.txt", "poems"),
        ("poems.tar.gz", "poems.tar"),
        ("-", "stdin"),
        ("python-docs", "python-docs"),
        ("..", "run"),
        ("dir/", "dir"),
        ("a b\x1b[31m\n/c:d*.txt", "c-d"),
        ("Über größe.txt", "Über-größe"),
        (".txt", "txt"),
    ],
)
def test_a_run_is_named_after_its_text(source, name, home):
    held = [runs.create(None, None, source) for _ in range(2)]
    assert [lock.folder for lock in held] == [runs.HOME / name, runs.HOME / f"{name}-2"]
    make(f"{name}-3")
    assert runs.create(None, None, source).folder == runs.HOME / f"{name}-4"


def test_an_existing_run_is_never_written_over(home):
    lock = runs.create("mine", None, "t")
    folder = lock.folder
    assert folder == runs.HOME / "mine"
    (folder / "notes").touch()
    lock.release()
    for file in (runs.METRICS, runs.LAST, runs.BEST):
        (folder / file).write_bytes(b"kept")
        with pytest.raises(UsageError, match=r"contains a run.*continue it with resume"):
            runs.create("mine", None, "t")
        with pytest.raises(UsageError, match="contains a run"):
            runs.create(None, str(folder), "t")
        assert (folder / file).read_bytes() == b"kept"
        (folder / file).unlink()
        assert {path.name for path in folder.iterdir()} == {"notes"}
    assert runs.create(None, "deep/down/here", "t").folder.is_dir()


@pytest.mark.parametrize("name", ["", " ", "\t", "\xa0", ".", "..", "a/b", "/a", "last", "../up"])
def test_a_name_that_is_no_plain_word_is_an_error(name, home):
    with pytest.raises(UsageError, match=r"name .* is invalid"):
        runs.create(name, None, "t")
    assert not runs.HOME.exists()


@pytest.mark.parametrize("out", ["", " "])
def test_a_blank_folder_is_an_error(out, home):
    with pytest.raises(UsageError, match=r"out .* is invalid"):
        runs.create(None, out, "t")
    assert list(home.iterdir()) == []


def test_the_run_to_continue_is_quoted_for_the_shell(home):
    make("my run", runs.LAST)
    with pytest.raises(UsageError, match="continue it with resume 'checkpoints/my run',"):
        runs.create("my run", None, "t")


def test_a_folder_that_cannot_be_made_is_an_error(home):
    (home / "file").write_text("x")
    with pytest.raises(CharRNNError, match="is not a folder"):
        runs.create(None, "file", "t")
    with pytest.raises(CharRNNError, match="cannot make folder"):
        runs.create(None, "file/below", "t")
    with pytest.raises(UsageError, match="exclude each other"):
        runs.create("a", "b", "t")


@pytest.mark.parametrize("name", ["", " "])
def test_a_blank_name_is_no_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="the name of a run is blank"):
        runs.resolve(name)
    done = inside("train", "hello", "--init-from", name, "--steps", "1")
    assert (done.returncode, done.stdout) == (2, "")
    assert not (tmp_path / "checkpoints").exists()
