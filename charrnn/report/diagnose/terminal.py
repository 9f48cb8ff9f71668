"""The parts of reports on a terminal: a console in memory, headings, tables, verdicts."""

from __future__ import annotations

import io
import sys
from collections.abc import Container, Sequence
from typing import TYPE_CHECKING, Any

from charrnn.diagnosis.report import Verdict
from charrnn.report.diagnose.words import HEALTHY, SEVERE, basis, where
from charrnn.report.tables import aligned

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

MIN_G = 1e-7
"""Bottom of the lag profile's scale: about the precision of float32 near 1."""


def render(parts: Sequence[RenderableType], width: int | None = None) -> bytes:
    """Return rich renderables as UTF-8, coloured if standard output is a terminal.

    ``width`` is that of the terminal by default, and 80 columns in a pipe.
    """
    console = make_console(width)
    for part in parts:
        console.print(part)
    file: Any = console.file
    text: str = file.getvalue()
    return "".join(line.rstrip(" ") + "\n" for line in text.splitlines()).encode()


def make_console(width: int | None = None) -> Console:
    """Return a console that writes to memory what it would write to standard output."""
    from rich.console import Console

    real = Console(file=sys.stdout)
    return Console(
        file=io.StringIO(),
        width=width or real.width,
        force_terminal=real.is_terminal,
        color_system=real.color_system,  # type: ignore[arg-type]
        no_color=real.no_color,
        legacy_windows=False,
        highlight=False,
        markup=False,
        emoji=False,
    )


def heading(text: str, remark: str = "") -> RenderableType:
    """Return the heading of a section, with a remark in a quieter tone."""
    from rich.text import Text

    line = Text("\n" + text, style="bold")
    return line.append(f"  {remark}", style="dim not bold") if remark else line


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    left: int = 1,
    last: int = 0,
    bold: Container[str] = (),
) -> RenderableType:
    """Return a table, aligned as by :func:`charrnn.report.tables.aligned`, with a quiet head.

    The first cell of a row is bold if it is in ``bold``. Lines that are too long are cut off.
    """
    from rich.console import Group
    from rich.text import Text

    top, *lines = aligned(head, rows, left, last).splitlines()
    text = Text(top, style="dim", no_wrap=True, overflow="ellipsis")
    for row, line in zip(rows, lines, strict=True):
        name = len(row[0]) if row[0] in bold else 0
        text.append("\n").append(line[:name], "not dim bold").append(line[name:], "not dim")
    return Group(text)  # printed bare, it would be wrapped all the same


def verdict_parts(verdicts: Sequence[Verdict], names: Sequence[str] = ()) -> list[RenderableType]:
    """Return the verdicts, each after its name if there are ``names``, or that there are none."""
    from rich.table import Table
    from rich.text import Text

    if not verdicts:
        return [heading("Verdict"), Text(f"✓ {HEALTHY}")]
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column()
    for index, verdict in enumerate(verdicts):
        severe = verdict.code in SEVERE
        title = Text(f"{names[index]}: " if names else "")
        title.append(verdict.code, style="bold red" if severe else "bold yellow")
        title.append(where(verdict)).append(f"  ({basis(verdict)})", style="dim")
        grid.add_row("✗" if severe else "!", title)
        grid.add_row("", Text(verdict.message))
        grid.add_row("", Text("→ " + verdict.remedy))
    return [heading("Verdicts" if len(verdicts) > 1 else "Verdict"), grid]
