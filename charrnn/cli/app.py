"""The Typer application: every command, and how its errors become one line and an exit code."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup

from charrnn import __version__
from charrnn.cli.process import ranks, streams
from charrnn.display import one_line
from charrnn.errors import STANDARD_OUTPUT, CharRNNError, UsageError, option, to_standard_output


class Place(NamedTuple):
    """Where a command is: its module in this package, and its function or group; what it does."""

    module: str
    name: str
    summary: str


_FUNCTIONS = {
    "train": Place("train", "train", "Train a model on a text and keep it under checkpoints/."),
    "sweep": Place("sweep", "sweep", "Train with many settings and keep the best run."),
    "sample": Place("sample", "sample", "Write text from a model, as it is drawn."),
    "predict": Place("predict", "predict", "Label texts, or write targets: a line for a line."),
    "eval": Place("evaluate", "evaluate", "Score a text: how well a model predicts it."),
    "diagnose": Place("diagnose", "diagnose", "Examine gradients: how far back they reach."),
    "plot": Place("plot", "plot", "Draw the loss curves of runs."),
    "view": Place("view", "view", "Show a text as a model sees it, and what its units do."),
    "info": Place("info", "info", "Show a run, a checkpoint, or this machine's devices."),
    "runs": Place("info", "runs", "List the runs under checkpoints/, or a sweep's trials."),
    "export": Place("export", "export", "Write a model for another library, or as a web page."),
    "import": Place("importing", "import_model", "Make a run of a model of PyTorch."),
    "bench": Place("bench", "bench", "Measure how fast this machine trains."),
    "completion": Place("completion", "completion", "Print what completes commands in a shell."),
    "man": Place("manual", "man", "Print a manual page."),
}
_GROUPS = {
    "corpus": Place("corpus", "app", "Built-in corpora, statistics of a text, the cache."),
}


class Commands(TyperGroup):
    """All commands; only the one that runs is built, because that takes time."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.summaries = {n: place.summary for n, place in {**_FUNCTIONS, **_GROUPS}.items()}
        names: Any = dict.fromkeys(self.summaries)
        self.commands = names  # candidates for "did you mean"

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of this name, or None."""
        if cmd_name in _GROUPS:
            return typer.main.get_command(_loaded(_GROUPS[cmd_name]))
        if cmd_name not in _FUNCTIONS:
            return None
        from charrnn.cli.parsing.command import build

        return build(cmd_name, _loaded(_FUNCTIONS[cmd_name]))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse what stands before the command; say where its own options stand."""
        words = tuple(args)
        try:
            return super().parse_args(ctx, args)
        except Exception as problem:
            from charrnn.cli.parsing.misplaced import of_group

            raise of_group(words, self.summaries, problem) from None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that the first word names; say what it is if others call it so."""
        try:
            return super().resolve_command(ctx, args)
        except Exception:
            from charrnn.cli.parsing.habits import command_meant
            from charrnn.cli.parsing.misplaced import of_command

            if told := of_command(args, self.summaries):
                raise told from None
            meant = command_meant(args[0])
            if not meant:
                raise
            problem = UsageError(f"No such command: {args[0]}", f"it is charrnn {meant}")
            raise problem from None

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write what each command does."""
        with formatter.section("Commands"):
            formatter.write_dl([*self.summaries.items()])


def _loaded(place: Place) -> Any:
    return getattr(import_module(f"charrnn.cli.{place.module}"), place.name)


app = typer.Typer(
    name="charrnn",
    cls=Commands,
    help="Train, sample and examine character-level recurrent language models.",
    epilog="Exit codes: 0 success; 1 failure; 2 usage error; 3 a verdict of diagnose --fail-on; "
    "129, 130, 143 after SIGHUP, SIGINT (Ctrl-C), SIGTERM; 141 if the reader of the output closed "
    "it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        with to_standard_output():
            typer.echo(f"charrnn {__version__}")
        raise typer.Exit


@app.callback()
def options(
    plugin: Annotated[
        list[str] | None,
        typer.Option("--plugin", metavar="FILE|MODULE", help="As for every command.", hidden=True),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Train, sample and examine character-level recurrent language models."""
    for source in plugin or ():
        from charrnn.plugins import plugin as load

        load(source)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code.

    Typer's own ``main`` is not used, because it turns a closed pipe into a plain failure.
    """
    command = typer.main.get_command(app)
    try:
        with command.make_context("charrnn", list(arguments)) as context:
            result = command.invoke(context)
    except CharRNNError as problem:
        if problem.exit_code != UsageError.exit_code or ranks.speaks():
            streams.complain(one_line(problem.line(option)))
        return problem.exit_code
    except typer.Exit as leaving:
        return leaving.exit_code
    except Exception as problem:
        if hasattr(problem, "format_message"):
            return _usage_error(problem)
        explained = _memory_error(problem)
        if explained is None:
            if isinstance(problem, OSError) and {"-h", "--help"} & set(arguments):
                problem.filename = problem.filename or STANDARD_OUTPUT  # Typer wrote the help
            raise
        streams.complain(one_line(explained.line(option)))
        return explained.exit_code
    return result if isinstance(result, int) else 0


def _memory_error(problem: Exception) -> CharRNNError | None:
    """Return the error to show if memory ran out, on the machine or on its GPU."""
    from charrnn.backend.memory import explain

    return explain(problem)


def _usage_error(problem: Any) -> int:
    """Report the error that Typer found in the arguments in one line that points to the help.

    A group without a command shows its help.
    """
    if not ranks.speaks():
        return int(problem.exit_code)
    if type(problem).__name__ == "NoArgsIsHelpError":  # Typer does not export the class
        streams.tell(problem.format_message())
        return int(problem.exit_code)
    path = problem.ctx.command_path if getattr(problem, "ctx", None) else "charrnn"
    message = " ".join(problem.format_message().split()).rstrip(".")
    streams.complain(f"{one_line(message)}; see {path} --help")
    return int(problem.exit_code)
