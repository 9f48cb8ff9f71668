"""A text on a terminal, each symbol on a background that shows a number."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from math import isnan
from typing import TYPE_CHECKING, NamedTuple

from charrnn.display import one_line
from charrnn.report.diagnose.terminal import make_console

if TYPE_CHECKING:
    from rich.text import Text

NEWLINE = "↵"
"""Stands for a newline, so that its number can be seen; the line ends after it."""


class Shade(NamedTuple):
    """Foreground and background; an empty shade is the terminal's own."""

    ink: str
    paper: str

    @property
    def style(self) -> str:
        """The shade as a style of rich."""
        return f"{self.ink} on {self.paper}" if self.paper else ""


PLAIN = Shade("", "")
BITS = (1.0, 2.0, 4.0, 6.0, 8.0)
"""Where the shades of surprisal begin, in bits."""
HEAT = (
    PLAIN,
    Shade("#000000", "#fdf0c4"),
    Shade("#000000", "#fcd27c"),
    Shade("#000000", "#f59a4b"),
    Shade("#ffffff", "#d4502e"),
    Shade("#ffffff", "#8f1d2c"),
)
"""From what was expected to what was not: ColorBrewer's YlOrRd, its ends apart in lightness."""
DIVERGING = (
    Shade("#ffffff", "#2166ac"),
    Shade("#000000", "#6aaed6"),
    Shade("#000000", "#c6dff0"),
    PLAIN,
    Shade("#000000", "#fbd3bd"),
    Shade("#000000", "#ef8a62"),
    Shade("#ffffff", "#b2182b"),
)
"""From the low end of a scale to its high end: ColorBrewer's RdBu, blue first."""


def surprise(bits: float) -> Shade:
    """Return the shade of a surprisal; none for a symbol that is not scored."""
    return PLAIN if isnan(bits) else HEAT[bisect_right(BITS, bits)]


def between(low: float, high: float) -> Callable[[float], Shade]:
    """Return the shade of a value on a diverging scale from ``low`` to ``high``."""
    count = len(DIVERGING)

    def shade(value: float) -> Shade:
        if isnan(value):
            return PLAIN
        return DIVERGING[min(count - 1, max(0, int((value - low) / (high - low) * count)))]

    return shade


def bits_legend() -> list[tuple[str, Shade]]:
    """Return what the shades of surprisal mean."""
    between_two = (f"{low:g}-{high:g}" for low, high in pairwise(BITS))
    names = [f"<{BITS[0]:g}", *between_two, f"{BITS[-1]:g}+"]
    return list(zip(names, HEAT, strict=True))


def scale_legend(low: float, high: float) -> list[tuple[str, Shade]]:
    """Return what the shades of a diverging scale mean: the middle of each."""
    step = (high - low) / len(DIVERGING)
    middles = (low + step * (k + 0.5) for k in range(len(DIVERGING)))
    return [(f"{middle:+.2f}", shade) for middle, shade in zip(middles, DIVERGING, strict=True)]


def coloured_text(
    symbols: Iterable[str],
    shades: Iterable[Shade],
    title: str,
    legend: Sequence[tuple[str, Shade]],
) -> bytes:
    """Return a legend and the text below it, for a terminal.

    Control characters are escaped; only a newline ends a line. The terminal wraps long lines.
    """
    from rich.text import Text

    console = make_console()
    head = Text(f"{title}  ", style="dim")
    for name, shade in legend:
        head.append(f" {name} ", f"not dim {shade.style}").append(" ")
    console.print(head)
    console.print()
    console.print(_painted(symbols, shades), soft_wrap=True)
    written: str = console.file.getvalue()  # type: ignore[attr-defined]
    return written.encode("utf-8", "replace")


def _painted(symbols: Iterable[str], shades: Iterable[Shade]) -> Text:
    """Return the text, with neighbours of one shade in one run."""
    from rich.text import Text

    text, run, last = Text(), "", PLAIN
    for symbol, shade in zip(symbols, shades, strict=True):
        if shade != last and run:
            text.append(run, last.style)
            run = ""
        last = shade
        run += NEWLINE if symbol == "\n" else one_line(symbol)
        if symbol == "\n":
            text.append(run, last.style or "dim").append("\n")
            run = ""
    return text.append(run, last.style)
