"""``--config``: options of a command from a TOML file.

A key is the name of an option without its dashes, or that of an argument: its word in the usage
line, in lower case. A table with the name of a command, such as ``[train]``, holds keys for that
command only. The command line comes first, then the table of the command, then the rest.

What a file gives counts as given. It becomes the ``default_map`` of the context, where Typer looks
for what is not on the command line. No file can name a plug-in, which is code.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from typer.core import TyperOption

from charrnn.cli.parsing.shared import GENERAL
from charrnn.display import brief, did_you_mean, one_line
from charrnn.errors import UsageError, setting
from charrnn.errors import option as flag

FLAG = "--config"
STDIN = f"{FLAG} -"
_STDIN = "standard input"
_USED = "charrnn.config"
_MOST = 1_000_000  # bytes of a file
_OTHERWISE = ("config", "plugin", "help", "version")
"""Parameters that are no keys."""
_FORMS: dict[str, tuple[Any, str, str]] = {
    "boolean": (bool, "true or false", "true"),
    "int": (int, "an integer", "8"),
    "float": ((int, float), "a number", "0.5"),
}
"""For each kind of value: its types in a file, what it is called, and an example."""
_TEXT: tuple[Any, str, str] = (str, "a string", '"text"')


class File(NamedTuple):
    """What a file holds, and what messages call it."""

    name: str
    table: dict[str, Any]


class Used(NamedTuple):
    """The file of a command line: what messages call it, and its key for each parameter."""

    name: str
    keys: dict[str, str]


def config_option() -> TyperOption:
    """Return the option ``--config``."""
    return TyperOption(
        param_decls=["config", FLAG],
        type=str,
        metavar="FILE|-",
        help="Read options from a TOML file, such as json = true; the command line wins.",
        expose_value=False,
        rich_help_panel=GENERAL,
    )


def read(source: str) -> File:
    """Read a TOML file; ``-`` is standard input.

    Raises
    ------
    UsageError
        If it cannot be read, or is not such a file.
    """
    import tomllib

    from charrnn.backend.launch import launched

    name = _STDIN if source == "-" else one_line(source)
    started = launched(os.environ)
    if source == "-" and started is not None:
        why = "standard input reaches only one of the ranks"
        raise UsageError(f"{STDIN}: {why}", "put the options into a file")
    try:
        if source == "-":
            data = sys.stdin.buffer.read(_MOST + 1)
        else:
            with Path(source).open("rb") as file:
                data = file.read(_MOST + 1)
    except OSError as problem:
        why = (problem.strerror or str(problem)).lower()
        raise UsageError(f"{FLAG}: cannot read {name}: {why}", "name a TOML file") from None
    except ValueError:  # a zero byte in the name
        raise UsageError(f"{FLAG}: {name} is not the name of a file", "name a TOML file") from None
    if len(data) > _MOST:
        raise UsageError(f"{name} is larger than {_MOST:,} bytes", "name a file of options")
    try:
        return File(name, tomllib.loads(data.decode("utf-8")))
    except UnicodeDecodeError:
        raise UsageError(f"{name} is not in UTF-8", "name a TOML file") from None
    except (tomllib.TOMLDecodeError, RecursionError) as problem:
        why = one_line(str(problem))
        remedy = 'a line is a key, = and a value, such as hidden = 256 or cell = "gru"'
        raise UsageError(f"{name} is not valid TOML: {why}", remedy) from None


def use(context: Any, file: File, params: Sequence[Any]) -> None:
    """Give a command the options that a file holds for it.

    Parameters
    ----------
    context
        The context of the command, before its arguments are parsed.
    file
        The file.
    params
        The parameters of the command.

    Raises
    ------
    UsageError
        If it holds what the command does not know or cannot take.
    """
    name = file.name
    known = dict(_keys(params))
    values: dict[str, Any] = {}
    keys: dict[str, str] = {}
    for key, value in _entries(context, file).items():
        if key == "plugin":
            why = "a plug-in is code, which only the command line can name"
            raise UsageError(f"{name} has the key plugin, but {why}", "give --plugin there")
        if key not in known:
            command = f"charrnn {' '.join(_path(context))}"
            message = f"{name} has the key {one_line(key)}, which {command} does not know"
            raise UsageError(message, _advice(key, value, known, command))
        param = known[key]
        if param.name in keys:
            both = f"{keys[param.name]} and {key}"
            raise UsageError(f"{name} has {both}, which are one option", "leave one of them out")
        keys[param.name] = key
        found = _value(param, key, value, name)
        if found is not None:
            values[param.name] = found
    context.default_map = values
    context.meta[_USED] = Used(name, {n: key for n, key in keys.items() if n in values})


def used(context: Any) -> Used:
    """Return the file of a command line; without one, with no keys."""
    return context.meta.get(_USED) or Used("", {})


def gives(context: Any, name: str) -> bool:
    """Whether the parameter ``name`` has its value from the file."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "DEFAULT_MAP"


def is_stdin(context: Any) -> bool:
    """Whether the file was standard input, which can be read only once."""
    return used(context).name == _STDIN


