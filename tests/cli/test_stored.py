"""What is answered from a stored description of the commands: the same as from the code."""

import json
import os
import subprocess
import sys

import pytest
import typer
from helpers.command_tree import commands

from charrnn import installed
from charrnn.cli.app import app, run
from charrnn.cli.parsing import described
from charrnn.cli.parsing.candidates import lines, of_plain
from charrnn.cli.parsing.stored import answer, state

TYPED = (["di"], ["train", "--cell", ""], ["corpus", "make", "dates", "--ye"], ["nonsense", ""])


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Return the file that a wheel has."""
    path = tmp_path_factory.mktemp("wheel") / "described.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "60")
        described.main(str(path))
    return path


def kept_of(code, stored):
    """Return the path of a copy that was made of a state of the code."""
    file = stored.with_name(f"{hash(str(code))}.json")
    file.write_text(json.dumps(json.loads(stored.read_bytes()) | {"code": code}))
    return file


@pytest.fixture(autouse=True)
def _wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")


def test_completion_is_that_of_the_code(stored):
    root = described.described(typer.main.get_command(app))
    data = json.loads(stored.read_bytes())["commands"]
    assert data == json.loads(json.dumps(root.plain()))
    kept = of_plain(data)
    assert {n for n in commands() if n} == set(_paths(kept))
    for words in TYPED:
        assert answer(["completion", "zsh", "--", *words], stored) == lines(root, words)


def _paths(command):
    """Yield the words of every command in a group."""
    for name in command.commands:
        found = command.find(name)
        yield from (f"{name} {path}" for path in _paths(found)) if found.commands else [name]


@pytest.mark.parametrize("path", ["", "corpus", *(name for name in commands() if name)])
def test_help_is_that_of_the_code(path, stored, capsys):
    assert run([*path.split(), "--help"]) == 0
    told = capsys.readouterr().out
    assert answer([*path.split(), "--help"], stored) == told
    assert answer([*path.split(), "-h"], stored) == told


def test_an_answer_needs_neither_typer_nor_numpy(stored):
    code = (
        "import sys\nfrom pathlib import Path\nfrom charrnn.cli.parsing.stored import answer\n"
        f"file = Path({str(stored)!r})\n"
        "assert answer(['train', '--help'], file).startswith('Usage: charrnn train')\n"
        "assert answer(['completion', 'bash', '--', 'di'], file).startswith('diagnose')\n"
        "assert not {'typer', 'numpy', 'inspect', 'dataclasses'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "line",
    [
        *("", "train", "train --help x", "train hello --help", "nonsense -h"),
        *("--plugin x.py train --help", "train --plugin x.py --help"),
        *("completion bash", "completion tcsh -- d", "man bash --"),
    ],
)
def test_any_other_command_line_is_left_to_the_code(line, stored):
    assert answer(line.split(), stored) is None


def test_without_a_file_everything_is_left_to_the_code(stored):
    assert answer(["train", "--help"], stored.with_name("missing")) is None
    assert answer(["completion", "bash", "--", ""], stored.with_name("missing")) is None


def test_help_for_a_narrow_terminal_is_left_to_the_code(stored, monkeypatch):
    monkeypatch.setenv("COLUMNS", "79")
    assert answer(["train", "--help"], stored) is None
    monkeypatch.setenv("COLUMNS", "80")
    assert answer(["train", "--help"], stored)


def test_help_with_an_installed_plug_in_is_left_to_the_code(stored, tmp_path, monkeypatch):
    info = tmp_path / "of_a_cell-1.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text("[charrnn.cells]\nmine = of_a_cell:Mine\n")
    monkeypatch.syspath_prepend(tmp_path)
    installed.plugins_are_installed.cache_clear()
    try:
        assert answer(["train", "--help"], stored) is None
    finally:
        installed.plugins_are_installed.cache_clear()


def test_edited_code_is_asked_itself(stored):
    count, written = state()
    assert answer(["train", "--help"], kept_of([count, written], stored))
    for other in ([count, written - 1], [count + 1, written]):
        assert answer(["train", "--help"], kept_of(other, stored)) is None
        assert answer(["completion", "bash", "--", "di"], kept_of(other, stored)) is None


def test_the_state_of_code_tells_an_edit_and_a_file_that_came_or_went(tmp_path):
    (tmp_path / "room").mkdir()
    files = [tmp_path / "a.py", tmp_path / "room" / "b.py"]
    for n, file in enumerate(files):
        file.write_text("")
        os.utime(file, ns=(0, n))
    (tmp_path / "notes.txt").write_text("")
    assert state(tmp_path) == [2, 1]
    os.utime(files[0], ns=(0, 5))
    assert state(tmp_path) == [2, 5]
    files[1].unlink()
    assert state(tmp_path) == [1, 5]
