"""What may be typed next on a command line: the answers of shell completion.

A candidate is a line: what is typed, and after a tab what it means. The lines ``FILES`` and
``FOLDERS`` ask the shell for its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import typer

from charrnn.cli._command import names_of
from charrnn.display import one_line

FILES, FOLDERS = ":files", ":folders"
_RUNS = {"run", "runs", "resume", "init_from", "sweep"}
"""Parameters that are runs."""
_TEXTS = {"corpus", "text", "val", "test", "novel_text"}
"""Parameters that are texts: files, directories or built-in corpora."""
_BUILTIN = {("corpus", "make"), ("corpus", "info")}
"""Commands whose argument is a built-in corpus."""


def candidates(root: Any, words: Sequence[str]) -> list[str]:
    """Return the candidates for the last word of a command line.

    Parameters
    ----------
    root
        The program.
    words
        What is typed after its name, up to and with the word to complete, which may be empty. A
        shell may have divided ``--cell=gru`` at its ``=``.
    """
    *before, current = words or [""]
    context: Any = typer.Context(root, info_name="charrnn", resilient_parsing=True)
    while before and hasattr(context.command, "list_commands"):
        name = before.pop(0)
        if name == "--plugin":
            del before[:1]
        elif not name.startswith("-"):
            command = context.command.get_command(context, name)
            if command is None:
                return []
            context = typer.Context(command, context, name, resilient_parsing=True)
    found = _of_command(context, before, current)
    return list(dict.fromkeys(line for line in found if _fits(line, current)))


def _fits(line: str, current: str) -> bool:
    return line in (FILES, FOLDERS) or line.startswith("" if current == "=" else current)


def _of_command(context: Any, before: Sequence[str], current: str) -> Iterator[str]:
    """Yield candidates after the words of a command, also such as do not begin as they must."""
    params = context.command.get_params(context)
    options = {name: p for p in params if p.param_type_name == "option" for name in names_of(p)}
    arguments = [param for param in params if param.param_type_name == "argument"]
    waiting, typed, only_arguments = None, 0, False
    for word in before:
        if waiting is not None:
            waiting = waiting if word == "=" else None
        elif only_arguments or word == "-" or not word.startswith("-"):
            typed += 1
        elif word == "--":
            only_arguments = True
        elif word in options and not options[word].is_flag:
            waiting = options[word]
    name, equals, _ = current.partition("=")
    if waiting is not None:
        yield from _values(context, waiting)
    elif equals and name in options:
        found = _values(context, options[name])
        yield from (line if line in (FILES, FOLDERS) else f"{name}={line}" for line in found)
    elif current.startswith("-") and not only_arguments:
        yield from (_explained(name, _help(param)) for name, param in options.items())
    elif hasattr(context.command, "list_commands"):
        for name, text in summaries(context).items():
            yield _explained(name, text)
    elif arguments and (typed < len(arguments) or arguments[-1].nargs == -1):
        yield from _values(context, arguments[min(typed, len(arguments) - 1)])


def summaries(context: Any) -> dict[str, str]:
    """Return what each command of a group does."""
    group = context.command
    if hasattr(group, "summaries"):  # without building the commands, which takes time
        known: dict[str, str] = group.summaries
        return known
    names = group.list_commands(context)
    return {name: group.get_command(context, name).get_short_help_str(100) for name in names}


def _help(param: Any) -> str:
    """Return the first sentence of an option's help, without its default."""
    text = re.sub(r" *\[default.*", "", param.help or "")
    return re.split(r"(?<=[^.][^.])\. |: |; ", text)[0].rstrip(".")


def _explained(name: str, text: str) -> str:
    return f"{name}\t{' '.join(text.split())}" if text else name


def _values(context: Any, param: Any) -> Iterator[str]:
    """Yield what can be given for a parameter."""
    suggested = [item for item in param.shell_complete(context, "") if item.type == "plain"]
    valid = getattr(param, "valid", ()) or [item.value for item in suggested]
    path = context.command_path.split()[1:]
    if valid:
        yield from valid
    elif path == ["man"] and param.name == "command":
        yield from context.find_root().command.list_commands(context)
    elif param.name in _RUNS:
        yield from _run_names()
        yield FILES
    elif (param.name in _TEXTS and "FILE" not in (param.metavar or "")) or (
        tuple(path) in _BUILTIN and param.name == "name"
    ):
        from charrnn.text import builtin

        yield from (_explained(name, builtin.get(name).description) for name in builtin.NAMES)
        if path != ["corpus", "make"]:
            yield FILES
    elif param.metavar == "FOLDER" or (param.name == "out" and param.type.name == "str"):
        yield FOLDERS
    elif "FILE" in (param.metavar or "") or param.type.name in ("path", "file", "directory"):
        yield FILES


def _run_names() -> Iterator[str]:
    """Yield the names of the runs, the newest first."""
    from charrnn.storage import runs

    try:
        for folder in reversed(runs.folders()):
            yield one_line(folder.name)
    except OSError:  # a folder that may not be read
        return
