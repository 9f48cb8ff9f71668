"""What frequencies alone say: how well a guess predicts symbols or labels, how two texts differ."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.text import Corpus
from charrnn.text.entropy import entropy
from charrnn.text.units.examples import Units
from charrnn.text.units.pieces import TextIds

LEARNED = 0.05
"""Nats per symbol below which there is nothing left to learn."""
MAX_COUNTED = 5_000_000
"""Symbols of a text that are counted at most."""
MIN_COMPARED = 1000
"""Symbols of the shortest text that is compared with another."""
MAX_NEW, MAX_NEW_WORDS = 0.015, 0.4
"""Shares of new symbols, and of new words, up to which two texts are of one kind."""
MAX_EXCESS = 0.4
"""Nats per symbol that another text's frequencies may cost, if the two are of one kind."""


@dataclass(frozen=True)
class Guess:
    """The losses of two guesses at symbols, or at labels, in nats each.

    Attributes
    ----------
    uniform
        All alike: the logarithm of their number.
    unigram
        Each by its frequency in the training data, with 1 added to every count.
    """

    uniform: float
    unigram: float

    def no_worse_than(self, loss: float) -> str | None:
        """Return the worse of the guesses that predict no worse than a model; None if none does."""
        if loss >= self.uniform:
            return "uniform"
        return "unigram" if loss >= self.unigram else None

    def named(self, loss: float) -> tuple[str, float] | tuple[None, None]:
        """Return the name of that guess, and its loss."""
        name = self.no_worse_than(loss)
        return (name, getattr(self, name)) if name else (None, None)

    @classmethod
    def of(cls, known: NDArray[Any], scored: NDArray[Any]) -> Guess:
        """Return how well guesses predict what occurs as often as ``scored`` says.

        ``known`` says how often each symbol or label occurs in the training data.
        """
        smoothed, share = known + 1.0, scored / max(1.0, scored.sum())
        return cls(log(len(known)), float(-(share * np.log(smoothed / smoothed.sum())).sum()))


def guess(corpus: Corpus) -> Guess:
    """Return how well a guess predicts the validation text, or the training text if it is empty."""
    symbols = len(corpus.vocabulary)
    scored = corpus.val if len(corpus.val) else corpus.train
    return Guess.of(counts(corpus.train, symbols), counts(scored, symbols))


def no_better_than(corpus: Corpus, loss: float | None) -> tuple[str, float] | tuple[None, None]:
    """Return the guess that predicts no worse than a model of this loss, and the guess's loss.

    A model that has nothing left to learn, as of a text of one symbol, is not compared.
    """
    return (None, None) if loss is None or loss < LEARNED else guess(corpus).named(loss)


def differences(corpus: Corpus) -> list[str]:
    """Return a note if the validation text is of another kind than the training text.

    A text of fewer than 1,000 symbols is not judged, nor are the frequencies of words.
    """
    if len(corpus.val) < MIN_COMPARED:
        return []
    symbols, words = len(corpus.vocabulary), corpus.vocabulary.level == "word"
    known, found = counts(corpus.train, symbols), counts(corpus.val, symbols)
    share = found / found.sum()
    new = float(share[known == 0].sum())
    smoothed = (known + 1.0) / (known + 1.0).sum()
    by_chance = np.count_nonzero(found) / (2 * found.sum())  # Miller (1955)
    excess = float(-(share * np.log(smoothed)).sum()) - entropy(share) - by_chance
    if new <= (MAX_NEW_WORDS if words else MAX_NEW) and (words or excess <= MAX_EXCESS):
        return []
    better = f"{excess:.2f} nats per symbol better than those there"
    differs = f"its own symbol frequencies predict it {better}"
    if new >= 0.0005:
        differs = f"{100 * new:.1f} % of its symbols do not occur there, and {differs}"
    return [f"the validation text is of another kind than the training text: {differs}"]


def counts(text: TextIds | Units, symbols: int) -> NDArray[Any]:
    """Return how often each symbol occurs at the beginning of a text, (V,)."""
    joined = text.text() if isinstance(text, Units) else text
    return np.bincount(np.asarray(joined[:MAX_COUNTED]), minlength=symbols)
