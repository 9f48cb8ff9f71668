"""Line charts as inline SVG, whose colours are those of the page's style sheet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, isfinite, log10

from charrnn.report.diagnose.figures import number

WIDTH, HEIGHT = 720, 340
LEFT, RIGHT, TOP, BOTTOM = 84, 20, 22, 46
MIN_LOG = 1e-16
"""The smallest value on a logarithmic axis."""


@dataclass(frozen=True)
class Line:
    """One line: its label, points, an optional band, and the number of its colour."""

    label: str
    x: Sequence[float]
    y: Sequence[float | None]
    colour: int
    dashed: bool = False
    low: Sequence[float | None] = ()
    high: Sequence[float | None] = ()


def chart(
    lines: Sequence[Line],
    *,
    title: str,
    x_label: str,
    y_label: str,
    log_y: bool = False,
    log_x: bool = False,
    marks: Sequence[tuple[float, str]] = (),
    span: tuple[float, float] | None = None,
) -> str:
    """Return a chart with axes and a legend; hovering over a point shows its numbers.

    A logarithmic x axis shows log(1 + x), so that it can hold 0. ``marks`` are vertical lines, each
    as its x and its label. ``span`` are the ends of the x axis, by default those of the lines.
    """
    points = [
        (x, y) for line in lines for x, y in zip(line.x, line.y, strict=True) if _ok(y, log_y)
    ]
    if not points:
        return f'<p class="none">{escape(title)}: no data.</p>'
    values = [float(y) for _, y in points if y is not None]
    across = [float(x) for x, _ in points] if span is None else list(span)
    x_of = _axis(across, LEFT, WIDTH - RIGHT, "log1p" if log_x else "")
    bottom, top = min(values), max(values)
    if log_y:
        bottom, top = max(MIN_LOG, 10.0 ** floor(log10(bottom))), 10.0 ** ceil(log10(top) - 1e-9)
        top = max(top, bottom * 10)
    y_of = _axis([bottom, top], HEIGHT - BOTTOM, TOP, "log" if log_y else "", pad=not log_y)
    body = [_y_axis(y_of, bottom, top, log_y), _x_axis(x_of, across, log_x)]
    for place, name in marks:
        at = x_of(place)
        body.append(
            f'<line class="mark" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
            f'<text class="tick" x="{at:.1f}" y="{TOP - 5}" text-anchor="middle">'
            f"{escape(name)}</text>"
        )
    body += [_draw(line, x_of, y_of, log_y) for line in lines]
    middle, centre = (LEFT + WIDTH - RIGHT) / 2, (TOP + HEIGHT - BOTTOM) / 2
    body.append(
        f'<text class="label" x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">'
        f"{escape(x_label)}</text>"
        f'<text class="label" transform="translate(14 {centre}) rotate(-90)" '
        f'text-anchor="middle">{escape(y_label)}</text>'
    )
    named = [line for line in lines if line.label != title]
    legend = "".join(
        f'<li><svg width="26" height="8" aria-hidden="true"><path class="line c{line.colour}'
        f'{" dashed" if line.dashed else ""}" d="M0 4H26"/></svg>{escape(line.label)}</li>'
        for line in named
    )
    return (
        f"<figure><figcaption>{escape(title)}</figcaption>"
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title)}">{"".join(body)}</svg>'
        + (f'<ul class="legend">{legend}</ul>' if named else "")
        + "</figure>"
    )


def _ok(value: float | None, positive: bool) -> bool:
    return value is not None and isfinite(value) and (value > MIN_LOG or not positive)


def _axis(
    values: Sequence[float], start: float, stop: float, scale: str, pad: bool = False
) -> Callable[[float], float]:
    def place(value: float) -> float:
        if scale == "log":
            return log10(max(value, MIN_LOG))
        return log10(1.0 + value) if scale else value

    low, high = place(min(values)), place(max(values))
    if high <= low:
        low, high = low - 0.5, high + 0.5
    if pad:
        low, high = low - 0.06 * (high - low), high + 0.06 * (high - low)

    def position(value: float) -> float:
        share = (place(value) - low) / (high - low)
        return start + min(1.0, max(0.0, share)) * (stop - start)

    return position


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return round numbers between ``low`` and ``high``."""
    span = high - low
    if span <= 0:
        return [low]
    rough = span / count
    size = 10.0 ** floor(log10(rough))
    step = next(size * m for m in (1, 2, 5, 10) if size * m >= rough)
    first = ceil(low / step - 1e-9)
    return [i * step for i in range(first, floor(high / step + 1e-9) + 1)]


