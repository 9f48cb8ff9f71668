"""Shell completion: what may follow, and the scripts in the shells themselves."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from helpers.command_tree import commands
from helpers.commands import inside
from helpers.typing_in import typed

from charrnn.cli.completion import SCRIPTS
from charrnn.cli.parsing import described
from charrnn.cli.parsing.candidates import FILES, FOLDERS
from charrnn.cli.parsing.command import Command

FREE = {
    *("name", "column", "field", "label_column", "label_field", "columns", "join", "encoding"),
    *("label", "prime", "until", "compare", "fail_on", "tries", "unit"),
}
"""Parameters that are strings of which no shell knows any."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    where = tmp_path_factory.mktemp("complete")
    (where / "t.txt").write_text("the cat sat on the mat.\n" * 9)
    small = ("--hidden", "4", "--steps", "1", "--batch", "2", "--seq-len", "4", "--quiet")
    for name in ("first", "the second"):
        assert inside("train", "t.txt", *small, "--name", name, cwd=where).returncode == 0
    return where


def after(place, *words):
    done = inside("completion", "bash", "--", *words, cwd=place)
    assert (done.returncode, done.stderr) == (0, "")
    return [line.partition("\t")[0] for line in done.stdout.splitlines()]


AFTER = [
    (["di"], ["diagnose"]),
    (["corpus", "m"], ["make"]),
    (["corpus", "make", "re"], ["reber", "recall", "reversal"]),
    (["corpus", "info", "wal"], ["walks", FILES]),
    (["corpus", "make", "dates", "--ye"], ["--years"]),
    (["train", "hel"], ["hello", FILES]),
    (["train", "hello", "--val", "hel"], ["hello", FILES]),
    (["train", "--hid"], ["--hidden", "--hide-symbols"]),
    (["train", "--cell", ""], ["gru", "lstm", "rnn"]),
    (["train", "--cell", "="], ["gru", "lstm", "rnn"]),
    (["train", "--cell", "=", "g"], ["gru"]),
    (["train", "--cell=g"], ["--cell=gru"]),
    (["train", "hello", "--plan", "a"], ["auto"]),
    (["train", "--backend", "n"], ["numpy"]),
    (["train", "--out", ""], [FOLDERS]),
    (["train", "--resume", ""], ["the second", "first", FILES]),
    (["sample", "f"], ["first", FILES]),
    (["sample", "first", ""], []),
    (["predict", "first", ""], [FILES]),
    (["sample", "--seed", "3", "--json", "t"], ["the second", FILES]),
    (["eval", "hello", "x.txt", "--split", ""], ["val", "test"]),
    (["eval", "--", "--hel"], [FILES]),
    (["export", "first", "--to", "t"], ["torch", "tensorboard"]),
    (["completion", ""], ["bash", "zsh", "fish"]),
    (["man", "sam"], ["sample"]),
    (["man", "--out", ""], [FOLDERS]),
    (["train", "--no-such-option", "--cell", "r"], ["rnn"]),
    (["nonsense", ""], []),
    (["--plugin", "x.py", "samp"], ["sample"]),
]


@pytest.mark.parametrize(("words", "some"), AFTER)
def test_what_may_follow(words, some, place):
    assert after(place, *words) == some


def test_an_empty_word_gets_all_commands_and_what_they_do(place):
    assert set(after(place, "")) == {name.split()[0] for name in commands() if name}
    told = inside("completion", "zsh", "--", "", cwd=place).stdout
    assert "train\tTrain a model on a text and keep it under checkpoints/.\n" in told


def test_every_string_is_completed_or_known_to_be_free(place):
    for words, command in commands().items():
        if not isinstance(command, Command):
            continue
        context = typer.Context(command, resilient_parsing=True)
        for param in command.get_params(context):
            known = words in ("completion", "man") or words.startswith("corpus ")  # tested above
            if param.type.name in ("str", "path") and not known:
                found = list(described._values(context, param))
                assert bool(found) != (param.name in FREE), (
                    f"{words}: {param.name}: name it in FREE?"
                )


def test_only_a_known_shell_has_a_script():
    for shell, script in SCRIPTS.items():
        assert inside("completion", shell).stdout == script
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in inside("completion", "tcsh").stderr


