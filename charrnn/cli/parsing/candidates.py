"""What may be typed next on a command line: the answers of shell completion.

A candidate is a line: what is typed, and after a tab what it means. The lines ``FILES`` and
``FOLDERS`` ask the shell for its own; ``RUNS`` stands for the names of the runs.

The answers come from a description of the commands, which ``charrnn/cli/parsing/described.py``
makes of the code. It is also stored (``charrnn/cli/parsing/stored.py``), so that who presses a key
in a shell does not wait for Typer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

FILES, FOLDERS, RUNS = ":files", ":folders", ":runs"


class Parameter(NamedTuple):
    """An option or an argument of a command."""

    names: Sequence[str]
    """All that can be typed for an option; nothing for an argument."""
    help: str
    waits: bool
    """Whether the next word is its value."""
    many: bool
    """Whether an argument takes all further words."""
    values: Sequence[str]
    """Candidates for its value."""


class Described(NamedTuple):
    """A command, or a group of commands."""

    options: Sequence[Parameter]
    arguments: Sequence[Parameter]
    commands: dict[str, str]
    """What each command of a group does."""
    find: Callable[[str], Described | None]
    """Returns a command of a group."""

    def plain(self) -> dict[str, Any]:
        """Return all of it as plain data for JSON, which :func:`of_plain` reads."""
        each = {name: (text, self.find(name)) for name, text in self.commands.items()}
        return {
            "options": self.options,
            "arguments": self.arguments,
            "commands": {name: [text, c.plain()] for name, (text, c) in each.items() if c},
        }


def of_plain(data: dict[str, Any]) -> Described:
    """Return what :meth:`Described.plain` has written."""
    commands = data["commands"]
    return Described(
        [Parameter(*each) for each in data["options"]],
        [Parameter(*each) for each in data["arguments"]],
        {name: text for name, (text, _) in commands.items()},
        lambda name: of_plain(commands[name][1]) if name in commands else None,
    )


def lines(root: Described, words: Sequence[str]) -> str:
    """Return the candidates for the last word of a command line, one a line.

    Parameters
    ----------
    root
        The program.
    words
        What is typed after its name, up to and with the word to complete, which may be empty. A
        shell may have divided ``--cell=gru`` at its ``=``.
    """
    *before, current = words or [""]
    command: Described | None = root
    while before and command and command.commands:
        name = before.pop(0)
        if name == "--plugin":
            del before[:1]
        elif not name.startswith("-"):
            command = command.find(name)
    found = _of_command(command, before, current) if command else ()
    fitting = dict.fromkeys(line for line in found if _fits(line, current))
    return "".join(f"{line}\n" for line in fitting)


def _fits(line: str, current: str) -> bool:
    return line in (FILES, FOLDERS) or line.startswith("" if current == "=" else current)


def _of_command(command: Described, before: Sequence[str], current: str) -> Iterator[str]:
    """Yield candidates after the words of a command, also such as do not begin as they must."""
    options = {name: option for option in command.options for name in option.names}
    waiting, typed, only_arguments = None, 0, False
    for word in before:
        if waiting is not None:
            waiting = waiting if word == "=" else None
        elif only_arguments or word == "-" or not word.startswith("-"):
            typed += 1
        elif word == "--":
            only_arguments = True
        elif word in options and options[word].waits:
            waiting = options[word]
    name, equals, _ = current.partition("=")
    arguments = command.arguments
    if waiting is not None:
        yield from _values(waiting)
    elif equals and name in options:
        found = _values(options[name])
        yield from (line if line in (FILES, FOLDERS) else f"{name}={line}" for line in found)
    elif current.startswith("-") and not only_arguments:
        yield from (explained(name, option.help) for name, option in options.items())
    elif command.commands:
        yield from (explained(*each) for each in command.commands.items())
    elif arguments and (typed < len(arguments) or arguments[-1].many):
        yield from _values(arguments[min(typed, len(arguments) - 1)])


def explained(name: str, text: str) -> str:
    """Return the candidate for a name, with what it means."""
    return f"{name}\t{' '.join(text.split())}" if text else name


def _values(param: Parameter) -> Iterator[str]:
    """Yield what can be given for a parameter."""
    for value in param.values:
        if value == RUNS:
            yield from _run_names()
        else:
            yield value


def _run_names() -> Iterator[str]:
    """Yield the names of the runs, the newest first."""
    from charrnn.display import one_line
    from charrnn.storage import runs

    try:
        for folder in reversed(runs.folders()):
            yield one_line(folder.name)
    except OSError:  # a folder that may not be read
        return
