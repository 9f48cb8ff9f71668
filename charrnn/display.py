"""Small pieces of text for reports: numbers, durations, and user data made safe for a terminal."""

from __future__ import annotations

import re

_CONTROLS = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """Return ``text`` with everything but newlines, tabs and printable characters escaped.

    Text from a corpus or a model may hold control sequences, which must not reach a terminal.
    """
    return "".join(
        c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text
    )


def safe_json(line: str) -> str:
    """Return JSON with the control characters escaped that its writer leaves as they are.

    These are DEL, the C1 controls, and those that turn the direction of a line; they can only be
    inside of strings.
    """
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", line)


def duration(seconds: float) -> str:
    """Return a time as ``45 s``, ``3 m 05 s`` or ``2 h 07 m``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} m {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} m"


def loss(value: float | None) -> str:
    """Return a loss in nats with four decimals, or a dash."""
    return "–" if value is None else f"{value:.4f}"
