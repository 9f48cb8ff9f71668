"""The ranks of a command that a launcher of MPI started: one team, one voice, one end.

The first rank alone prints. A failure that all ranks share, or have agreed on, ends each of them
in good order. If a single rank fails, it says why and ends the others at once: they may be waiting
for it, and would do so for ever.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from charrnn.cli import EXIT_FAILURE, EXIT_SIGPIPE
from charrnn.cli.process.signals import ending_at_once
from charrnn.cli.process.streams import complain, unwritten
from charrnn.cli.process.witness import Witness
from charrnn.display import one_line, quoted, shell
from charrnn.errors import CharRNNError, UsageError, option

if TYPE_CHECKING:
    from charrnn.backend import Backend
    from charrnn.backend.launch import Launched
    from charrnn.backend.ranks import Ranks
    from charrnn.backend.team import Team
    from charrnn.report.training import TrainingReport
    from charrnn.storage.checkpoint import Checkpoint
    from charrnn.train.records import Record

_FIRST = 2.0
"""Seconds that another rank waits before it reports a failure: the first one may do so."""
_LAST = 5
"""Seconds after which a process ends although MPI cannot end the others."""
_KILLED = "charrnn: error: a rank ended unexpectedly, so all were ended (mpirun says which one)"


def speaks() -> bool:
    """Whether this process reports wrong usage, which all ranks find: the first one does.

    The others wait, because a launcher that sees one rank fail ends all of them.
    """
    from charrnn.backend.launch import launched

    started = launched(os.environ)
    if started is None or not started.rank:
        return True
    time.sleep(_FIRST)
    return False


class Command:
    """A command that may run on several ranks.

    Attributes
    ----------
    team
        The ranks; a team of one if no launcher started several.
    unheard
        Why nobody reads the output any more; None while somebody does.
    """

    def __init__(self, team: Team, witness: Witness | None = None) -> None:
        self.team, self._witness = team, witness
        self.unheard: OSError | None = None
        self._plugins = ""
        if witness is not None:
            from charrnn.plugins import as_options

            self._plugins = "".join(f" {quoted(word)}" for word in as_options())
            witness.say(_KILLED)

    def alone(self, why: str) -> None:
        """Raise :class:`UsageError` on several ranks; ``why`` begins with the option."""
        if self.team.size > 1:
            problem = UsageError(why, "start it without mpirun")
            problem.everywhere = True
            raise problem

    def show(self, report: TrainingReport, record: Record) -> None:
        """Show a record.

        If nobody reads it, several ranks go on to the end of the step, which all of them save.
        """
        try:
            if self.unheard is None:
                report.show(record)
        except OSError as problem:
            if self.team.size == 1:
                raise
            self.unheard = problem

    def saved(self, folder: Path, again: str = "", needs_ranks: bool = False) -> None:
        """Say, if all ranks are killed from now on, how to continue the run: with ``again``.

        ``needs_ranks``: a single process cannot.
        """
        if self._witness is not None:
            start = f"mpirun -n {self.team.size} " if needs_ranks else ""
            more = self._plugins + again
            resume = f"to continue: {start}charrnn train --resume {shell(folder)}{more}"
            self._witness.say(one_line(f"{_KILLED}; the last checkpoint is intact; {resume}"))

    def over(self) -> None:
        """Say nothing any more if the ranks are killed; safe in a signal handler."""
        if self._witness is not None:
            self._witness.over()

    def abandon(self, report: TrainingReport) -> None:
        """Leave the terminal usable although all ranks end at once; safe in a signal handler."""
        self.over()
        report.abandon()

    def load(self, run: str | None) -> Checkpoint:
        """Return the best checkpoint of a run, which the first rank finds."""
        from charrnn.storage import runs, shared

        return shared.load(self.team, lambda: runs.resolve(run))

    def open_backend(
        self, name: str, threads: int | None, matmul: str = "fp32", core: str = "auto"
    ) -> Backend:
        """Return this rank's backend; on GPUs, from then on the team adds arrays there."""
        from charrnn.cli.parsing.shared import open_backend

        team = self.team
        threads = self.threads(threads)  # asks the others
        place = team.place, team.beside
        backend = team.together(
            lambda: open_backend(name, threads, matmul, core, tell=False, place=place)
        )
        team.require_same({"backend": backend.name})
        if team.size > 1 and backend.name != "numpy":
            from charrnn.backend.gpu.nccl import GpuTeam

            self.team = GpuTeam(team, backend.xp)
        return backend

    def threads(self, given: int | None) -> int | None:
        """Return the threads to use: as given, or this rank's share of the cores."""
        if given is not None or self.team.size == 1:
            return given
        from charrnn.backend.threads import threads_asked

        return threads_asked() or self.team.cores()

    def code(self, own: int) -> int:
        """Return the exit code of all ranks: the largest, or that of output that nobody read."""
        if isinstance(self.unheard, BrokenPipeError):
            own = max(own, EXIT_SIGPIPE)
        elif self.unheard is not None:
            complain(unwritten(self.unheard))
            own = max(own, EXIT_FAILURE)
        return int(max(self.team.numbers(own)))


