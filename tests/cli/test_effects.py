"""Every option of every command has an effect; a new one must be entered in the table."""

from functools import cache

import pytest
from helpers.command_tree import commands, options
from helpers.option_effects import joined, lines, split
from helpers.outcomes import furnish, runner

LINES = [(command, line) for command, found in lines().items() for line in found]


def test_the_table_has_every_option_of_every_command():
    table = {}
    for command, found in lines().items():
        names = options(commands()[command])
        table[command] = {names.get(split(command, line)[1][0]) for line in found}
    assert table == {name: set(options(each).values()) for name, each in commands().items()}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with texts and runs."""
    where = tmp_path_factory.mktemp("effects")
    furnish(where)
    return where


@pytest.fixture(scope="module")
def outcome(place, tmp_path_factory):
    """What comes of a command line in a copy of the folder; computed once for each."""
    with pytest.MonkeyPatch.context() as patch:
        yield cache(runner(place, tmp_path_factory.mktemp("runs"), patch))


def need(command):
    """Skip the test if the command needs a library that is not installed."""
    if command == "sweep":
        pytest.importorskip("optuna")


@pytest.mark.slow
@pytest.mark.parametrize("command", sorted({command for command, _ in LINES}))
def test_what_comes_of_a_command_line_is_always_the_same(command, outcome):
    need(command)
    of_command = {tuple(split(name, line)[0]) for name, line in LINES if name == command}
    for rest in sorted(of_command)[:3]:
        assert outcome(*rest) == outcome.__wrapped__(*rest), rest


@pytest.mark.slow
@pytest.mark.parametrize(("command", "line"), LINES)
def test_an_option_has_an_effect(command, line, outcome):
    need(command)
    rest, option = split(command, line)
    without, beside = outcome(*rest), outcome(*joined(command, rest, option))
    assert beside != without
    assert beside[0] != 2 or option[0] in beside[2][0]
