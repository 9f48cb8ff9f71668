"""What a page says of its model, in plain words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from math import log, log2
from typing import NamedTuple

from charrnn.display import count, printable, size, unit
from charrnn.exchange.portable import Portable

_NAMED = 3


class Losses(NamedTuple):
    """The loss of a model with its exact and with its rounded weights.

    In nats per symbol, on the first ``symbols`` of its validation text.
    """

    symbols: int
    exact: float
    rounded: float


@dataclass(frozen=True)
class About:
    """What is known of a model besides its weights.

    Attributes
    ----------
    name
        Its name, which is the title of the page.
    texts
        The names of the files that it was trained on.
    trained
        The day on which it was saved.
    losses
        What its rounding costs; None if that was not measured.
    """

    name: str = ""
    texts: tuple[str, ...] = ()
    trained: date | None = None
    losses: Losses | None = None


def title(about: About) -> str:
    """Return the title of the page."""
    return printable(about.name) or "A language model"


def lead(portable: Portable, about: About) -> str:
    """Return what the model is and how good it is, in a few sentences."""
    config, V = portable.config, len(portable.vocabulary)
    level = portable.vocabulary.level
    kind = portable.layouts.torch.name.removesuffix("Before")
    network = f"{count(config.layers, 'layer')} of {count(config.hidden, f'{kind} unit')}"
    numbers = count(int(portable.model.weights.flat.size), "number")
    day = about.trained
    learned = f" that learned from {_texts(about.texts)}" if about.texts else ""
    says = (
        f"A small neural network{learned}. It guesses the next {unit(level)} of a text, again and "
        f"again. All it knows is in {numbers}, {network}"
        + (f", trained until {day.day} {day:%B %Y}." if day is not None else ".")
    )
    if about.losses is not None:
        bits = about.losses.rounded / log(2)
        says += (
            f" In a text that it had not seen, each {unit(level)} cost it {bits:.2f} bits; a blind "
            f"guess among its {V:,} {unit(level)}s costs {log2(V):.2f}."
        )
    return says


def footing(portable: Portable, about: About, bits: int, weights_bytes: int) -> str:
    """Return how the weights are kept, and what that costs."""
    kept = f"Its weights are kept in {bits} bits ({size(weights_bytes)})"
    if about.losses is None:
        cost = "."
    else:
        symbols, exact, rounded = about.losses
        change = (rounded - exact) / log(2)
        one = unit(portable.vocabulary.level)
        cost = (
            f", which costs {change:+.4f} bits a {one} ({exact:.4f} → {rounded:.4f} nats, measured "
            f"on {count(symbols, one)})."
        )
    return kept + cost


def _texts(names: tuple[str, ...]) -> str:
    """Return the names of texts, of many only their number."""
    if len(names) > _NAMED:
        return f"{len(names):,} texts"
    return " and ".join(printable(name) for name in names)
