"""A file that cannot be written is refused before anything is computed."""

import os

import pytest
from helpers.commands import inside

SMALL = ("--hidden", "3", "--steps", "2", "--backend", "numpy", "--quiet")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a run of a text, of labels and of pairs."""
    where = tmp_path_factory.mktemp("destinations")
    (where / "t.txt").write_text("the cat sat on the mat\n" * 20)
    (where / "n.txt").write_text("cat\tthe cat\ndog\ta dog\n" * 20)
    for name, more in (
        ("one", ["t.txt"]),
        ("labels", ["n.txt", "--task", "classify"]),
        ("pairs", ["n.txt", "--task", "transduce"]),
    ):
        done = inside("train", *more, *SMALL, "--name", name, cwd=where)
        assert done.returncode == 0, done.stderr
    return where


@pytest.mark.parametrize(
    "command",
    [
        "view one t.txt --html FILE.html",
        "diagnose one --html FILE.html",
        "diagnose one --plot FILE.svg",
        "plot one --html FILE.html",
        "plot one --out FILE.svg",
        "export one --to torch --out FILE.safetensors",
        "export one --to html --out FILE.html",
        "eval n.txt --run labels --html FILE.html",
        "eval n.txt --run labels --plot FILE.svg",
        "eval n.txt --run pairs --html FILE.html",
        "predict pairs t.txt --plot FILE.svg",
    ],
)
def test_a_file_that_cannot_be_written_is_refused_at_once(command, place, monkeypatch):
    monkeypatch.setattr("charrnn.report.diagnose.plot.find_spec", lambda name: True)
    for folder, why, advice in (
        ("no such", "No such file or directory", "make its folder first: mkdir -p 'no such'"),
        ("t.txt", "Not a directory", "name another file"),
    ):
        words = [word.replace("FILE", f"{folder}/x") for word in command.split()]
        done = inside(*words, cwd=place)
        assert (done.returncode, done.stdout) == (1, "")
        file = next(word for word in words if f"{folder}/x" in word)
        assert done.stderr == f"charrnn: error: cannot write {file}: {why}; {advice}\n"
    assert not (place / "no such").exists()


def test_a_board_in_a_file_is_refused_before_the_text_is_read(place):
    done = inside("train", "t.txt", *SMALL, "--tensorboard", "t.txt/board", cwd=place)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "charrnn: error: --tensorboard t.txt/board is in a file; name a folder\n"
    assert not (place / "checkpoints/t").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_folder_is_no_file_and_a_device_is_written(place):
    (place / "folder.html").mkdir()
    done = inside("plot", "one", "--html", "folder.html", cwd=place)
    assert "cannot write folder.html: Is a directory; name a file in it" in done.stderr
    (place / "null.html").symlink_to("/dev/null")
    assert inside("plot", "one", "--html", "null.html", cwd=place).returncode == 0
