"""What shell completion and help know of the commands, read from the code.

``python -m charrnn.cli.parsing.described FILE`` stores it for a wheel, and with ``--state`` for an
editable install (``hatch_build.py``).
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from charrnn.cli.parsing.candidates import FILES, FOLDERS, RUNS, Described, Parameter, explained
from charrnn.cli.parsing.command import names_of
from charrnn.cli.parsing.stored import WIDTH, state

_RUNS = {"run", "runs", "resume", "init_from", "sweep"}
"""Parameters that are runs."""
_TEXTS = {"corpus", "text", "val", "test", "novel_text"}
"""Parameters that are texts: files, directories or built-in corpora."""
_BUILTIN = {("corpus", "make"), ("corpus", "info")}
"""Commands whose argument is a built-in corpus."""


def described(command: Any, context: Any = None, name: str = "charrnn") -> Described:
    """Return the description of a command of Typer's; those in it are described when found."""
    settings = command.context_settings
    own: Any = typer.Context(command, context, name, resilient_parsing=True, **settings)

    def find(name: str) -> Described | None:
        found = command.get_command(own, name)
        return None if found is None else described(found, own, name)

    params = command.get_params(own)
    return Described(
        [_parameter(own, each) for each in params if each.param_type_name == "option"],
        [_parameter(own, each) for each in params if each.param_type_name == "argument"],
        summaries(own) if hasattr(command, "list_commands") else {},
        find,
    )


def summaries(context: Any) -> dict[str, str]:
    """Return what each command of a group does."""
    group = context.command
    if hasattr(group, "summaries"):  # without building the commands, which takes time
        known: dict[str, str] = group.summaries
        return known
    names = group.list_commands(context)
    return {name: group.get_command(context, name).get_short_help_str(100) for name in names}


def _parameter(context: Any, param: Any) -> Parameter:
    option = param.param_type_name == "option"
    return Parameter(
        names_of(param) if option else (),
        _help(param),
        option and not param.is_flag,
        param.nargs == -1,
        tuple(_values(context, param)),
    )


def _help(param: Any) -> str:
    """Return the first sentence of an option's help, without its default."""
    text = re.sub(r" *\[default.*", "", param.help or "")
    return re.split(r"(?<=[^.][^.])\. |: |; ", text)[0].rstrip(".")


def _values(context: Any, param: Any) -> Iterator[str]:
    """Yield candidates for a parameter's value."""
    suggested = [item for item in param.shell_complete(context, "") if item.type == "plain"]
    valid = getattr(param, "valid", ()) or [item.value for item in suggested]
    path = context.command_path.split()[1:]
    if valid:
        yield from valid
    elif path == ["man"] and param.name == "command":
        yield from context.find_root().command.list_commands(context)
    elif param.name in _RUNS:
        yield from (RUNS, FILES)
    elif (param.name in _TEXTS and "FILE" not in (param.metavar or "")) or (
        tuple(path) in _BUILTIN and param.name == "name"
    ):
        from charrnn.text import builtin

        yield from (explained(name, builtin.get(name).description) for name in builtin.NAMES)
        if path != ["corpus", "make"]:
            yield FILES
    elif param.metavar == "FOLDER" or (param.name == "out" and param.type.name == "str"):
        yield FOLDERS
    elif "FILE" in (param.metavar or "") or param.type.name in ("path", "file", "directory"):
        yield FILES


def stored(state: list[int] | None) -> dict[str, Any]:
    """Return what :mod:`charrnn.cli.parsing.stored` reads, for a state of the code, or any."""
    from charrnn.cli.app import app

    root = typer.main.get_command(app)
    context = typer.Context(root, info_name="charrnn", **root.context_settings)
    return {
        "code": state,
        "commands": described(root).plain(),
        "help": dict(pages(root, context)),
    }


def pages(command: Any, context: Any) -> Iterator[tuple[str, str]]:
    """Yield the words after ``charrnn`` and the help of a command, and of those in it."""
    yield " ".join(context.command_path.split()[1:]), command.get_help(context) + "\n"
    for name in command.list_commands(context) if hasattr(command, "list_commands") else ():
        found = command.get_command(context, name)
        yield from pages(found, typer.Context(found, context, name, **found.context_settings))


def main(file: str, of_state: str = "") -> None:
    """Write the description of the whole program into a file."""
    os.environ["COLUMNS"] = str(WIDTH)
    data = stored(state() if of_state else None)
    Path(file).write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
