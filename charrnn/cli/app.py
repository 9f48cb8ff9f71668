"""The Typer application: every command, and how its errors become one line and an exit code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from charrnn import __version__
from charrnn.cli import _streams, bench, corpus, diagnose, evaluate, info, sample, train
from charrnn.display import one_line
from charrnn.errors import CharRNNError, option

app = typer.Typer(
    name="charrnn",
    help="Train, sample and examine character-level recurrent language models.",
    epilog="Exit codes: 0 success; 1 failure; 2 usage error; 3 a verdict of diagnose --fail-on; "
    "129, 130, 143 after SIGHUP, SIGINT (Ctrl-C), SIGTERM; 141 when the reader of the output went "
    "away.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("train")(train.train)
app.command("sample")(sample.sample)
app.command("eval")(evaluate.evaluate)
app.command("diagnose")(diagnose.diagnose)
app.command("info")(info.info)
app.command("runs")(info.runs)
app.command("bench")(bench.bench)
app.add_typer(corpus.app, name="corpus")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"charrnn {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Train, sample and examine character-level recurrent language models."""


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code.

    Typer's own ``main`` is not used, because it turns a closed pipe into a plain failure.
    """
    command = typer.main.get_command(app)
    try:
        with command.make_context("charrnn", list(arguments)) as context:
            result = command.invoke(context)
    except CharRNNError as problem:
        _streams.complain(one_line(problem.told(option)))
        return problem.exit_code
    except typer.Exit as leaving:
        return leaving.exit_code
    except Exception as problem:
        if hasattr(problem, "format_message"):
            return _usage_error(problem)
        told = _memory_error(problem)
        if told is None:
            raise
        _streams.complain(one_line(told.told(option)))
        return told.exit_code
    return result if isinstance(result, int) else 0


def _memory_error(problem: Exception) -> CharRNNError | None:
    """Return what to say if memory ran out, on the machine or on its GPU."""
    from charrnn.backend.memory import explain

    return explain(problem)


def _usage_error(problem: Any) -> int:
    """Say in one line what Typer found wrong with the arguments, and where help is."""
    path = problem.ctx.command_path if getattr(problem, "ctx", None) else "charrnn"
    message = " ".join(problem.format_message().split()).rstrip(".")
    _streams.complain(f"{one_line(message)}; see {path} --help")
    return int(problem.exit_code)
