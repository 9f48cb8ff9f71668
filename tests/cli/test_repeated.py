"""An option that takes one value and is given several: which one counts, what is said."""

import json

import pytest
import typer
from helpers.command_tree import commands
from helpers.commands import inside

from charrnn.cli.parsing import repeated


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    where = tmp_path_factory.mktemp("repeated")
    (where / "t.txt").write_text("the cat sat on the mat.\n" * 20)
    for name in ("one", "two"):
        small = ("--hidden", "4", "--steps", "2", "--quiet", "--name", name)
        assert inside("train", "t.txt", *small, cwd=where).returncode == 0
    return where


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("view", "one", "t.txt", "--unit", "0:1", "--unit=0:2"),
            "--unit is given twice, as 0:1 and 0:2; one unit is shown at a time: run the command "
            "for each, or give --html FILE alone, a page that shows any unit",
        ),
        (
            ("eval", "--run", "one", "--split", "val", "--split", "test"),
            "--split is given twice, as val and test; run the command for each",
        ),
        (
            ("train", "--config", "a", "--config", "b", "--config", "c d"),
            "--config is given 3 times, as a, b and 'c d'; put their options into one file",
        ),
        (
            ("train", "t.txt", "--column", "a\nb", "--column", "c"),
            r"--column is given twice, as $'a\x0ab' and c; texts are read from one column: leave "
            "one of them out",
        ),
        (
            ("diagnose", "--compare", "lstm", "--compare", "gru,rnn"),
            "--compare is given twice, as lstm and gru,rnn; list them: --compare lstm,gru,rnn",
        ),
    ],
)
def test_two_values_of_which_one_would_be_lost_are_refused(place, words, said):
    done = inside(*words, cwd=place)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"charrnn: error: {said}\n"


@pytest.mark.parametrize(
    ("words", "same", "said"),
    [
        ("--until t --until a", "--until a", "--until is given twice: the last one counts, a"),
        ("--prime t --prime --", "--prime --", "--prime is given twice: the last one counts, --"),
        ("--prime t --prime=t --prime t", "--prime t", ""),
        ("--temp 0.5 --temperature 2", "--temp 2", ""),
        ("--length 7 --length 5", "--length 5", ""),
        ("--prime --until --until t", "--prime --until --until t", ""),
    ],
)
def test_else_the_last_one_counts(place, words, same, said):
    rest = ["--seed", "1", "--json", *(["--unknown", "skip"] if "--prime" in words else [])]
    twice, once = (
        inside("sample", "one", *line.split(), *rest, cwd=place) for line in (words, same)
    )
    assert twice.returncode == once.returncode == 0, twice.stderr
    assert twice.stdout == once.stdout
    assert json.loads(twice.stdout)["text"]
    notes = [line for line in twice.stderr.splitlines() if "given" in line]
    assert notes == ([f"charrnn: note: {said}"] if said else [])


def test_of_two_runs_the_last_is_scored_with_a_note(place):
    done = inside("eval", "t.txt", "--run", "one", "--run", "two", "--json", cwd=place)
    assert json.loads(done.stdout)["run"] == "checkpoints/two/best.safetensors"
    assert "--run is given twice: the last one counts, two\n" in done.stderr


def test_a_short_name_with_its_value_is_the_same_option():
    named = {name: one for one in commands()["predict"].params for name in one.opts}
    (found,) = repeated._repeated(["-k5", "-k", "6", "--", "-k7"], named)
    assert found[1:] == ("-k", ["5", "6"])


def test_the_options_that_are_named_exist_and_take_one_value():
    params = [
        param
        for command in commands().values()
        for param in command.get_params(typer.Context(command))
        if param.param_type_name == "option"
    ]
    for name in (*repeated._LISTED, *repeated._ONE, *repeated._NOTED):
        found = [param for param in params if param.name == name]
        assert found and not any(param.multiple for param in found), name


def test_a_command_that_fails_says_one_line(place):
    done = inside("eval", "t.txt", "--run", "one", "--run", "two", "--beam", "2", cwd=place)
    assert done.returncode == 2
    assert done.stderr.startswith("charrnn: error: --beam only applies")
    assert done.stderr.count("\n") == 1
