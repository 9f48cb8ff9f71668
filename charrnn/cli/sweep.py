"""``charrnn sweep``."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from charrnn.cli.parsing.command import Fields, forget, given, takes
from charrnn.cli.parsing.config_file import gives, used
from charrnn.cli.parsing.given import refuse_on_gpu
from charrnn.cli.parsing.shared import (
    OUTPUT,
    Backend,
    Core,
    Matmul,
    Threads,
    note,
    note_fallback,
    refuse_core,
)
from charrnn.cli.process.output import write_json, write_text
from charrnn.cli.process.signals import Deferral
from charrnn.cli.train import FIELDS
from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.errors import CharRNNError, UsageError, setting
from charrnn.options import declared
from charrnn.sweep.settings import GRID, SweepConfig

if TYPE_CHECKING:
    from charrnn.sweep.folder import Folder
    from charrnn.sweep.records import SweepEnd
    from charrnn.sweep.runner import Runner

SWEEP = "Sweep"
_UNPLANNED = replace(FIELDS[-1], defaults={**FIELDS[-1].defaults, "plan": "none"})


@takes(Fields(SweepConfig), *FIELDS[:-1], _UNPLANNED)
def sweep(
    context: typer.Context,
    corpus: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CORPUS...",
            help="Files, directories or a built-in corpus, as for charrnn train.",
        ),
    ] = None,
    tries: Annotated[
        list[str] | None,
        typer.Option(
            "--try",
            metavar="NAME=VALUES",
            help="An option of charrnn train, and what to try: values (hidden=128,256), a range "
            "(dropout=0..0.6), one on a logarithmic scale (lr=0.001..0.02:log) or one in steps "
            "(hidden=64..256:64). May be repeated.",
            rich_help_panel=SWEEP,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="Name of the sweep. [default: from the first text, with -sweep]",
            show_default=False,
            rich_help_panel=SWEEP,
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            help="Folder of the sweep. [default: checkpoints/NAME]",
            show_default=False,
            rich_help_panel=SWEEP,
        ),
    ] = None,
    init_from: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Start every trial from the weights of RUN.",
            rich_help_panel=SWEEP,
        ),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="One JSON object per event on standard output.", rich_help_panel=OUTPUT
        ),
    ] = False,
    backend: Backend = "auto",
    matmul: Matmul = "fp32",
    core: Core = "auto",
    threads: Threads = None,
) -> int:
    """Search for good settings: train a text with many, and keep the best run.

    What --try varies is different in each trial. Every other option of charrnn train holds for all
    of them; --steps, --epochs and --minutes are the length of one trial. Trials are compared by
    their best validation loss.

    The sweep's name stands for its best run: charrnn sample NAME. charrnn runs NAME lists all
    trials. The same command goes on with a sweep that was interrupted; started several times at
    once, also on machines that share the folder, it divides the trials among the processes.

    Needs Optuna: pip install 'charrnn[sweep]'.
    """
    from charrnn.sweep.space import read
    from charrnn.sweep.study import need_optuna
    from charrnn.train.opening.request import Request

    _pass_over(context, tries or ())
    shared = Request(
        sources=tuple(corpus or ()),
        model=given(context, ModelConfig),
        data=given(context, DataConfig),
        train=given(context, TrainConfig),
        init_from=init_from,
    )
    config = SweepConfig(**given(context, SweepConfig))
    space = read(tries or (), shared)
    search = space.search(config)
    space.check()
    if "-" in (*shared.sources, *shared.data.get("val", ()), *shared.data.get("test", ())):
        raise UsageError("a sweep reads the text for every trial, but - is read once", "name files")
    if search == GRID:
        space.points(0)
    refuse_on_gpu(context)
    if init_from is None:
        first = {axis.name: axis.corners[0] for axis in space.axes}
        refuse_core(space.request(first).fresh_model().dtype, core, matmul)
    need_optuna()
    from charrnn.cli.process.ranks import ranks
    from charrnn.sweep.runner import Runner

    with ranks() as command:
        command.alone("a sweep is shared by separate processes, not by ranks")
        engine = command.open_backend(backend, threads, matmul, core)
        note_fallback(engine)
        folder = _folder(shared.sources[0], name, out)
        folder.settle(space.settings(search))
        with Deferral() as stop:
            try:
                runner = Runner(space, config, folder, engine, stop.asked, stop.begin)
                end = _follow(runner, folder, as_json)
            except BaseException:
                folder.forget()
                raise
            return stop.exit_code or _outcome(end)


def _pass_over(context: typer.Context, tries: Sequence[str]) -> None:
    """Pass over what a file of options gives, but a sweep does not take.

    So ``charrnn info --config``, which writes all settings of a run, makes a file for its sweep.
    That is what ``--try`` varies on the command line, which comes first, and what is for ranks.
    """
    from charrnn.sweep.space import OF_RANKS, tried

    varied = () if gives(context, "tries") else map(tried, tries)
    defaults = {**declared(DataConfig), **declared(TrainConfig)}
    for name in dict.fromkeys((*varied, *OF_RANKS)):
        if gives(context, name):
            value = forget(context, name)
            if name in OF_RANKS and value != defaults[name].default:
                why = "only applies to several ranks of one run"
                note(f"{setting(name)} (in {used(context).name}) {why}: it is passed over")


def _folder(source: str, name: str | None, out: str | None) -> Folder:
    from charrnn.storage import runs
    from charrnn.sweep.folder import Folder

    folder = runs.asked_for(name, out)
    return Folder(folder or runs.HOME / f"{runs.stem_of(source)}-sweep")


def _follow(runner: Runner, folder: Folder, as_json: bool) -> SweepEnd:
    """Run the sweep and report; return its last record."""
    import sys

    from charrnn.cli.process.progress import progress
    from charrnn.display import printable
    from charrnn.report import sweep as report
    from charrnn.sweep.records import SweepEnd, SweepStart, TrialEnd, TrialEval, TrialStart

    told: set[str] = set()
    best: list[float] = []
    total = None
    with progress("reading the text") as show, closing(runner.records()) as records:
        for record in records:
            if isinstance(record, SweepStart):
                total = record.total
            elif isinstance(record, TrialStart):
                for message in record.notes:
                    if message not in told:
                        note(message)
                told.update(record.notes)
                show(f"trial {record.trial.number}: {report.values(record.trial.options)}")
            elif isinstance(record, TrialEval):
                show(report.status(record, total, min(best, default=None)))
            elif isinstance(record, TrialEnd) and record.trial.loss is not None:
                best.append(record.trial.loss)
            if as_json:
                write_json(record.to_json())
            elif line := report.line(record):
                print(printable(line), file=sys.stderr, flush=True)
    assert isinstance(record, SweepEnd)
    if not as_json:
        write_text(report.table(record.trials))
        print(printable(report.conclusion(record, str(folder.path))), file=sys.stderr)
    return record


def _outcome(end: SweepEnd) -> int:
    """Return the exit code of a sweep that was not interrupted."""
    if end.best is None and end.trials and all(trial.reason for trial in end.trials):
        raise CharRNNError("all trials failed", "the table says why")
    return 0
