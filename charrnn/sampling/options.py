"""How a symbol is drawn from the model's distribution."""

from __future__ import annotations

from dataclasses import dataclass

from charrnn.options import check_fields, declare

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
        Keep the smallest set of most likely symbols whose probabilities add up to at least this
        (nucleus sampling, Holtzman et al. 2020, arXiv 1904.09751); 1 keeps all.
    min_p
        Drop the symbols that are less likely than this fraction of the most likely one (Nguyen
        et al. 2024, arXiv 2407.01082); 0 keeps all.

    Raises
    ------
    UsageError
        If a value is invalid.
    """

    temperature: float = declare(
        0.8,
        "Temperature; 0 takes the most likely symbol.",
        least=0,
        remedy="0 always takes the most likely symbol, 1 is the model's own distribution",
        flags=("--temp",),
    )
    top_k: int = declare(
        0,
        "Draw from the K most likely symbols; 0 means all.",
        least=0,
        remedy="0 keeps all symbols",
    )
    top_p: float = declare(
        1.0,
        "Draw from the smallest set of symbols with at least this total probability.",
        above=0,
        most=1,
        remedy="1 keeps all symbols",
    )
    min_p: float = declare(
        0.0,
        "Do not draw symbols less likely than this fraction of the most likely one.",
        least=0,
        below=1,
        remedy="0 keeps all symbols",
    )

    def __post_init__(self) -> None:
        check_fields(self)
