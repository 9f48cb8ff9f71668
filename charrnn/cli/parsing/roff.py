"""Manual pages, made from what ``--help`` shows: one page for the program and one for a command."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from charrnn import __version__
from charrnn.cli.parsing.command import Command
from charrnn.cli.parsing.described import summaries

_WIDE = 10_000
"""Columns of help, which the reader of the page breaks into lines."""


def pages(root: Any) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of every page, the program's own first."""
    waiting = [_context(root, None, "charrnn")]
    while waiting:
        context = waiting.pop(0)
        yield _name(context), page(context)
        group = context.command
        for name in _commands(context):
            waiting.append(_context(group.get_command(context, name), context, name))


def context_of(root: Any, words: list[str]) -> Any:
    """Return the context of the command of these words; None if there is none."""
    context = _context(root, None, "charrnn")
    for word in words:
        if word not in _commands(context):
            return None
        context = _context(context.command.get_command(context, word), context, word)
    return context


def page(context: Any) -> str:
    """Return the page of a command in roff, with the macros of man(7)."""
    command, name = context.command, _name(context)
    first, *more = _paragraphs(command.help or "")
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    lines = [
        f'.TH "{_text(name.upper())}" 1 "" "charrnn {__version__}" "charrnn"',
        *(".nh", ".ad l"),  # words are not divided, and lines end where they end
        *(".SH NAME", f"{_text(name)} \\- {_text(first.split('. ')[0].rstrip('.'))}"),
        *(".SH SYNOPSIS", f".B {_text(usage)}"),
        *(".SH DESCRIPTION", _line(first)),
    ]
    for paragraph in more:
        lines += [".PP", _line(paragraph)]
    if _commands(context):
        lines += [".SH COMMANDS"]
        for own, summary in summaries(context).items():
            lines += [".TP", f"\\fB{_text(f'{name}-{own}')}\\fR(1)", _line(summary)]
    lines += [".SH OPTIONS"]
    for heading, params in _groups(context).items():
        lines += [f".SS {_text(heading)}"] if heading else []
        for param in params:
            record = param.get_help_record(context)
            if record is not None:
                lines += [".TP", _term(param, record[0]), _line(record[1])]
    for paragraph in _paragraphs(command.epilog or ""):
        lines += [".SH EXIT STATUS", _line(paragraph.removeprefix("Exit codes: "))]
    if context.parent is not None:
        lines += [".SH SEE ALSO", f"\\fB{_text(_name(context.parent))}\\fR(1)"]
    return "\n".join(lines) + "\n"


def _context(command: Any, parent: Any, name: str) -> Any:
    more: Any = {"terminal_width": _WIDE, "max_content_width": _WIDE}
    return typer.Context(command, parent, name, resilient_parsing=True, **more)


def _commands(context: Any) -> list[str]:
    lists = getattr(context.command, "list_commands", None)
    return list(lists(context)) if lists else []


def _name(context: Any) -> str:
    return str(context.command_path).replace(" ", "-")


def _groups(context: Any) -> dict[str, list[Any]]:
    """Return the parameters by heading."""
    command = context.command
    if isinstance(command, Command):
        return command.groups(context)
    return {"": command.get_params(context)}


def _term(param: Any, left: str) -> str:
    """Return the names of an option in bold and what stands for its value in italics."""
    if param.param_type_name == "argument":
        return f"\\fI{_text(left)}\\fR"
    names, _, value = left.partition(" <") if " <" in left else left.rpartition(" ")
    if getattr(param, "is_flag", False) or not names:
        return f"\\fB{_text(left)}\\fR"
    value = f"<{value}" if " <" in left else value
    return f"\\fB{_text(names)}\\fR \\fI{_text(value)}\\fR"


def _paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a docstring, each on one line."""
    return [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]


def _line(text: str) -> str:
    """Return one line of text that does not begin like a request."""
    line = _text(" ".join(text.split()))
    return f"\\&{line}" if line[:1] in (".", "'") else line


def _text(text: str) -> str:
    r"""Return text for roff: ``\`` and ``-`` stand for themselves, and so do quotes."""
    for character, escape in (("\\", "\\e"), ("-", "\\-"), ("'", "\\(aq"), ("`", "\\(ga")):
        text = text.replace(character, escape)
    return text.replace('"', "\\(dq").replace("^", "\\(ha").replace("~", "\\(ti")
