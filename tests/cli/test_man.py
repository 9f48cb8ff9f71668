"""Manual pages: they hold what help shows, and groff reads them without a warning."""

import shutil
import subprocess

import pytest
import typer
from helpers.command_tree import commands
from helpers.commands import inside

from charrnn.cli.parsing.command import Command


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    where = tmp_path_factory.mktemp("man") / "new" / "folder"
    assert inside("man", "--out", where).returncode == 0
    return {path.stem: path for path in where.iterdir()}


def test_there_is_a_page_for_every_command_with_all_its_options(pages):
    tree = {"-".join(["charrnn", *name.split()]): each for name, each in commands().items()}
    assert set(pages) == {*tree, "charrnn-corpus"}
    for name, command in tree.items():
        text = pages[name].read_text("utf-8").replace("\\-", "-")
        assert f'.TH "{name.upper()}" 1 ' in text
        if not isinstance(command, Command):
            continue
        for heading, params in command.groups(typer.Context(command)).items():
            assert f"\n.SS {heading}\n" in text, name
            for param in params:
                assert max(param.opts, key=len) in text or param.metavar in text, (name, param.name)


def test_a_page_is_printed(pages):
    for name, words in (("charrnn", []), ("charrnn-corpus-make", ["corpus", "make"])):
        assert inside("man", *words).stdout == pages[name].read_text("utf-8")


def test_a_page_has_no_requests_of_its_text_and_keeps_its_backslashes(pages):
    for name, path in pages.items():
        for line in path.read_text("utf-8").splitlines():
            known = (".TH ", ".SH ", ".SS ", ".TP", ".PP", ".B ", ".nh", ".ad l")
            assert line[:1] not in (".", "'") or line.startswith(known), (name, line)
    assert "$\\(aq\\en\\(aq" in pages["charrnn-sample"].read_text("utf-8")


@pytest.mark.parametrize("words", [["trian"], ["corpus", "mke"], ["train", "it"], ["a\nb"]])
def test_an_unknown_command_is_one_line(words):
    done = inside("man", *words)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "choose train, " in done.stderr


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    done = inside("man", "--out", tmp_path / "file")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert inside("man", "train", "--out", tmp_path).returncode == 2


@pytest.mark.slow
def test_groff_reads_the_pages_without_a_warning(pages):
    if shutil.which("groff") is None:
        pytest.skip("needs groff")
    for name, path in pages.items():
        words = ["groff", "-Tutf8", "-Kutf8", "-man", "-ww", path]
        done = subprocess.run(words, capture_output=True, encoding="utf-8")
        assert (done.returncode, done.stderr) == (0, ""), name
        assert name.upper() in done.stdout
