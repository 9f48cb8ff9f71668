"""A text given with a run is decoded as the run's own text was, unless an option says otherwise."""

import json
import re
from pathlib import Path

import pytest
from helpers.commands import inside

TEXT = "It\u2019s the old house.\n" * 60
USES = {
    "eval": ("eval", "{}", "--run", "w", "--json"),
    "sample": ("sample", "w", "--prime-file", "{}", "--length", "1", "--no-echo"),
    "diagnose": ("diagnose", "w", "--corpus", "{}", "--json"),
}
QUICK = ("--windows", "2", "--anchors", "4", "--targets", "4", "--lyapunov-steps", "20")


def use(command, path, *more):
    quick = QUICK if command == "diagnose" else ()
    return inside(*(part.format(path) for part in USES[command]), *quick, *more)


@pytest.fixture
def run(home, cache_folder):
    Path("w.txt").write_bytes(TEXT.encode("cp1252"))
    Path("utf8.txt").write_bytes(TEXT.encode())
    Path("wrong.txt").write_bytes(b"It\x81s the old house.\n" * 60)
    small = ("--hidden", "4", "--steps", "1", "--backend", "numpy", "--quiet")
    assert inside("train", "w.txt", "--encoding", "cp1252", "--name", "w", *small).returncode == 0


@pytest.mark.parametrize("command", USES)
def test_the_encoding_of_the_run_is_the_default(run, command):
    done = use(command, "w.txt")
    assert done.returncode == 0, done.stderr
    told = use(command, "utf8.txt", "--encoding", "utf-8")
    assert told.returncode == 0
    if command != "sample":  # whose text is drawn anew
        for name in ("nats_per_char", "global"):
            assert json.loads(told.stdout).get(name) == json.loads(done.stdout).get(name)
    assert use(command, "utf8.txt").returncode == 1  # other characters than the run knows


@pytest.mark.parametrize("command", USES)
def test_a_remedy_names_options_of_the_command(run, command):
    done = use(command, "wrong.txt")
    assert (done.returncode, done.stdout) == (1, "")
    assert "wrong.txt is not valid cp1252 at byte offset 2 (0x81)" in done.stderr
    options = re.findall(r"--[a-z]+", done.stderr.partition(";")[2])
    assert options == ["--encoding", "--errors"]
    shown = inside(command, "--help").stdout
    assert all(f"  {option} " in shown for option in options)
    more = () if command == "sample" else ("--unknown", "skip")
    replaced = use(command, "wrong.txt", "--errors", "replace", "--unknown", "skip", *more)
    assert replaced.returncode == 0, replaced.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("sample", "w", "--encoding", "cp1252"), "--encoding only applies to --prime-file"),
        (
            ("sample", "w", "--prime", "I", "--errors", "replace"),
            "--errors only applies to --prime-file",
        ),
        (("sample", "w", "--prime-file", "w.txt", "--errors", "no"), "--errors"),
        (("sample", "w", "--prime-file", "w.txt", "--encoding", "no"), "--encoding 'no'"),
        (
            ("diagnose", "w", "--encoding", "cp1252"),
            "--encoding only applies to a text that is given",
        ),
        (
            ("diagnose", "--fresh", "--encoding", "cp1252"),
            "--encoding only applies to a text that is given",
        ),
        (
            ("diagnose", "w", "--corpus", "w.txt", "--level", "byte"),
            "--level only applies to --fresh",
        ),
    ],
)
def test_what_has_no_effect_is_refused(run, arguments, says):
    done = inside(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr


def test_an_untrained_model_takes_the_encoding_too(run):
    done = inside(
        "diagnose", "--fresh", "--hidden", "4", "--corpus", "w.txt", "--encoding", "cp1252", *QUICK
    )
    assert done.returncode == 0, done.stderr


def test_a_built_in_corpus_is_utf_8_for_every_run(run, monkeypatch):
    monkeypatch.setattr("charrnn.text.builtin.python_docs._text", lambda: TEXT)
    done = inside("eval", "python-docs", "--run", "w", "--unknown", "skip", "--json")
    plain = inside(
        *("eval", "python-docs", "--run", "w", "--unknown", "skip", "--json"),
        *("--encoding", "utf-8"),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == plain.stdout