@contextmanager
def ranks() -> Iterator[Command]:
    """Run the body on all ranks together.

    Raises
    ------
    typer.Exit
        After a failure, which has been reported.
    """
    from charrnn.backend.launch import launched

    started = launched(os.environ)
    if started is None:
        from charrnn.backend.team import Alone

        yield Command(Alone())
        return
    witness = Witness() if started.rank == 0 and hasattr(os, "fork") else None
    if started.rank:
        sys.stdout = sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    team = _joined(started)
    command = Command(team, witness)
    team.watch(lambda rank: _lost(command, team, rank))
    try:
        yield command
    except BaseException as problem:
        code = _failed(command, team, problem)
        team.end()
        command.over()
        raise typer.Exit(code) from None
    team.end()
    command.over()


def _joined(started: Launched) -> Ranks:
    """Return the team; a failure is reported by the first rank that can."""
    from charrnn.backend.ranks import open_ranks

    try:
        with ending_at_once():  # it waits for all ranks, and one may have ended already
            return open_ranks(started)
    except CharRNNError as problem:
        _wait_for_first(started.rank)
        _report(started.rank, problem)
        raise typer.Exit(problem.exit_code) from None


def _failed(command: Command, team: Ranks, problem: BaseException) -> int:
    """Report a failure; return the exit code if all ranks share it, or else end them all."""
    from charrnn.backend.memory import explain

    code = getattr(problem, "exit_code", 1)
    if isinstance(problem, CharRNNError) and problem.everywhere:
        if team.rank == 0:
            _report(0, problem)
        return int(code)
    _wait_for_first(team.rank)
    known = problem if isinstance(problem, CharRNNError) else explain(problem)
    if known is not None:
        _report(team.rank, known)
    elif not isinstance(problem, KeyboardInterrupt):
        os.write(2, "".join(traceback.format_exception(problem)).encode())
    command.over()
    return _end(team, int(code))


def _wait_for_first(rank: int) -> None:
    if rank:
        time.sleep(_FIRST)


def _report(rank: int, problem: CharRNNError) -> None:
    """Print the line of a failure, on whatever rank this is."""
    line = one_line(problem.line(option))
    os.write(2, f"charrnn: error: {f'rank {rank}: ' if rank else ''}{line}\n".encode())


def _lost(command: Command, team: Ranks, rank: int) -> NoReturn:
    """End this rank, because another one is not heard from; runs in a thread.

    MPI is not asked to end the others: it might wait for the one that is lost. The launcher does so
    where it can reach them, and the others miss this one.
    """
    line = f"rank {rank} on {one_line(team.hosts[rank])} is not heard from any more"
    os.write(2, f"charrnn: error: {line}; the last checkpoint is intact\n".encode())
    command.over()
    os._exit(1)


def _end(team: Ranks, code: int) -> NoReturn:
    """End all ranks at once, and this one even if MPI cannot do so."""
    sys.stdout.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # MPI has nothing to add
    if hasattr(signal, "alarm"):
        signal.alarm(_LAST)  # ends the process, even while MPI holds Python's lock
    team.abort(code)
    os._exit(code)
