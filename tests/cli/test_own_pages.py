"""A directory as a corpus does not take in the web pages that charrnn wrote."""

import json

import pytest
from helpers.commands import inside

PAGES = {
    "writes.html": ("export", "a", "--to", "html", "--out"),
    "view.html": ("view", "a", "hello", "--html"),
    "diagnose.html": ("diagnose", "a", "--html"),
    "plot.html": ("plot", "a", "--html"),
}
SMALL = ("--hidden", "4", "--steps", "2", "--backend", "numpy", "--seq-len", "5", "--batch", "2")


def good(*arguments):
    done = inside(*map(str, arguments))
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture
def folder(home, cache_folder):
    """A folder with a text, a page of somebody else, and the pages of a run."""
    good("train", "hello", *SMALL, "--name", "a")
    folder = home / "texts"
    folder.mkdir()
    for name, (command, *words) in PAGES.items():
        good(command, *words, folder / name)
    (folder / "text.txt").write_text("abab" * 50)
    (folder / "other.html").write_text("<!doctype html><meta charset='utf-8'><p>charrnn</p>")
    return folder


def test_they_are_left_out_and_named(folder):
    for level in ("char", "byte"):
        facts = json.loads(good("corpus", "info", folder, "--level", level, "--json").stdout)
        assert {one["file"].rsplit("/", 1)[-1] for one in facts["left_out"]} == {*PAGES}, level
        assert {one["reason"] for one in facts["left_out"]} == {"a page of charrnn"}
    said = good("train", folder, *SMALL).stderr
    assert "left out 4 files: texts/diagnose.html (a page of charrnn), " in said


def test_one_that_is_named_is_a_text(folder):
    page = folder / "view.html"
    facts = json.loads(good("corpus", "info", page, "--json").stdout)
    assert facts["bytes"] == page.stat().st_size


def test_a_folder_of_pages_alone_is_refused(folder):
    for name in ("text.txt", "other.html"):
        (folder / name).unlink()
    done = inside("train", folder, *SMALL)
    assert done.returncode == 1
    assert done.stderr.startswith(f"charrnn: error: directory {folder} holds no text file; ")