def shell(program, script, place):
    """Run a script in a shell in which ``charrnn`` is this one; return what it prints."""
    if shutil.which(program) is None:
        pytest.skip(f"needs {program}")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [program, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=place,
        env={**os.environ, "PATH": path, "HOME": str(place)},
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


LINES = [
    (["charrnn", "samp"], ["sample"]),
    (["charrnn", "sample", "f"], ["first"]),
    (["charrnn", "sample", "the"], ["the second"]),
    (["charrnn", "train", "t"], ["t.txt"]),
    (["charrnn", "train", "--cell", "g"], ["gru"]),
    (["charrnn", "train", "--out", "check"], ["checkpoints"]),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "wanted"), [*LINES, (["charrnn", "train", "--cell", "=", "g"], ["gru"])]
)
def test_bash_completes(words, wanted, place):
    quoted = " ".join(f"'{word}'" for word in words)
    script = (
        'eval "$(charrnn completion bash)"\n'
        f"COMP_WORDS=({quoted}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n"
        "complete -p charrnn >/dev/null && _charrnn charrnn 2>/dev/null\n"
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    assert shell("bash", script, place) == wanted


@pytest.mark.slow
@pytest.mark.parametrize(("words", "wanted"), LINES)
def test_fish_completes(words, wanted, place):
    line = " ".join(words)
    script = f"charrnn completion fish | source; complete -C '{line}'"
    found = [entry.partition("\t")[0].rstrip("/") for entry in shell("fish", script, place)]
    assert found == wanted


@pytest.mark.slow
@pytest.mark.parametrize(("words", "wanted"), LINES)
def test_zsh_completes(words, wanted, place):
    """``_describe`` and ``_files`` are replaced by what prints their candidates."""
    quoted = " ".join(f"'{word}'" for word in words)
    script = f"""
compdef() {{ :; }}
compset() {{ :; }}
_describe() {{ local name; for name in "${{(@P)2}}"; do print -r -- "${{name%%:*}}"; done; }}
_files() {{ local last=$words[CURRENT]; local all=(${{last}}*(N)); print -rC1 -- $all; }}
eval "$(charrnn completion zsh)"
words=({quoted}); CURRENT=$#words
_charrnn
"""
    assert shell("zsh", script, place) == wanted


TYPED = [
    ("charrnn samp\t", "charrnn sample "),
    ("charrnn sample the\t", "charrnn sample the\\ second "),
    ("charrnn train --cell=g\t", "charrnn train --cell=gru "),
    ("charrnn train my\t", "charrnn train my\\ text.txt "),
    ("charrnn train my\\ te\t", "charrnn train my\\ text.txt "),
    ("charrnn train --config=my\t", "charrnn train --config=my\\ text.txt "),
    ("charrnn train --out check\t", "charrnn train --out checkpoints/"),
]
"""What is typed, and the line that comes of it."""


SHELLS = {
    "bash": 'eval "$(charrnn completion bash)"',
    "zsh": 'eval "$(charrnn completion zsh)"',
    "fish": "charrnn completion fish | source",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SHELLS)
def test_a_shell_completes_what_is_typed(name, place):
    if shutil.which(name) is None:
        pytest.skip(f"needs {name}")
    (place / "my text.txt").touch()
    for before, wanted in TYPED:
        assert typed(name, before, place, SHELLS[name])[0] == wanted


COLONS = [
    ("charrnn train a:\t", "charrnn train a:b.txt "),
    ("charrnn train a:b\t", "charrnn train a:b.txt "),
    ("charrnn train a: a:b\t", "charrnn train a: a:b.txt "),
    ("charrnn train d:e:\t", "charrnn train d:e:f/"),
    ("charrnn train d:e:f/g\t", "charrnn train d:e:f/g:h "),
    ("charrnn eval a:b.txt --run fi\t", "charrnn eval a:b.txt --run first "),
    ("charrnn train a:b.txt --cell=g\t", "charrnn train a:b.txt --cell=gru "),
]


@pytest.mark.slow
@pytest.mark.parametrize("name", SHELLS)
def test_a_shell_completes_names_with_colons(name, place):
    if shutil.which(name) is None:
        pytest.skip(f"needs {name}")
    (place / "d:e:f").mkdir(exist_ok=True)
    (place / "d:e:f/g:h").touch()
    (place / "a:b.txt").touch()
    for before, wanted in COLONS:
        assert typed(name, before, place, SHELLS[name])[0].replace("\\:", ":") == wanted


@pytest.mark.slow
@pytest.mark.parametrize("way", ["evaluated", "in a folder of functions"])
def test_zsh_shows_what_each_candidate_means(way, place):
    if shutil.which("zsh") is None:
        pytest.skip("needs zsh")
    setup = SHELLS["zsh"]
    if way != "evaluated":
        (place / "functions").mkdir()
        (place / "functions/_charrnn").write_text(SCRIPTS["zsh"])
        setup = "fpath=($PWD/functions $fpath); compinit -u -D"
    line, seen = typed("zsh", "charrnn \t", place, setup)
    assert line == "charrnn "
    assert re.search(r"\ntrain +-- Train a model on a text", seen)
    (place / "a:b.txt").touch()
    assert typed("zsh", "charrnn train a:\t", place, setup)[0] == "charrnn train a:b.txt "
