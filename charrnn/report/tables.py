"""Plain aligned tables, the same on a terminal and in a pipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from charrnn.display import duration, loss, one_line


def aligned(
    head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1, last: int = 0
) -> str:
    """Return lines of columns, two spaces apart.

    The first ``left`` and the last ``last`` columns are flush left, the others flush right.
    """
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = []
    for row in (head, *rows):
        cells = [
            cell.ljust(width) if index < left or index >= len(head) - last else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines) + "\n"


def inputs(embed: int) -> str:
    """Return the kind of a model's inputs: one-hot, or an embedding of the given width."""
    return f"embedding {embed}" if embed else "one-hot"


def listed(facts: Sequence[tuple[str, str]]) -> str:
    """Return lines of a name and a value each, the values flush left."""
    return aligned(facts[0], facts[1:], left=2)


def runs_table(rows: Sequence[dict[str, Any]], verdicts: Mapping[str, str]) -> str:
    """Return a table of runs with their main figures, and their verdicts by name, one per line."""
    head = ("run", "model", "parameters", "step", "val", "best val", "time", "verdict")
    body = []
    for row in rows:
        if "error" in row:
            body.append((one_line(row["run"]), "unreadable", "", "", "", "", "", ""))
            continue
        body.append(
            (
                one_line(row["run"]),
                ("" if row["task"] == "lm" else f"{row['task']} ")
                + f"{row['cell']} {row['layers']}×{row['hidden']}",
                f"{row['parameters']:,}",
                f"{row['step']:,}",
                loss(row["val_loss"]),
                loss(row["best_val_loss"]),
                duration(row["seconds"]),
                verdicts.get(row["run"], "–"),
            )
        )
    return aligned(head, body, left=2, last=1)
