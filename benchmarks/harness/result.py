"""A benchmark's result: one table for people and one JSON file for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from harness import machine

QUIET = 0.15
"""Cores that others may keep busy without a warning."""


class Column(NamedTuple):
    """A column: the key of its value in a row, its title, and how a number is written."""

    key: str
    title: str
    form: str = ""


@dataclass
class Result:
    """The result of one run of one benchmark.

    Attributes
    ----------
    name
        The script's name.
    columns
        Of the table, left to right.
    rows
        Each with a value for every column (None if there is none), and more for the JSON file.
    options
        With which the script ran.
    threads
        How many threads each contender's library said that it uses.
    notes
        Lines that belong under the table.
    """

    name: str
    columns: Sequence[Column]
    options: Mapping[str, Any]
    rows: list[dict[str, Any]] = field(default_factory=list)
    threads: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    others: list[float | None] = field(default_factory=list)
    """Cores that other programs kept busy before and after."""
    timed: bool = True
    """Whether the figures are times, which other programs disturb."""

    def markdown(self) -> str:
        """Return the table, with its notes below, aligned so that it reads as plain text too."""
        cells = [[column.title for column in self.columns]]
        cells += [[shown(row[c.key], c.form) for c in self.columns] for row in self.rows]
        widths = [max(3, *(len(row[i]) for row in cells)) for i in range(len(self.columns))]
        left = [_is_text(self.rows, column.key) for column in self.columns]
        rule = [
            "-" * width if flush else "-" * (width - 1) + ":"
            for width, flush in zip(widths, left, strict=True)
        ]
        lines = [_line(cells[0], widths, left), _line(rule, widths, left)]
        lines += [_line(row, widths, left) for row in cells[1:]]
        below = "".join(f"\n{note}\n" for note in (*self.notes, *self.warnings()))
        return "\n".join(lines) + "\n" + below

    def warnings(self) -> list[str]:
        """Return why the figures should not be trusted, one line each."""
        found = []
        busy = max((value for value in self.others if value is not None), default=0.0)
        if self.timed and busy > QUIET:
            found.append(
                f"**Other programs kept {busy:.1f} cores busy: these figures do not hold.** A busy "
                "core slows thread pools that wait for all their threads far more than others."
            )
        counts = {side: n for side, n in self.threads.items() if side in ("charrnn", "torch")}
        if len(set(counts.values())) > 1:
            used = ", ".join(f"{side} {count}" for side, count in sorted(counts.items()))
            found.append(f"The sides did not use the same number of threads: {used}.")
        return found

    def head(self) -> str:
        """Return when and on what this was measured, on one line."""
        packages = ", ".join(f"{name} {v}" for name, v in machine.versions().items())
        used = ", ".join(f"{name} {count}" for name, count in self.threads.items())
        words = f"{self.created[:10]}, {machine.in_words(machine.describe())}; {packages}"
        return words + (f"; threads: {used}" if used else "")

    def to_json(self) -> dict[str, Any]:
        """Return everything as one JSON object."""
        return {
            "benchmark": self.name,
            "created": self.created,
            "head": self.head(),
            "machine": machine.describe(),
            "others_busy": self.others,
            "versions": machine.versions(),
            "threads": self.threads,
            "options": dict(self.options),
            "columns": [column._asdict() for column in self.columns],
            "rows": self.rows,
            "notes": self.notes,
            "markdown": self.markdown(),
        }

    def save(self, path: Path) -> None:
        """Write the JSON file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.to_json(), indent=1, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8", newline="\n")


def shown(value: Any, form: str) -> str:
    """Return a value as the table has it; a dash for None."""
    if value is None:
        return "–"
    return str(value) if isinstance(value, str) else format(value, form)


def _is_text(rows: Sequence[Mapping[str, Any]], key: str) -> bool:
    return any(isinstance(row[key], str) for row in rows)


def _line(cells: Sequence[str], widths: Sequence[int], left: Sequence[bool]) -> str:
    padded = [
        cell.ljust(width) if flush else cell.rjust(width)
        for cell, width, flush in zip(cells, widths, left, strict=True)
    ]
    return "| " + " | ".join(padded) + " |"
