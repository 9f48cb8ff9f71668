"""Fixtures of several promises: a folder with a text, and commands that are run in it."""

import json
from types import SimpleNamespace

import pytest
from helpers.running import TEXT

from charrnn.cli.app import run

QUICK = ("--hidden", "4", "--steps", "4", "--batch", "4", "--seq-len", "8", "--backend", "numpy")


@pytest.fixture
def work(home):
    """A new folder as current folder, with a text."""
    (home / "text.txt").write_text(TEXT)
    return home


@pytest.fixture
def call(home, capfdbinary):
    """Run a command line in this process; return its code, stdout and stderr."""

    def run_it(*arguments):
        code = run(arguments)
        out, err = capfdbinary.readouterr()
        return SimpleNamespace(returncode=code, stdout=out.decode(), stderr=err.decode())

    return run_it


@pytest.fixture
def train(call):
    """Train a small run."""
    return lambda *arguments: call("train", *arguments, *QUICK, "--name", "run")


@pytest.fixture
def trained(call):
    """Return what ``info`` shows of the run."""
    return lambda: json.loads(call("info", "run", "--json").stdout)
