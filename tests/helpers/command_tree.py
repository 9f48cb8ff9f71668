"""All commands of the command line and their options, found by walking the command tree."""

import typer

from charrnn.cli.app import app
from charrnn.cli.parsing.command import names_of


def commands():
    """Return every command by its words (``corpus make``; the program itself is ``""``)."""
    root = typer.main.get_command(app)
    found = {"": root}
    for name in root.list_commands(_context(root)):
        command = root.get_command(_context(root), name)
        if hasattr(command, "list_commands"):
            context = _context(command)
            for own in command.list_commands(context):
                found[f"{name} {own}"] = command.get_command(context, own)
        else:
            found[name] = command
    return found


def options(command):
    """Return the options of a command: for each name on the command line, the first of its names.

    Without ``--help``.
    """
    params = command.get_params(_context(command))
    params = [p for p in params if p.param_type_name == "option" and p.name != "help"]
    return {flag: param.opts[0] for param in params for flag in names_of(param)}


def switches(command):
    """Return the names of the options of a command that take no value."""
    params = command.get_params(_context(command))
    return {
        name for param in params if getattr(param, "is_flag", False) for name in names_of(param)
    }


def _context(command):
    return typer.Context(command, resilient_parsing=True)
