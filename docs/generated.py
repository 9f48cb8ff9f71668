"""The parts of the reference that are made from the code when the site is built."""

from __future__ import annotations

import re
import textwrap
from dataclasses import fields
from inspect import cleandoc, getdoc
from typing import Any

import typer

from charrnn.cli.app import app
from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.options import declared
from charrnn.registry import CELLS, OPTIMIZERS, SCHEDULES
from charrnn.storage import checkpoint, runs
from charrnn.sweep import records as sweep
from charrnn.train import records as training

MARK = re.compile(r"^<!-- made from the code: (\w+) -->$", re.MULTILINE)


def fill(page: str) -> str:
    """Return a page with what its marks stand for in their places."""
    return MARK.sub(lambda mark: PARTS[mark[1]](), page)


def commands() -> str:
    """Return usage, help and options of every command."""
    root: Any = typer.main.get_command(app)
    return "\n".join(_command(f"charrnn {name}", one) for name, one in _walk(root))


def _walk(group: Any, words: str = "") -> list[tuple[str, Any]]:
    found = []
    context = typer.Context(group, resilient_parsing=True)
    for name in group.list_commands(context):
        one = group.get_command(context, name)
        below = hasattr(one, "list_commands")
        found += _walk(one, f"{words}{name} ") if below else [(words + name, one)]
    return found


def _command(name: str, command: Any) -> str:
    context = typer.Context(command, info_name=name, resilient_parsing=True)
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [f"## {name}", "", "```text", f"{name} {usage}", "```", "", _prose(command.help or "")]
    for heading, params in _groups(command, context).items():
        rows = [param.get_help_record(context) for param in params]
        lines += ["", f"**{heading}**", "", "| | |", "|---|---|"]
        lines += [f"| `{_cell(row[0])}` | {_cell(_literal(row[1]))} |" for row in rows if row]
    return "\n".join([*lines, ""])


def _groups(command: Any, context: Any) -> dict[str, list[Any]]:
    if hasattr(command, "groups"):
        found: dict[str, list[Any]] = command.groups(context)
        return found
    return {"Options": command.get_params(context)}


def _prose(help_text: str) -> str:
    """Return the help of a command as Markdown, its paragraphs in lines of their own."""
    return "\n\n".join(_literal(p.replace("\n", " ")) for p in cleandoc(help_text).split("\n\n"))


def _literal(text: str) -> str:
    """Return text with all that Markdown would read as markup escaped."""
    text = re.sub(r"([\\`*_<>{}\[\]#|$])", r"\\\1", text)
    return re.sub(r"(?<![\w-])--[a-z][\w-]*", r"`\g<0>`", text)


def _cell(text: str) -> str:
    return " ".join(text.replace("\\|", "|").replace("|", "\\|").split())


def events() -> str:
    """Return the events of ``charrnn train --json``."""
    return _records(training, training.Record)


def sweep_events() -> str:
    """Return the events of ``charrnn sweep --json``."""
    return _records(sweep, sweep.Record)


def _records(module: Any, base: type[Any]) -> str:
    kinds = [
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, base) and "event" in vars(kind)
    ]
    kinds = [kind for kind in kinds if kind is not getattr(training, "SaveDue", None)]
    return "\n".join(map(_record, kinds))


def _record(kind: type[Any]) -> str:
    rows = [
        f"| `{f.name}` | `{_cell(str(f.type))}` |" for f in fields(kind) if f.name != "settings"
    ]
    about = _roles(getdoc(kind) or "")
    return "\n".join([f"### {kind.event}", "", about, "", "| key | type |", "|---|---|", *rows, ""])


def _roles(text: str) -> str:
    """Return a docstring as Markdown: references and literals become code."""
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text)
    return text.replace("``", "`")


def settings() -> str:
    """Return all settings of network, text and training, with what each means."""
    rows = [
        f"| `{name}` | {_cell(_literal(said))} |"
        for name, said in sorted(settings_by_name().items())
    ]
    return "\n".join(["| key | contents |", "|---|---|", *rows, ""])


def settings_by_name() -> dict[str, str]:
    """Return the help of every setting by name."""
    found: dict[str, str] = {}
    for config in (ModelConfig, DataConfig, TrainConfig):
        found |= {name: option.help for name, option in declared(config).items()}
    for kinds in (CELLS, OPTIMIZERS, SCHEDULES):
        for kind in kinds.classes():
            found |= {name: option.help for name, option in kind.options.items()}
    return found


def files() -> str:
    """Return what the modules of checkpoints and run folders say of their formats."""
    from charrnn.storage import container

    parts = [("The file", container), ("The tensors", checkpoint)]
    said = [f"### {title}\n\n{_roles(getdoc(module) or '')}\n" for title, module in parts]
    facts = getdoc(checkpoint.Checkpoint) or ""
    kept = facts.partition("Attributes\n----------\n")[2]
    names = re.findall(r"(?m)^(\S[^\n]*)\n((?:    [^\n]*\n?)+)", kept)
    rows = [f"| `{name}` | {_cell(_roles(textwrap.dedent(text)))} |" for name, text in names]
    table = ["### What it holds", "", "| in Python | contents |", "|---|---|", *rows, ""]
    return "\n".join([*said, *table, f"A run's folder is under `{runs.HOME}/`.", ""])


PARTS = {
    "commands": commands,
    "events": events,
    "sweep_events": sweep_events,
    "settings": settings,
    "files": files,
}
