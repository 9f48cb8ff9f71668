"""What a transducer attends to, and how well it does, for a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from charrnn.display import count

if TYPE_CHECKING:
    from charrnn.evaluate.pairs import TargetScores

SHADES = " ░▒▓█"
"""From no attention to all of it, in equal steps."""
MAX_NAME = 16
"""Most characters of a target's symbol that are shown."""
END = "¶"
"""Stands for the end of a text."""


def attention_text(source: Sequence[str], target: Sequence[str], attention: NDArray[Any]) -> str:
    """Return a map with a row for each symbol of the target, and a column for each of the source.

    Parameters
    ----------
    source, target
        The symbols; an empty one of the target is its end.
    attention
        α, (target symbols, source symbols and their end).
    """
    words = any(len(symbol) > 1 for symbol in source)
    names = [_name(symbol)[:MAX_NAME] for symbol in target]
    width = max(map(len, names))
    if words:  # columns are numbered from 1
        head = "".join(str((k + 1) % 10) for k in range(len(source))) + END
    else:
        head = "".join(map(_cell, source)) + END
    steps = np.minimum((attention * len(SHADES)).astype(int), len(SHADES) - 1)
    lines = [" " * width + "  " + head]
    for name, row in zip(names, steps.tolist(), strict=True):
        lines.append(f"{name.rjust(width)}  {''.join(SHADES[step] for step in row)}".rstrip())
    return "\n".join(lines) + "\n"


def targets_text(scores: TargetScores) -> str:
    """Return how well a transducer does on pairs, in one line."""
    return (
        f"{count(scores.examples, 'example')}: exact match {scores.exact_match:.4f}, "
        f"{scores.cer:.4f} edits per symbol, {scores.nats_per_symbol:.4f} nats per symbol\n"
    )


def _name(symbol: str) -> str:
    """Return a symbol of a target for the margin."""
    return "".join(map(_cell, symbol)) if symbol else END


def _cell(char: str) -> str:
    """Return a character that fills one cell of a terminal."""
    narrow = unicodedata.east_asian_width(char) not in ("W", "F") and not unicodedata.combining(
        char
    )
    if char == " ":
        return "·"
    return char if char.isprintable() and narrow else "?"
