"""``charrnn train``."""

from __future__ import annotations

from contextlib import closing, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from charrnn.architecture import DEFAULTS, OF_WORDS
from charrnn.cli._board import Board, check_board
from charrnn.cli.parsing.command import Fields, given, takes
from charrnn.cli.parsing.given import again, refuse, refuse_on_gpu, refuse_run
from charrnn.cli.parsing.shared import (
    OUTPUT,
    RUN,
    Backend,
    Core,
    Matmul,
    Threads,
    explaining_memory,
    note,
    note_fallback,
    note_slower,
    refuse_core,
)
from charrnn.cli.process.output import write_json, write_text
from charrnn.cli.process.signals import Deferral
from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.display import quoted
from charrnn.errors import in_words, option
from charrnn.options import declared
from charrnn.settings import Configuration

if TYPE_CHECKING:
    from charrnn.cli.process.ranks import Command
    from charrnn.report.training import TrainingReport
    from charrnn.train.session import Session

_TEXT = tuple(name for name in declared(DataConfig) if name != "sources")


def _of_tasks(config: type[Configuration]) -> dict[str, str]:
    """Return the defaults of settings that depend on the task, for help."""
    found = {}
    for name, declaration in declared(config).items():
        own = [(task, "", of[name]) for task, of in DEFAULTS.items() if name in of]
        own += [(task, " for words", of[name]) for task, of in OF_WORDS.items() if name in of]
        if own and declaration.kind is not bool:
            tasks = (f"{value}{what} with --task {task}" for task, what, value in own)
            found[name] = "; ".join([declaration.shown or str(declaration.default), *tasks])
    return found


FIELDS = (
    Fields(DataConfig, _TEXT, _of_tasks(DataConfig)),
    Fields(ModelConfig, defaults=_of_tasks(ModelConfig)),
    Fields(TrainConfig, defaults=_of_tasks(TrainConfig)),
)
"""The settings of a training run."""


@takes(*FIELDS)
def train(
    context: typer.Context,
    corpus: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CORPUS...",
            help="Files (also gzip, bzip2, xz), directories, - for standard input, or a built-in "
            "corpus (charrnn corpus list). Joined in order. May be left out with --resume.",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="Name of the run. [default: from the first text]",
            show_default=False,
            rich_help_panel=RUN,
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            help="Folder of the run. [default: checkpoints/NAME]",
            show_default=False,
            rich_help_panel=RUN,
        ),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Continue RUN (folder, name, file, or last) exactly where it was saved.",
            rich_help_panel=RUN,
        ),
    ] = None,
    init_from: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Start a new run from the weights of RUN.",
            rich_help_panel=RUN,
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Only report parameters, memory and time, measured on a few steps.",
            rich_help_panel=RUN,
        ),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet", "-q", help="Print nothing but errors and notes.", rich_help_panel=OUTPUT
        ),
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="One JSON object per event on standard output.", rich_help_panel=OUTPUT
        ),
    ] = False,
    tensorboard: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Also write the metrics for TensorBoard, as they come, to the run's folder in "
            "DIR; TensorBoard shows all that are there.",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    backend: Backend = "auto",
    matmul: Matmul = "fp32",
    core: Core = "auto",
    threads: Threads = None,
) -> int:
    """Train a model on a text and keep it under checkpoints/.

    With --task classify the text is a table of examples: label<TAB>text or __label__NAME text a
    line, or a column or field of texts and one of labels (--column and --label-column, --field and
    --label-field).

    With --task generate it is such a table, too: the model learns to write the texts of each label.

    With --task tag it is columns, a token and its label a line and a blank line after each sequence
    (--columns says which of more columns they are), or lines of an input, a tab and an output of as
    many symbols. At --level char the characters of longer tokens are read one by one.

    With --task transduce it is a table of pairs, source<TAB>target a line, or a file of sources
    with their targets, line by line, in another one (--target).

    Ctrl-C finishes the step, saves, and prints how to continue; a second Ctrl-C ends at once.

    mpirun -n K charrnn train ... trains with K processes (pip install 'charrnn[mpi]').
    """
    from charrnn.report.training import choose
    from charrnn.train.opening.request import Request

    request = Request(
        sources=tuple(corpus or ()),
        model=given(context, ModelConfig),
        data=given(context, DataConfig),
        train=given(context, TrainConfig),
        name=name,
        out=out,
        resume=resume,
        init_from=init_from,
        again=again(context, ("backend", "core", "threads", "matmul")),
    )
    request.check()
    if not (resume or init_from):
        how = "{0} --init-from {1} begins with its weights, charrnn train --resume {1} goes on"
        refuse_run(context, request.sources, how)
    refuse_on_gpu(context)
    if resume is None and init_from is None:
        refuse_core(request.fresh_model().dtype, core, matmul)
    if dry_run:
        refuse(context, ("quiet",), "silences training, but --dry-run trains nothing")
        refuse(context, ("tensorboard",), "shows training, but --dry-run trains nothing")
    check_board(tensorboard)
    from charrnn.cli.process.progress import progress
    from charrnn.cli.process.ranks import ranks
    from charrnn.train.opening.sessions import open_session

    data = request.data
    named = (*request.sources, *data.get("val", ()), *data.get("test", ()))
    with ranks() as command:
        engine = command.open_backend(backend, threads, matmul, core)
        if dry_run:
            command.alone("--dry-run measures a single process")
            with progress("reading the text", named):
                session = open_session(request, engine, dry=True)
            return _dry_run(session, as_json)
        with Deferral() as stop:
            with nullcontext() if quiet else progress("reading the text", named):
                session = open_session(
                    request,
                    engine,
                    lambda: stop.asked() or command.unheard is not None,
                    stop.begin,
                    team=command.team,
                )
            with closing(session):
                if not quiet:
                    note_fallback(engine)
                words = [*request.again, *again(context, ("tensorboard",))]
                more = "".join(f" {quoted(word)}" for word in words)
                report = choose(quiet, as_json, more)
                code = _follow(session, stop, report, command, more, tensorboard)
                if not quiet:
                    note_slower(engine)
                return command.code(code)


def _dry_run(session: Session, as_json: bool) -> int:
    """Print what the training run would need."""
    from charrnn.report.dry_run import dry_run
    from charrnn.train.dry_run import measure

    result = measure(session.loop, session.needed)
    if as_json:
        write_json(result.to_json())
    else:
        write_text(dry_run(session.model.config, session.corpus.vocabulary.level, result))
    return 0


def _follow(
    session: Session,
    stop: Deferral,
    report: TrainingReport,
    command: Command,
    more: str,
    tensorboard: Path | None,
) -> int:
    """Train and report; return the exit code. ``more`` are options that continue it exactly."""
    from charrnn.train.records import Save, Start

    for line in session.notes:
        note(line)
    if session.finished:
        remedy = in_words(session.loop.stop_remedy(), option)
        step = f"step {session.loop.progress.step:,}"
        note(f"the run in {session.folder} has finished at {step}; to continue it give {remedy}")
        return 0
    stop.farewell = partial(command.abandon, report)
    board = Board(tensorboard if command.team.rank == 0 else None, session.folder)
    try:
        with (
            explaining_memory(session.needed.total),
            board,
            report,
            closing(session.records()) as records,
        ):
            for record in records:
                board.take(record)
                if isinstance(record, Save) or (isinstance(record, Start) and record.resumed):
                    command.saved(session.folder, more, session.needs_ranks)
                command.show(report, record)
    except OSError:
        if not stop.asked():
            raise  # otherwise it was a hang-up and the terminal is gone
    return stop.exit_code
