"""Options under the names that other programs have for them: ``--rnn_size``, ``--model NAME``.

What a command has no option for may also be an argument of it, or its standard output.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import typer

from charrnn.cli.parsing.misplaced import of_file
from charrnn.display import one_line, quoted, shell
from charrnn.errors import UsageError
from charrnn.exchange.synonyms import (
    ARGUMENTS,
    MEANT,
    OUTPUT,
    RUN,
    SWITCHED,
    SWITCHES,
    TEXT,
    WITHOUT,
    cell_meant,
    meanings,
)
from charrnn.exchange.synonyms import bare as bare_name

_COMMANDS = {
    "train": "fit learn",
    "sample": "generate write gen",
    "predict": "classify label tag translate",
    "eval": "evaluate test score perplexity validate",
    "view": "show visualize visualise",
    "info": "inspect describe",
    "runs": "list ls models",
    "sweep": "tune search hyperopt",
    "export": "convert save",
    "bench": "benchmark speed",
    "diagnose": "debug gradients",
    "corpus": "data dataset corpora",
}
"""What others call a command."""
_NUMBER = re.compile(r"-[\d.]+")


class _Read(NamedTuple):
    """A command line in charrnn's own words.

    Attributes
    ----------
    typed
        The first option that does not exist; empty if all do.
    meaning
        What it is here; empty if nothing.
    command
        The whole command; empty if another option of it has no meaning either.
    """

    typed: str
    meaning: str
    command: str


def explained(ctx: Any, params: Sequence[Any], words: Sequence[str]) -> UsageError | None:
    """Return what to say of an option that does not exist, if it is known what it means.

    Parameters
    ----------
    ctx
        The context of the command.
    params
        The parameters of the command.
    words
        What was typed after the command.
    """
    if named := of_file(words):
        name, remedy = named
        return UsageError(f"No such option: {one_line(name)}", remedy)
    read = _Line(ctx, params).read(list(words))
    if read.meaning:
        after = f": {read.command}" if read.command else f"; see {ctx.command_path} --help"
        return UsageError(f"No such option: {read.typed}", f"{read.meaning}{after}")
    bare = bare_name(read.typed)
    names = {bare, *meanings(bare)} if read.typed else set()
    for path, found in _elsewhere(ctx, names):
        where = f"charrnn {path} has " + (found if found != f"--{bare}" else "it")
        return UsageError(
            f"No such option: {read.typed}", f"{where}; see {ctx.command_path} --help"
        )
    return None


def command_meant(name: str) -> str:
    """Return the command that others call ``name``; empty if it is none."""
    return next((ours for ours, names in _COMMANDS.items() if name in names.split()), "")


class _Line:
    """The words of a command line, and what they are in this command."""

    def __init__(self, ctx: Any, params: Sequence[Any]) -> None:
        self._path = ctx.command_path.split()
        self._options = {n: p for p in params for n in (*p.opts, *p.secondary_opts)}
        self._arguments = {p.name for p in params if p.param_type_name == "argument"}
        self._options = {n: p for n, p in self._options.items() if n.startswith("-")}

    def read(self, words: list[str]) -> _Read:
        """Return the command line in charrnn's words."""
        runs: list[str] = []
        texts: list[str] = []
        plain: list[str] = []
        rest: list[str] = []
        after: list[str] = []
        typed = meaning = ""
        known = True
        while words:
            word = words.pop(0)
            name, sign, value = word.partition("=")
            if not word.startswith("-") or word == "-" or _NUMBER.fullmatch(word):
                plain.append(shell(word) if word != "-" else word)
                continue
            if word == "--":
                plain += map(shell, words)
                break
            if self._is_own(name):
                rest.append(quoted(word))
                takes = not getattr(self._options.get(name), "is_flag", False)
                if takes and not sign and name in self._options and words:
                    rest.append(quoted(words.pop(0)))
                continue
            role = self._role(name, value or (words[0] if words else ""))
            if not typed:
                typed, meaning = name, self._said(role)
            known = known and bool(role)
            if sign:
                given: str | None = value
            else:
                given = words.pop(0) if words and self._has_value(role, words[0]) else None
            {RUN: runs, TEXT: texts, OUTPUT: after}.get(role, rest).extend(self._words(role, given))
        line = [*self._path, *runs, *plain, *texts, *rest, *after]
        return _Read(typed, meaning, " ".join(line) if known else "")

    def _is_own(self, name: str) -> bool:
        """Whether a word is an option of the command, also a short one with its value."""
        short = name[:2] in self._options and name[1:2] != "-"
        return name in self._options or (short and not self._role(name, ""))

    def _role(self, name: str, value: str) -> str:
        """Return which option, with its dashes, or which of the other places a name means here."""
        bare = bare_name(name)
        if f"--{bare}" in self._options:
            return f"--{bare}"
        for meant in meanings(bare):
            if meant in ARGUMENTS:
                if self._arguments.intersection(ARGUMENTS[meant]) and not cell_meant(bare, value):
                    return meant
            elif meant == OUTPUT:
                if self._path[-1] in ("sample", "predict", "eval"):
                    return meant
            elif f"--{meant}" in self._options and (meant != "cell" or cell_meant(bare, value)):
                return f"--{meant}"
        return "--run" if bare in MEANT[RUN].split() and "--run" in self._options else ""

    def _said(self, role: str) -> str:
        if role == OUTPUT:
            return "the output is standard output"
        if role in ARGUMENTS:
            return f"the {'file' if 'file' in self._arguments else role} is an argument"
        return f"here it is {role}" if role else ""

    def _has_value(self, role: str, word: str) -> bool:
        """Whether a word is the value of the option before it."""
        if role.removeprefix("--") in SWITCHES:
            return bool(SWITCHED.fullmatch(word))
        if role.startswith("--") and getattr(self._options[role], "is_flag", False):
            return word.lower() in ("true", "false", "1", "0")
        return not word.startswith("-") or word == "-" or bool(_NUMBER.fullmatch(word))

    def _words(self, role: str, value: str | None) -> Iterator[str]:
        """Yield the words of an option in charrnn's command."""
        if role in ("", RUN, TEXT, OUTPUT):
            word = (value if value == "-" else shell(value)) if value else (role or "x").upper()
            yield f"> {word}" if role == OUTPUT else word
            return
        yield role
        name = role.removeprefix("--")
        if name == "backend":
            yield "numpy" if value and WITHOUT.fullmatch(value) else "cupy"
        elif name == "level":
            yield "word"
        elif name == "cell" and value is not None:
            yield cell_meant("cell-type", value) or value
        elif not getattr(self._options[role], "is_flag", False):
            yield role.lstrip("-").upper() if value is None else quoted(value)


def _elsewhere(ctx: Any, names: set[str]) -> Iterator[tuple[str, str]]:
    """Yield the commands that have an option of one of these names, and the option."""
    root = ctx.find_root().command
    for path in root.list_commands(ctx) if hasattr(root, "list_commands") else ():
        with suppress(Exception):  # a command that cannot be built is no advice
            command = root.get_command(ctx, path)
            context: Any = typer.Context(command, info_name=path, resilient_parsing=True)
            options: Mapping[str, Any] = {
                name: param for param in command.get_params(context) for name in param.opts
            }
            for name in sorted(names):
                if f"--{name}" in options:
                    yield path, f"--{name}"
