"""A chart of characters: lines of Braille dots, and marks of one character each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from charrnn.report.curves.chart import Line
from charrnn.report.diagnose.svg import ticks

if TYPE_CHECKING:
    from rich.text import Text

BACK = "↺"
"""Marks where a run was rolled back."""
WIDE, HIGH = 2, 4
"""Dots of a character (Unicode's Braille patterns, U+2800 to U+28FF)."""
_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


class Scale:
    """A linear scale from ``low`` … ``high`` to 0 … 1."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = (low, high) if high > low else (low - 0.5, low + 0.5)

    def __call__(self, value: float) -> float:
        """Return the place of a value, at the ends for values beyond them."""
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))


class Canvas:
    """A grid of characters for a chart.

    Parameters
    ----------
    columns, rows
        Its size in characters.
    across, up
        The scales of its axes.
    """

    def __init__(self, columns: int, rows: int, across: Scale, up: Scale) -> None:
        self.columns, self.rows, self.across, self.up = columns, rows, across, up
        self._dots = [[0] * columns for _ in range(rows)]
        self._signs = [[""] * columns for _ in range(rows)]
        self._styles = [[""] * columns for _ in range(rows)]

    def draw(self, line: Line, style: str) -> None:
        """Draw a line of dots through the means of the values in each column of dots."""
        width, height = self.columns * WIDE - 1, self.rows * HIGH - 1
        spots = [(u * width, v * height) for u, v in self._placed(line, width)]
        for (a, b), (c, d) in pairwise(spots if len(spots) != 1 else spots * 2):
            count = max(1, round(max(abs(c - a), abs(d - b))))
            for i in range(count + 1):
                x, y = round(a + (c - a) * i / count), round(b + (d - b) * i / count)
                self._dot(x, height - y, style)

    def mark(self, line: Line, sign: str, style: str) -> None:
        """Put a sign into each column that has values, at their mean."""
        for u, v in self._placed(line, self.columns - 1):
            row, column = self.rows - 1 - round(v * (self.rows - 1)), round(u * (self.columns - 1))
            self._signs[row][column], self._styles[row][column] = sign, style

    def _placed(self, line: Line, width: int) -> list[tuple[float, float]]:
        """Return a line in shares of the canvas, one point for each of ``width`` + 1 columns."""
        found = means([(self.across(x), self.up(y)) for x, y in line], width)
        return [(at / width if width else 0.0, v) for at, v in found]

    def _dot(self, x: int, y: int, style: str) -> None:
        row, column = y // HIGH, x // WIDE
        self._dots[row][column] |= _BITS[y % HIGH][x % WIDE]
        if not self._signs[row][column]:
            self._styles[row][column] = style

    def lines(self, form: Callable[[float], str] = "{:.3g}".format) -> list[Text]:
        """Return the rows of the chart, with an axis of values at their left."""
        from rich.text import Text

        at = {}
        for tick in ticks(self.up.low, self.up.high, max(2, self.rows // 3)):
            at[self.rows - 1 - round(self.up(tick) * (self.rows - 1))] = form(tick)
        found = []
        for row in range(self.rows):
            line = Text(f"{at.get(row, ''):>{MARGIN - 2}} ", style="dim", no_wrap=True)
            line.append("┤" if row in at else "│")
            for dots, sign, style in zip(
                self._dots[row], self._signs[row], self._styles[row], strict=True
            ):
                line.append(sign or (chr(0x2800 + dots) if dots else " "), f"not dim {style}")
            found.append(line)
        return found


MARGIN = 9
"""Characters at the left of a chart, for its axis."""


def means(line: Sequence[tuple[float, float]], width: int) -> list[tuple[int, float]]:
    """Return for each of ``width`` + 1 columns with points its number and the mean of the values.

    Places are shares of the width.
    """
    found: dict[int, list[float]] = {}
    for u, v in line:
        found.setdefault(round(u * width), []).append(v)
    return [(at, sum(values) / len(values)) for at, values in sorted(found.items())]


def joined(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """Return a point for each column from the first to the last, on straight lines."""
    found = list(points[:1])
    for (a, u), (b, v) in pairwise(points):
        found += [(at, u + (v - u) * (at - a) / (b - a)) for at in range(a + 1, b + 1)]
    return found


def axis(scale: Scale, columns: int, label: str) -> list[str]:
    """Return the line under a chart, and the line of numbers under that, with what they count."""
    rule, numbers = ["─"] * columns, [" "] * columns
    free = 0
    for tick in ticks(scale.low, scale.high, max(2, columns // 12)):
        at, text = round(scale(tick) * (columns - 1)), f"{tick:,.10g}"
        rule[at] = "┴"
        begin = min(max(0, at - len(text) // 2), columns - len(text))
        if begin < free:
            continue
        numbers[begin : begin + len(text)] = text
        free = begin + len(text) + 1
    room = columns - len("".join(numbers).rstrip()) > len(label) + 1
    tail = ["".join(numbers).rstrip()] if not room else []
    if room:
        numbers[columns - len(label) :] = label
        tail = ["".join(numbers)]
    else:
        tail.append(label.rjust(columns))
    pad = " " * (MARGIN - 1)
    return [f"{pad}└{''.join(rule)}", *(f"{pad} {line}" for line in tail)]
