"""How a symbol is drawn from the model's distribution."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from charrnn.errors import UsageError

DEFAULT_LENGTH = 500
"""Symbols of a sample."""


@dataclass(frozen=True)
class SampleOptions:
    """Temperature and filters, applied in the order of the fields.

    Attributes
    ----------
    temperature
        The logits are divided by it; 0 takes the most likely symbol, the first of equals.
    top_k
        Keep the k most likely symbols; 0 keeps all.
    top_p
        Keep the fewest of the most likely symbols whose probabilities add up to at least this
        (nucleus sampling, Holtzman et al. 2020, arXiv 1904.09751); 1 keeps all.
    min_p
        Drop the symbols that are less likely than this share of the most likely one (Nguyen et al.
        2024, arXiv 2407.01082); 0 keeps all.

    Raises
    ------
    UsageError
        If a value cannot be.
    """

    temperature: float = 0.8
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0

    def __post_init__(self) -> None:
        if not (isfinite(self.temperature) and self.temperature >= 0):
            raise UsageError(
                f"--temp must be a finite number of at least 0, not {self.temperature}",
                "0 always takes the most likely symbol, 1 is the model's own distribution",
            )
        if self.top_k < 0:
            raise UsageError(f"--top-k must be at least 0, not {self.top_k}", "0 keeps all symbols")
        if not 0 < self.top_p <= 1:
            raise UsageError(
                f"--top-p must be above 0 and at most 1, not {self.top_p}", "1 keeps all symbols"
            )
        if not 0 <= self.min_p < 1:
            raise UsageError(
                f"--min-p must be at least 0 and below 1, not {self.min_p}", "0 keeps all symbols"
            )