def check_stdin(context: Any, values: Mapping[str, Any]) -> None:
    """Raise :class:`UsageError` if standard input is the file and also one of the values."""
    if is_stdin(context) and any("-" in (v if isinstance(v, tuple) else [v]) for v in _of(values)):
        raise UsageError(
            f"{STDIN} and another -: standard input can be read only once",
            "put one of them into a file",
        )


def _of(values: Mapping[str, Any]) -> Iterator[Any]:
    return (tuple(v) if isinstance(v, list) else v for v in values.values())


def explained(context: Any, message: str) -> str:
    """Return a message that says of the first option in it that it stands in the file, if it does.

    The option is named by its mark, or as it is typed.
    """
    file = used(context)
    keys = [key for param, key in file.keys.items() if gives(context, param)]
    names = [setting(key.replace("-", "_")) for key in keys]
    names += [flag(key) if key[1:] else f"-{key}" for key in keys]
    if not names:
        return message
    either = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    mention = re.compile(rf"(?<![\w-])(?:{either})(?![\w-])")
    return mention.sub(lambda found: f"{found[0]} (in {file.name})", message, count=1)


def _path(context: Any) -> list[str]:
    """Return the words of a command: ``corpus``, ``make``."""
    words: list[str] = []
    while context.parent is not None:
        words.insert(0, context.info_name)
        context = context.parent
    return words


def _entries(context: Any, file: File) -> dict[str, Any]:
    """Return the keys for a command, from the top of the file down to its own table."""
    name, table = file
    found: dict[str, Any] = {}
    contexts = [context]
    while contexts[0].parent is not None:
        contexts.insert(0, contexts[0].parent)
    for depth, each in enumerate(contexts):
        groups = getattr(each.command, "list_commands", None)
        commands = groups(each) if groups else []
        for key, value in table.items():
            if not isinstance(value, dict):
                found[key] = value
            elif key not in commands:
                section = ".".join([*_path(each), one_line(key)])
                remedy = did_you_mean(key, commands) or "a section has the name of a command"
                raise UsageError(f"{name} has the unknown section [{section}]", remedy)
        own = table.get(contexts[depth + 1].info_name) if commands else None
        table = own if isinstance(own, dict) else {}
    return found


def _keys(params: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    """Yield each key that a file can have for a command, and its parameter."""
    for param in params:
        if param.param_type_name == "argument":
            yield argument_key(param), param
        elif param.name not in _OTHERWISE:
            for name in (*param.opts, *param.secondary_opts):
                yield name.lstrip("-"), param


def argument_key(param: Any) -> str:
    """Return the key of an argument: the first word of its ``metavar``, in lower case."""
    first: str = re.findall("[A-Za-z]+", param.metavar or param.name)[0]
    return first.lower()


def _advice(key: str, value: Any, known: Mapping[str, Any], command: str) -> str:
    from charrnn.exchange.synonyms import OUTPUT, bare, meanings, setting_meant, value_meant

    if meant := setting_meant(key, known, value):
        return f"here it is {meant}{_line(known[meant], meant, value_meant(meant, value))}"
    if OUTPUT in meanings(bare(key)) and command.split()[-1] in ("sample", "predict", "eval"):
        return f"the output is standard output: {command} … > FILE"
    near = did_you_mean(key.replace("_", "-"), known)
    other = "keys of one command stand in its section, such as [train]"
    return near or f"{command} --help lists the options; {other}"


def _line(param: Any, key: str, value: Any) -> str:
    """Return a line of the file after a colon; empty if this is no value of the parameter."""
    from json import dumps

    try:
        found = _value(param, key, value, "")
    except UsageError:
        return ""
    if isinstance(found, list | str | int | float) and "\x7f" not in str(found):
        return f": {key} = {dumps(found, ensure_ascii=False)}"
    return ""


def _value(param: Any, key: str, value: Any, name: str) -> Any:
    """Return the value of a parameter; None if the file says the same as no option."""
    if getattr(param, "multiple", False) or param.nargs == -1:
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
            wrong = f"{name}: {key} must be a list of strings, not {brief(value)}"
            raise UsageError(wrong, f'write {key} = ["text"]')
        if any("\0" in each for each in values):  # which no command line can hold
            raise UsageError(f"{name}: {key} has a zero byte", "leave it out")
        return values or None
    if isinstance(value, str) and "\0" in value:  # which no command line can hold
        raise UsageError(f"{name}: {key} has a zero byte", "leave it out")
    kind = "boolean" if getattr(param, "is_flag", False) else param.type.name.split()[0]
    types, what, example = _FORMS.get(kind, _TEXT)
    if not isinstance(value, types) or (isinstance(value, bool) and kind != "boolean"):
        wrong = f"{name}: {key} must be {what}, not {brief(value)}"
        raise UsageError(wrong, f"write it as {key} = {example}")
    if kind != "boolean":
        return value
    on = value != (flag(key) in param.secondary_opts)
    return on if on or param.secondary_opts else None
