"""The command line on ranks: one voice, one exit code, and nothing of it without MPI."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import teams
from helpers.commands import charrnn
from helpers.running import SMALL, TEXT

from charrnn.backend.team import Alone
from charrnn.cli.process.ranks import Command, speaks
from charrnn.errors import STANDARD_OUTPUT, UsageError
from charrnn.report.training import Silent
from charrnn.train.records import Save


class Deaf(Silent):
    """A report whose reader has gone away, or whose disk is full."""

    def __init__(self, problem):
        self.problem, self.asked = problem, 0

    def show(self, record):
        self.asked += 1
        raise self.problem


RECORD = Save(1, "path")


@pytest.mark.parametrize(
    ("problem", "code"),
    [(BrokenPipeError(), 141), (OSError(errno.ENOSPC, "No space left", STANDARD_OUTPUT), 1)],
)
def test_output_that_nobody_reads_ends_all_ranks_alike(problem, code, capsys):
    def member(team):
        command, report = Command(team), Deaf(problem) if team.rank == 0 else Silent()
        for _ in range(3):
            command.show(report, RECORD)
        assert (command.unheard is not None) == (team.rank == 0)
        if team.rank == 0:
            assert report.asked == 1
        return command.code(0)

    assert teams.run(2, member) == [code, code]
    said = capsys.readouterr().err
    assert said == (
        "" if code == 141 else f"charrnn: error: cannot write to {STANDARD_OUTPUT}: No space left\n"
    )


def test_a_single_process_raises_at_once():
    command = Command(Alone())
    with pytest.raises(BrokenPipeError):
        command.show(Deaf(BrokenPipeError()), RECORD)
    assert command.unheard is None


def test_all_ranks_end_with_the_largest_code():
    assert teams.run(3, lambda team: Command(team).code(130 * (team.rank == 1))) == [130] * 3


def test_what_is_for_a_single_process_is_refused():
    Command(Alone()).alone("--dry-run measures a single process")

    def member(team):
        with pytest.raises(UsageError, match="measures a single process; start it without mpirun"):
            Command(team).alone("--dry-run measures a single process")

    teams.run(2, member)


def test_one_rank_reports_wrong_usage(monkeypatch):
    for name in ("PMI_RANK", "PMI_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert speaks()
    monkeypatch.setenv("PMI_RANK", "0")
    monkeypatch.setenv("PMI_SIZE", "2")
    assert speaks()
    monkeypatch.setenv("PMI_RANK", "1")
    monkeypatch.setattr("charrnn.cli.process.ranks._FIRST", 0.0)
    assert not speaks()


def test_without_a_launcher_nothing_of_mpi_is_imported(tmp_path):
    (tmp_path / "text.txt").write_text(TEXT)
    line = ["train", "text.txt", "--backend", "numpy", "--quiet"]
    for name, value in (SMALL | {"steps": 2}).items():
        line += ["--" + name.replace("_", "-"), str(value)]
    code = (
        f"import sys\nfrom charrnn.cli.app import run\nassert run({line!r}) == 0\n"
        "print(sorted(n for n in sys.modules if 'mpi4py' in n or n == 'charrnn.backend.ranks'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.skipif(os.name == "nt", reason="a launcher's variables are others there")
@pytest.mark.slow
def test_without_mpi4py_ranks_say_what_is_missing(tmp_path):
    (tmp_path / "mpi4py.py").write_text("raise ModuleNotFoundError('no', name='mpi4py')")
    env = {"PMI_RANK": "0", "PMI_SIZE": "2", "PYTHONPATH": str(tmp_path)}
    done = charrnn("train", "hello", env=env, cwd=tmp_path)
    assert done.returncode == 1
    line = "started by MPI, but mpi4py is not installed; pip install 'charrnn[mpi]'"
    assert done.stderr == f"charrnn: error: {line}\n"


class Told:
    """A witness that keeps what it is told."""

    def __init__(self):
        self.lines = []

    def say(self, line):
        self.lines.append(line)


@pytest.mark.parametrize(
    ("again", "needs_ranks", "command"),
    [
        ("", False, "charrnn train --resume 'checkpoints/a run'"),
        (" --core numpy", False, "charrnn train --resume 'checkpoints/a run' --core numpy"),
        ("", True, "mpirun -n 1 charrnn train --resume 'checkpoints/a run'"),
    ],
)
def test_ranks_that_are_killed_say_how_to_go_on_alike(again, needs_ranks, command):
    witness = Told()
    Command(Alone(), witness).saved(Path("checkpoints/a run"), again, needs_ranks)
    line = f"the last checkpoint is intact; to continue: {command}"
    assert witness.lines[-1].endswith(line)


WAITING = """
import os, signal, sys
from charrnn.cli.process.signals import ending_at_once, raise_on_signals
raise_on_signals()
with ending_at_once():
    os.kill(os.getpid(), signal.SIGTERM) if sys.argv[1] == "inside" else None
os.kill(os.getpid(), signal.SIGTERM)
"""


@pytest.mark.skipif(os.name == "nt", reason="signals are others there")
@pytest.mark.parametrize(("when", "code", "error"), [("inside", -15, ""), ("after", 1, "Stopped")])
def test_a_signal_ends_a_rank_that_waits_for_others(when, code, error):
    done = subprocess.run(
        [sys.executable, "-c", WAITING, when], capture_output=True, text=True, check=False
    )
    assert done.returncode == code
    assert error in done.stderr
