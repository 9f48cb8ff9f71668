"""The command line as a whole: help, errors in one line, exit codes, what is imported."""

import errno
import json
import os
import subprocess
from pathlib import Path

import pytest
from helpers.commands import ENDLESS, charrnn, command, inside, start


def test_version():
    from charrnn import __version__

    assert charrnn("--version").stdout == f"charrnn {__version__}\n"


@pytest.mark.parametrize("command", ["train", "sample", "eval", "info", "runs", "corpus"])
def test_every_command_has_help(command):
    done = inside(command, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"Usage: charrnn {command}")


def test_the_help_of_train_shows_the_defaults():
    from charrnn.config import ModelConfig, TrainConfig

    shown = " ".join(inside("train", "--help").stdout.split())
    assert f"Hidden units of a layer. [default: {ModelConfig.hidden}; 128 with --task" in shown
    assert f"Learning rate. [default: {TrainConfig.lr}; " in shown


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["nonsense"], 2, "nonsense"),
        (["train", "hello", "--no-such-option"], 2, "--no-such-option"),
        (["train", "hello", "--hidden", "many"], 2, "many"),
        (["train"], 2, "no text"),
        (["train", "no/such/file.txt"], 1, "no/such/file.txt"),
        (["train", "hello", "--hidden", "-3"], 2, "--hidden"),
        (["train", "hello", "--val-frac", "1"], 2, "--val-frac"),
        (["train", "hello", "--dropout", "1"], 2, "--dropout"),
        (["train", "hello", "--lr", "nan"], 2, "--lr"),
        (["train", "hello", "--cell", "elman"], 2, "elman"),
        (["train", "hello", "--optimizer", "newton"], 2, "newton"),
        (["train", "hello", "--schedule", "never"], 2, "never"),
        (["train", "hello", "--activation", "relu"], 2, "--activation"),
        (["train", "hello", "--gru-reset", "before"], 2, "--gru-reset"),
        (["train", "hello", "--momentum", "0.5"], 2, "--momentum"),
        (["train", "hello", "--state", "reset", "--restart", "0.1"], 2, "--restart"),
        (["train", "hello", "--init", "identity"], 2, "identity"),
        (["train", "hello", "--name", "a/b"], 2, "a/b"),
        (["train", "hello", "--name", "a", "--out", "b"], 2, "--out"),
        (["train", "hello", "--resume", "a", "--init-from", "b"], 2, "--init-from"),
        (["train", "hello", "--backend", "abacus"], 2, "abacus"),
        (["train", "hello", "--threads", "0"], 2, "--threads"),
        (["train", "--resume", "last"], 1, "no run"),
        (["sample"], 1, "no run"),
        (["sample", "nobody"], 1, "nobody"),
        (["info", "nobody"], 1, "nobody"),
        (["eval", "--split", "val"], 1, "no run"),
    ],
)
def test_wrong_input_gets_one_line_and_an_exit_code(arguments, code, says, tmp_path):
    done = inside(*arguments, cwd=tmp_path)
    assert done.returncode == code
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("charrnn: error: ")
    assert says in done.stderr
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize("group", [[], ["corpus"]])
def test_no_command_shows_the_help(group):
    done, asked = inside(*group), inside(*group, "--help")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == asked.stdout
    assert "\nCommands:\n" in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="signals and pipes of POSIX")
def test_a_reader_that_goes_away_loses_nothing(tmp_path):
    """The training is saved, and the exit code is the conventional one."""
    process = start("train", "hello", "--json", *ENDLESS, cwd=tmp_path)
    assert process.stdout is not None and process.stderr is not None
    for _ in range(3):
        json.loads(process.stdout.readline())
    process.stdout.close()
    assert process.wait(60) == 141
    assert process.stderr.read() == ""
    process.stderr.close()
    told = json.loads(inside("info", "hello", "--json", cwd=tmp_path).stdout)
    assert told["step"] >= 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_stdout_that_is_full_is_one_line():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command("corpus", "make", "hello"),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 1
    why = os.strerror(errno.ENOSPC)
    assert done.stderr == f"charrnn: error: cannot write to standard output: {why}\n"


def test_options_that_are_declared_elsewhere_are_options_of_a_command():
    """Every field of the configurations, and what the cells, optimizers and schedules declare."""
    from charrnn.config import DataConfig, ModelConfig, TrainConfig
    from charrnn.errors import option
    from charrnn.options import MODEL, SAVING, TEXT, TRAINING, declared
    from charrnn.registry import REGISTRIES

    text = inside("train", "--help").stdout
    names = [name for config in (DataConfig, ModelConfig, TrainConfig) for name in declared(config)]
    names += [name for registry in REGISTRIES for name in registry.options()]
    for name in set(names) - {"sources"}:
        assert f"  {option(name)} " in text
    headings = [line[:-1] for line in text.splitlines() if line.endswith(":") and line[0] != " "]
    assert headings[1:6] == [TEXT, MODEL, TRAINING, SAVING, "Run"]


def test_an_option_of_a_class_says_whose_it_is():
    text = " ".join(inside("train", "--help").stdout.split())
    assert "--cell lstm: Initial bias of the forget gate. [default: 1.0]" in text
    assert "--optimizer sgd: Fraction of the previous update that is kept. [default: 0.9]" in text
    assert "Recurrent cell: gru, lstm, rnn (vanilla). [default: lstm]" in text


def test_a_mistyped_command_gets_a_suggestion():
    done = inside("trian")
    assert done.returncode == 2
    assert "Did you mean 'train'?" in done.stderr
