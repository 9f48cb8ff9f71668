"""Help: the options of a command stand in groups with headings, in the same order everywhere."""

import pytest
import typer
from helpers.command_tree import commands
from helpers.commands import inside

from charrnn.cli.parsing.command import ARGUMENTS, Command
from charrnn.cli.parsing.shared import DEVICE, GENERAL, OUTPUT, RUN
from charrnn.diagnosis import verdicts
from charrnn.options import MODEL, SAVING, TEXT, TRAINING

OF_EVERY_COMMAND = {"config", "plugin", "help"}
COMMON = [TEXT, MODEL, TRAINING, SAVING, RUN, OUTPUT, DEVICE, GENERAL]


def grouped():
    """Return the parameters of each command by heading."""
    for name, command in commands().items():
        if isinstance(command, Command):
            yield name, command.groups(typer.Context(command, resilient_parsing=True))


def test_only_what_every_command_has_is_general():
    assert len(list(grouped())) > 12
    for name, groups in grouped():
        lacking = {"config"} if name == "info" else set()  # which has another one
        assert {param.name for param in groups[GENERAL]} == OF_EVERY_COMMAND - lacking, name


def test_the_common_headings_are_last_and_in_one_order():
    for name, groups in grouped():
        common = [heading for heading in groups if heading in COMMON]
        assert common == sorted(common, key=COMMON.index), name
        assert list(groups)[-len(common) :] == common, name
        assert ARGUMENTS not in list(groups)[1:], name


def test_help_shows_the_groups_and_all_that_is_in_them():
    for name, groups in grouped():
        told = inside(*name.split(), "--help").stdout
        headings = [line[:-1] for line in told.splitlines() if line[:1].strip() and line[-1] == ":"]
        assert headings[-len(groups) :] == list(groups), name
        for params in groups.values():
            for param in params:
                assert max(param.opts, key=len) in told or param.metavar in told, (name, param.name)


@pytest.mark.parametrize("group", [(), ("corpus",)])
def test_what_each_command_does_fits_into_its_line(group):
    shown = inside(*group, "--help").stdout
    lines = shown.split("Commands:\n")[1].split("\n\n")[0].splitlines()
    told = dict(line.split(None, 1) for line in lines)
    below = [name.split()[len(group) :] for name in commands() if name.startswith(" ".join(group))]
    assert told.keys() == {words[0] for words in below if words}
    assert all(text.endswith(".") and "..." not in text for text in told.values())


def test_every_verdict_can_be_read_in_the_help_of_what_fails_on_it():
    text = "".join(inside("diagnose", "--help").stdout.split())  # lines are cut at hyphens, too
    listed = text.split("for--fail-on:")[1].split(".")[0]
    assert tuple(listed.split(",")) == verdicts.CODES


def test_a_default_is_that_of_the_command():
    for command, default in (("train", "auto; none with --steps or --epochs"), ("sweep", "none")):
        text = " ".join(inside(command, "--help").stdout.split())
        assert f"takes the defaults shown here. [default: {default}]" in text
