"""``charrnn man``: the manual pages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from charrnn.cli.parsing.shared import OUTPUT
from charrnn.cli.process.output import write_text
from charrnn.display import either, one_line
from charrnn.errors import CharRNNError, UsageError


def man(
    context: typer.Context,
    command: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[COMMAND]...",
            help="A command, such as train or corpus make. [default: the program]",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Write all pages into this folder instead, for man -M or a package.",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
) -> None:
    """Print a manual page in roff, for the program or a command.

    To read one: charrnn man train | man -l -

    Pages hold what --help shows. pip install puts them where man finds them: man charrnn-train.
    """
    from charrnn.cli.parsing.roff import context_of, page, pages

    root: Any = context.find_root().command
    if out is not None:
        if command:
            raise UsageError("--out writes all pages", "leave out the command")
        try:
            out.mkdir(parents=True, exist_ok=True)
            for name, text in pages(root):
                (out / f"{name}.1").write_text(text, encoding="utf-8")
        except OSError as problem:
            why = problem.strerror or problem
            raise CharRNNError(f"cannot write into {one_line(out)}: {why}") from None
        return
    found = context_of(root, command or [])
    if found is None:
        names = either(root.list_commands(context))
        words = one_line(" ".join(command or []))
        raise UsageError(f"there is no command {words}", f"choose {names}")
    write_text(page(found))