def _y_axis(y_of: Callable[[float], float], low: float, high: float, log_y: bool) -> str:
    if log_y:
        first, last = round(log10(low)), round(log10(high))
        every = max(1, ceil((last - first) / 6))
        places = [10.0**e for e in range(first, last + 1, every)]
    else:
        places = ticks(low, high)
    return "".join(
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y_of(t):.1f}" '
        f'y2="{y_of(t):.1f}"/><text class="tick" x="{LEFT - 8}" y="{y_of(t) + 4:.1f}" '
        f'text-anchor="end">{_tick(t, log_y)}</text>'
        for t in places
    )


def _tick(value: float, log: bool) -> str:
    if log and not 1e-3 <= value <= 1e3:
        return f'10<tspan dy="-5" font-size="75%">{round(log10(value))}</tspan>'
    return f"{value:.10g}"


def _x_axis(x_of: Callable[[float], float], values: Sequence[float], log_x: bool) -> str:
    low, high = min(values), max(values)
    if log_x:
        places = [t for t in (0.0, *(2.0**e for e in range(12))) if low <= t <= high]
    else:
        places = ticks(low, high, 8)
    base = HEIGHT - BOTTOM
    return f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{base}" y2="{base}"/>' + (
        "".join(
            f'<text class="tick" x="{x_of(t):.1f}" y="{base + 16}" text-anchor="middle">'
            f"{t:,.10g}</text>"
            for t in places
        )
    )


def _draw(
    line: Line, x_of: Callable[[float], float], y_of: Callable[[float], float], log_y: bool
) -> str:
    """Return a line with its band and the spots that show numbers.

    It is broken at missing values; a point with none beside it is a dot.
    """
    pairs = list(zip(line.x, line.y, strict=True))
    parts: list[list[str]] = [[]]
    for x, y in pairs:
        if y is None or not _ok(y, log_y):
            parts.append([])
        else:
            parts[-1].append(f"{x_of(x):.1f} {y_of(y):.1f}")
    path = "".join(f"M{'L'.join(part)}" for part in parts if len(part) > 1)
    alone = (part[0].split() for part in parts if len(part) == 1)
    dots = "".join(f'<circle class="f{line.colour}" cx="{x}" cy="{y}" r="4"/>' for x, y in alone)
    band = ""
    edges = list(zip(line.x, line.low, line.high, strict=False))
    kept = [(x, a, b) for x, a, b in edges if _ok(a, log_y) and _ok(b, log_y)]
    if kept:
        forth = [f"{x_of(x):.1f} {y_of(b or 0.0):.1f}" for x, _, b in kept]
        back = [f"{x_of(x):.1f} {y_of(a or 0.0):.1f}" for x, a, _ in reversed(kept)]
        band = f'<path class="band f{line.colour}" d="M{"L".join(forth + back)}Z"/>'
    spots = "".join(
        f'<circle class="spot f{line.colour}" cx="{x_of(x):.1f}" cy="{y_of(y):.1f}" r="7">'
        f"<title>{escape(line.label)}: {x:.10g} → {number(y, 4)}</title></circle>"
        for x, y in pairs
        if y is not None and _ok(y, log_y)
    )
    dashed = " dashed" if line.dashed else ""
    drawn = f'{band}<path class="line c{line.colour}{dashed}" d="{path}"/>{dots}{spots}'
    return f"<g>{drawn}</g>"
