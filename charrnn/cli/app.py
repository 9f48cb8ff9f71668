"""The Typer application: every command, and how its errors become one line and an exit code."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from inspect import getdoc
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from charrnn import __version__
from charrnn.cli import _ranks, _streams
from charrnn.display import one_line
from charrnn.errors import CharRNNError, UsageError, option

_FUNCTIONS = {
    "train": ("train", "train"),
    "sweep": ("sweep", "sweep"),
    "sample": ("sample", "sample"),
    "predict": ("predict", "predict"),
    "eval": ("evaluate", "evaluate"),
    "diagnose": ("diagnose", "diagnose"),
    "plot": ("plot", "plot"),
    "view": ("view", "view"),
    "info": ("info", "info"),
    "runs": ("info", "runs"),
    "export": ("export", "export"),
    "import": ("importing", "import_model"),
    "bench": ("bench", "bench"),
    "completion": ("completion", "completion"),
    "man": ("manual", "man"),
}
"""For each command: its module in this package and its function."""
_GROUPS = {"corpus": ("corpus", "app")}


class Commands(TyperGroup):
    """All commands; only the one that runs is built, because that takes time."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        names: Any = dict.fromkeys((*_FUNCTIONS, *_GROUPS))
        self.commands = names  # candidates for "did you mean"

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of this name, or None."""
        if cmd_name in _GROUPS:
            return typer.main.get_command(_loaded(_GROUPS[cmd_name]))
        if cmd_name not in _FUNCTIONS:
            return None
        from charrnn.cli._command import build

        return build(cmd_name, _loaded(_FUNCTIONS[cmd_name]))

    def helps(self) -> dict[str, str]:
        """Return the help of each command."""
        found = {name: getdoc(_loaded(place)) or "" for name, place in _FUNCTIONS.items()}
        return found | {name: _loaded(place).info.help for name, place in _GROUPS.items()}

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the first sentence of each command's help."""
        helps = self.helps()
        limit = formatter.width - 6 - max(map(len, helps))
        rows = [(n, TyperCommand(n, help=h).get_short_help_str(limit)) for n, h in helps.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _loaded(place: tuple[str, str]) -> Any:
    module, name = place
    return getattr(import_module(f"charrnn.cli.{module}"), name)


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
        if problem.exit_code != UsageError.exit_code or _ranks.speaks():
            _streams.complain(one_line(problem.line(option)))
        return problem.exit_code
    except typer.Exit as leaving:
        return leaving.exit_code
    except Exception as problem:
        if hasattr(problem, "format_message"):
            return _usage_error(problem)
        explained = _memory_error(problem)
        if explained is None:
            raise
        _streams.complain(one_line(explained.line(option)))
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
    if not _ranks.speaks():
        return int(problem.exit_code)
    if type(problem).__name__ == "NoArgsIsHelpError":  # Typer does not export the class
        _streams.tell(problem.format_message())
        return int(problem.exit_code)
    path = problem.ctx.command_path if getattr(problem, "ctx", None) else "charrnn"
    message = " ".join(problem.format_message().split()).rstrip(".")
    _streams.complain(f"{one_line(message)}; see {path} --help")
    return int(problem.exit_code)
