"""A text in numbers: a line, or a JSON object, for each symbol."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isfinite
from typing import Any

from numpy.typing import NDArray

from charrnn.display import symbol
from charrnn.text.vocabulary import Vocabulary
from charrnn.view.predictions import Predictions
from charrnn.view.values import Unit


def expected_rows(
    vocabulary: Vocabulary, ids: Sequence[int], found: Predictions
) -> Iterator[tuple[str, ...]]:
    """Yield position, symbol, bits, and the likeliest others with their probabilities."""
    shown = [symbol(item) for item in vocabulary.symbols]
    every = zip(ids, found.bits, found.others.tolist(), found.chances.tolist(), strict=True)
    for position, (i, bits, others, chances) in enumerate(every, 1):
        if not isfinite(bits):
            yield str(position), shown[i], "-"
            continue
        named = (f"{shown[k]} {p:.3f}" for k, p in zip(others, chances, strict=True))
        yield str(position), shown[i], f"{bits:.3f}", *named


def expected_records(
    vocabulary: Vocabulary, ids: Sequence[int], found: Predictions
) -> Iterator[dict[str, Any]]:
    """Yield a JSON object for each symbol, with what was expected instead."""
    symbols = vocabulary.symbols
    every = zip(ids, found.bits, found.others.tolist(), found.chances.tolist(), strict=True)
    for position, (i, bits, others, chances) in enumerate(every, 1):
        named = zip(others, chances, strict=True) if isfinite(bits) else ()
        yield {
            "position": position,
            "symbol": symbols[i],
            "bits": finite(bits),
            "alternatives": [{"symbol": symbols[k], "p": p} for k, p in named],
        }


def value_rows(
    vocabulary: Vocabulary, ids: Sequence[int], values: NDArray[Any]
) -> Iterator[tuple[str, ...]]:
    """Yield position, symbol, and the value after it was read."""
    for position, (i, value) in enumerate(zip(ids, values.tolist(), strict=True), 1):
        yield str(position), symbol(vocabulary.symbols[i]), f"{value:.4f}"


def value_records(
    vocabulary: Vocabulary, ids: Sequence[int], unit: Unit, values: NDArray[Any]
) -> Iterator[dict[str, Any]]:
    """Yield a JSON object for each symbol, with the value after it was read."""
    for position, (i, value) in enumerate(zip(ids, values.tolist(), strict=True), 1):
        item = vocabulary.symbols[i]
        yield {"position": position, "symbol": item, "unit": str(unit), "value": finite(value)}


def finite(value: float) -> float | None:
    """Return a number for JSON; None if it is not finite."""
    return float(value) if isfinite(value) else None
