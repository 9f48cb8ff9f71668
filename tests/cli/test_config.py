"""``--config``: a TOML file gives options of a command, and ``info --config`` writes one."""

import io
import json
import re
import sys
from pathlib import Path

import pytest
import typer
from helpers.command_tree import commands
from helpers.commands import inside

from charrnn.cli.parsing.command import Command
from charrnn.cli.parsing.config_file import argument_key

SMALL = """
corpus = ["t.txt"]
hidden = 5
batch = 2
seq-len = 4
steps = 3
lr = 1
backend = "numpy"
"""
PAIRS = "cat\tthe cat sat\ndog\tA dog ate it!\n" * 20
TAGS = "a\tb\nb\ta\na\ta\n\nb\tb\n\n" * 20


@pytest.fixture
def place(tmp_path):
    (tmp_path / "t.txt").write_text("the cat sat on the mat.\n" * 20)
    (tmp_path / "c.toml").write_text(SMALL)
    return tmp_path


def good(place, *words):
    done = inside(*words, cwd=place)
    assert done.returncode == 0, done.stderr
    return done.stdout


def told(place, run):
    return json.loads(good(place, "info", run, "--json"))


def refused(place, text, *words, code=2):
    """Return the line that refuses a file with this text."""
    (place / "d.toml").write_text(text, encoding="utf-8", errors="surrogateescape")
    done = inside(*words, "--config", "d.toml", cwd=place)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1), done.stderr
    return done.stderr


def test_a_file_gives_options_and_arguments(place):
    good(place, "train", "--config", "c.toml", "--name", "one")
    settings = told(place, "one")
    assert (settings["hidden"], settings["lr"], settings["steps"]) == (5, 1.0, 3)
    assert settings["corpus"] == [str(place / "t.txt")]


def test_the_command_line_wins_over_a_section_and_a_section_over_the_rest(place):
    sections = "[train]\nhidden = 4\nlr = 0.5\n[sample]\nlength = 7\n"
    (place / "c.toml").write_text(SMALL.replace("backend", "name = 'one'\nbackend") + sections)
    (place / "other.txt").write_text("on the mat\n" * 20)
    good(place, "train", "other.txt", "--config", "c.toml", "--lr", "0.25")
    settings = told(place, "one")
    assert (settings["hidden"], settings["lr"]) == (4, 0.25)
    assert settings["corpus"] == [str(place / "other.txt")]
    (place / "s.toml").write_text(sections)
    long, short = (
        json.loads(good(place, "sample", "one", "--json", "--config", "s.toml", *more))
        for more in ((), ("--length", "3"))
    )
    assert (len(long["text"]), len(short["text"])) == (7, 3)


def test_a_list_may_be_a_single_string_and_the_command_line_replaces_it(place):
    (place / "v.txt").write_text("the mat\n" * 9)
    (place / "w.txt").write_text("the cat\n" * 9)
    two = SMALL.replace('"t.txt"', '"t.txt", "w.txt"')
    (place / "c.toml").write_text(f'{SMALL}val = "v.txt"\njoin = "\\n"\nbidirectional = false\n')
    done = inside("train", "--config", "c.toml", cwd=place)
    assert "--bidirectional (in c.toml) only applies to" in done.stderr
    (place / "c.toml").write_text(f'{two}val = "v.txt"\njoin = "\\n\\\\\\\\"\nquiet = false\n')
    good(place, "train", "--config", "c.toml", "--name", "one")
    assert (told(place, "one")["val"], told(place, "one")["join"]) == (
        [str(place / "v.txt")],
        "\n\\",
    )
    good(place, "train", "--config", "c.toml", "--name", "two", "--val", "w.txt")
    assert told(place, "two")["val"] == [str(place / "w.txt")]


def test_what_a_file_gives_counts_as_given(place):
    text = SMALL.replace("steps = 3", "minutes = 0.001\nplan = 'auto'")
    (place / "c.toml").write_text(text)
    good(place, "train", "--config", "c.toml", "--name", "one")
    settings = told(place, "one")
    assert (settings["hidden"], settings["batch"], settings["lr"]) == (5, 2, 1.0)
    assert "--restart (in d.toml) only applies to" in refused(
        place, SMALL + "restart = 0.5\nstate = 'reset'", "train"
    )
    unused = refused(place, "seed = 1\nnext = 3\n", "sample", "one")
    assert "--seed (in d.toml) only applies to samples, but --next draws none" in unused


