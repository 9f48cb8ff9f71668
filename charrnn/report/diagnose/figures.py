"""Numbers, bars and sparklines as text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import isfinite, log10

SPARKS = "▁▂▃▄▅▆▇█"
_EIGHTHS = " ▏▎▍▌▋▊▉█"
DASH = "–"


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with about ``digits`` significant digits, short at any size.

    None is a dash.
    """
    if value is None:
        return DASH
    if not isfinite(value):
        return "NaN" if value != value else "∞" if value > 0 else "-∞"
    size = abs(value)
    if size == 0:
        return "0"
    if 1e-3 <= size < 1e4:
        places = max(0, digits - 1 - int(log10(size) // 1))
        return f"{value:,.{places}f}"
    mantissa, _, exponent = f"{value:.{max(0, digits - 2)}e}".partition("e")
    return f"{mantissa}e{int(exponent)}"


def percent(share: float | None) -> str:
    """Return a share as a whole percentage; 0 % and 100 % are exact, None and NaN are a dash."""
    if share is None or not isfinite(share):
        return DASH
    if 0 < share < 0.005:
        return "<1%"
    if 0.995 < share < 1:
        return ">99%"
    return f"{share:.0%}"


def bar(share: float, width: int) -> str:
    """Return a horizontal bar that fills ``share`` (0 … 1) of ``width`` columns."""
    if not isfinite(share):
        return " " * width
    eighths = round(min(1.0, max(0.0, share)) * width * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(width)


def sparkline(
    values: Sequence[float | None],
    width: int,
    *,
    low: float | None = None,
    high: float | None = None,
    logarithmic: bool = False,
) -> str:
    """Return a line of at most ``width`` blocks, each as high as the mean of its values.

    ``low`` and ``high`` are the ends of the scale, by default the extremes. A value that is not
    finite, or on a logarithmic scale not positive, counts as the lowest.
    """
    scaled = [_scaled(value, logarithmic) for value in values]
    known = [value for value in scaled if value is not None]
    if not known:
        return " " * width
    bottom = min(known) if low is None else _end(low, logarithmic)
    top = max(known) if high is None else _end(high, logarithmic)
    cells = []
    for start, stop in spans(len(scaled), width):
        part = [bottom if value is None else value for value in scaled[start:stop]]
        share = (sum(part) / len(part) - bottom) / (top - bottom) if top > bottom else 0.5
        cells.append(SPARKS[min(7, max(0, int(share * 8)))])
    return "".join(cells)


def spans(count: int, width: int) -> list[tuple[int, int]]:
    """Divide 0 … count into at most ``width`` spans of about equal length, none empty."""
    width = min(width, count)
    edges = [round(i * count / width) for i in range(width + 1)]
    return list(pairwise(edges))


def _scaled(value: float | None, logarithmic: bool) -> float | None:
    if value is None or not isfinite(value):
        return None
    if not logarithmic:
        return value
    return log10(value) if value > 0 else None


def _end(value: float, logarithmic: bool) -> float:
    return log10(value) if logarithmic else value