@pytest.mark.parametrize(
    ("text", "says", "advises"),
    [
        ("hiden = 3", "the key hiden, which charrnn train does not know", "did you mean hidden?"),
        ("seq_len = 3", "the key seq_len", "here it is seq-len: seq-len = 3"),
        ("rnn_size = 3", "the key rnn_size", "here it is hidden"),
        ("data_dir = 'x'", "the key data_dir", "here it is corpus"),
        ("temp = 3", "the key temp", "such as [train]"),
        ("help = true", "the key help", "charrnn train --help lists the options"),
        ("config = 'x'", "the key config", "--help"),
        ("[trian]\nhidden = 3", "the unknown section [trian]", "did you mean train?"),
        ("[train.more]\nhidden = 3", "[train.more]", "a section has the name of a command"),
        ("hidden = '3'", "hidden must be an integer, not '3'", "write it as hidden = 8"),
        ("hidden = 3.0", "hidden must be an integer, not 3.0", "hidden = 8"),
        ("hidden = true", "hidden must be an integer, not True", "hidden = 8"),
        ("lr = '3'", "lr must be a number", "write it as lr = 0.5"),
        ("cell = 3", "cell must be a string", 'write it as cell = "text"'),
        ("quiet = 1", "quiet must be true or false", "quiet = true"),
        ("val = [1]", "val must be a list of strings, not [1]", 'write val = ["text"]'),
        ("q = true\nquiet = true", "q and quiet, which are one option", "leave one of them out"),
        ("hidden 3", "is not valid TOML", "hidden = 256"),
        ("x = " + "[" * 9000, "is not valid TOML", "hidden = 256"),
        ("a = '\udcff'", "is not in UTF-8", "name a TOML file"),
        ("a = 1\n" * 200_000, "larger than 1,000,000 bytes", "name a file of options"),
        ("plugin = ['x.py']", "the key plugin", "a plug-in is code"),
        ("hidden = -3", "--hidden (in d.toml) must be at least 1", ""),
        ("gru-reset = 'before'", "--gru-reset (in d.toml) only applies to --cell gru", ""),
    ],
)
def test_a_wrong_file_gets_a_line_with_its_name_and_a_remedy(text, says, advises, place):
    line = refused(place, text, "train", "t.txt")
    assert "d.toml" in line and says in line and advises in line


def test_errors_of_values_name_the_file(place):
    good(place, "train", "--config", "c.toml", "--name", "one")
    assert "'foo' is not one of 'error', 'skip' (in d.toml)" in refused(
        place, "unknown = 'foo'", "sample", "one"
    )
    assert "--temperature (in d.toml) must be at least 0" in refused(
        place, "temperature = -1", "sample", "one"
    )
    assert "charrnn corpus make --help" in refused(place, "temp = 1", "corpus", "make")


@pytest.mark.parametrize("name", ["missing.toml", ".", "a\0b"])
def test_a_file_that_cannot_be_read_is_named(name, place):
    done = inside("train", "--config", name, cwd=place)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--config" in done.stderr


def test_standard_input_is_read_once(place, monkeypatch):
    def piped(text, *words):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        return inside(*words, "--config", "-", cwd=place)

    assert piped(SMALL, "train", "--name", "one").returncode == 0
    assert piped("length = 3", "sample", "one", "--seed", "1").returncode == 0
    assert "--hidden (in standard input)" in piped("hidden = -3", "train", "t.txt").stderr
    for words in (
        ("train", "-"),
        ("train", "t.txt", "--val", "-"),
        ("predict", "one"),
        ("sample", "one", "--each-line"),
        ("sample", "one", "--prime-file", "-"),
    ):
        done = piped("", *words)
        assert done.returncode == 2
        assert "standard input can be read only once; put one of" in done.stderr
    monkeypatch.setenv("PMI_RANK", "0")
    monkeypatch.setenv("PMI_SIZE", "2")
    assert "reaches only one of the ranks" in piped(SMALL, "train").stderr


def test_no_argument_has_the_key_of_an_option():
    for name, command in commands().items():
        if isinstance(command, Command):
            params = command.get_params(typer.Context(command, resilient_parsing=True))
            keys = [argument_key(p) for p in params if p.param_type_name == "argument"]
            names = {flag.lstrip("-") for p in params if p.name not in keys for flag in p.opts}
            assert len(keys) == len(set(keys)) and not names & set(keys), name


CASES = {
    "gru": (
        PAIRS,
        ["b.txt", "--cell", "gru", "--gru-reset", "before", "--join", '\\n\\\\Q"é', "--keep", "1"],
    ),
    "sgd": (PAIRS, ["--optimizer", "sgd", "--momentum", "0.3", "--level", "byte", "--embed", "3"]),
    "lines": (PAIRS, ["--examples", "line", "--state", "carry", "--dropout", "0.2"]),
    "classify": (PAIRS, ["--task", "classify", "--no-bidirectional", "--hide-symbols", "0"]),
    "transduce": (PAIRS, ["--task", "transduce", "--attention", "none", "--level", "word"]),
    "tag": (TAGS, ["--task", "tag", "--columns", "2,1"]),
}


@pytest.mark.parametrize(
    "case", [pytest.param(n, marks=[] if n == "gru" else pytest.mark.slow) for n in CASES]
)
def test_a_file_that_info_writes_repeats_the_run(case, tmp_path):
    text, words = CASES[case]
    (tmp_path / 'a "text".tsv').write_text(text)
    (tmp_path / "b.txt").write_text(text)
    small = ("--hidden", "5", "--batch", "2", "--steps", "3", "--backend", "numpy", "--quiet")
    good(tmp_path, "train", 'a "text".tsv', *words, *small, "--name", "one")
    (tmp_path / "one.toml").write_text(good(tmp_path, "info", "one", "--config"), encoding="utf-8")
    good(tmp_path, "train", "--config", "one.toml", "--name", "two", "--quiet")
    one, two = told(tmp_path, "one"), told(tmp_path, "two")
    assert one["weights_sha256"] == two["weights_sha256"]
    same = one.keys() - {"path", "seconds", "plan", "minutes", "verdict"}
    assert {name: one[name] for name in same} == {name: two[name] for name in same}
    other = (tmp_path / "one.toml").read_text().replace("seed = 0", "seed = 1")
    (tmp_path / "one.toml").write_text(other)
    good(tmp_path, "train", "--config", "one.toml", "--name", "three", "--quiet")
    assert told(tmp_path, "three")["weights_sha256"] != one["weights_sha256"]


@pytest.mark.slow
def test_a_file_of_a_run_that_followed_the_clock_says_so(place):
    good(place, "train", "t.txt", "--hidden", "4", "--minutes", "0.02", "--quiet", "--name", "one")
    assert "followed the clock" in good(place, "info", "one", "--config")
    (place / "one.toml").write_text(good(place, "info", "one", "--config"))
    good(place, "train", "--config", "one.toml", "--quiet", "--name", "two")
    assert "followed" not in good(place, "info", "two", "--config")


def test_info_writes_no_file_for_what_was_not_trained(place):
    done = inside("info", "--config", "--json", cwd=place)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    good(place, "train", "--config", "c.toml", "--name", "one")
    good(place, "export", "one", "--to", "torch", "--out", "m.safetensors")
    good(place, "import", "m.safetensors", "--name", "back")
    done = inside("info", "back", "--config", cwd=place)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "was not made by training" in done.stderr


def test_the_file_in_the_documentation_is_right(place):
    page = Path(__file__).parent.parent.parent / "docs/howto/shell.md"
    (block,) = re.findall(r"```toml\n(.*?)```", page.read_text("utf-8"), re.S)
    (place / "c.toml").write_text(block)
    wrong = inside("train", "--config", "c.toml", "--epochs", "-1", cwd=place)
    assert "--epochs must be above 0" in wrong.stderr
    assert "there is no run" in inside("sample", "--config", "c.toml", cwd=place).stderr


@pytest.mark.parametrize("text", [r'html = "a\u0000.html"', r'out = "a\u0000.svg"'])
def test_a_zero_byte_in_a_file_is_refused(text, place):
    Path(place / "zero.toml").write_text(text)
    done = inside("plot", "--config", "zero.toml", cwd=place)
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr
        == f"charrnn: error: zero.toml: {text.split()[0]} has a zero byte; leave it out\n"
    )
