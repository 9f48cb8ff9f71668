"""What a model expected at each symbol of a text."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.backend import Array
from charrnn.model.head import SLAB_ELEMENTS, Beside
from charrnn.model.language import LanguageModel
from charrnn.view.passage import Passage, passes

ALTERNATIVES = 3
"""How many other symbols are named at each place."""


@dataclass(frozen=True)
class Predictions:
    """Surprisal and alternatives of L symbols, by the network and its counted n-grams, if any.

    Attributes
    ----------
    bits
        -log2 p of each symbol given those before it, (L,); NaN where it is not scored, because it
        has no context.
    others
        The likeliest symbols other than the one that came, the likeliest first, (L, K).
    chances
        Their probabilities, (L, K); NaN where the symbol is not scored.
    """

    bits: NDArray[np.float64]
    others: NDArray[np.int64]
    chances: NDArray[np.float64]

    @classmethod
    def of(
        cls, model: LanguageModel, passage: Passage, alternatives: int = ALTERNATIVES
    ) -> Predictions:
        """Return what the model expected; ``alternatives`` is K, at most V - 1."""
        count, K = len(passage), min(alternatives, model.V - 1)
        nats = np.full(count, np.nan)
        others = np.zeros((count, K), np.int64)
        chances = np.full((count, K), np.nan)
        with np.errstate(all="ignore"):  # non-finite weights show in the result
            for one in passes(model, passage):
                at = one.predicted
                if at.start == at.stop:
                    continue
                steps = slice(0, at.stop - at.start)
                targets, top = passage.ids[at], one.top[steps]
                beside = model.mixture(one.window, one.inputs, steps)
                put, get = model.backend.put, model.backend.get
                found = model.head.surprisal(model.weights, top, put(targets[:, None]), beside)
                nats[at] = get(found)[:, 0]
                others[at], chances[at] = _alternatives(model, top, targets, K, beside)
        return cls(nats / log(2), others, chances)


def _alternatives(
    model: LanguageModel, top: Array, targets: NDArray[Any], K: int, beside: Beside | None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the K likeliest symbols other than the targets (M,), and their probabilities, (M, K).

    ``top`` (M, H, 1) is the output of the top layer.
    """
    found, size = [], max(1, SLAB_ELEMENTS // model.V)
    for start in range(0, len(targets), size):
        part = slice(start, start + size)
        some = targets[part].astype(np.int64)
        logits = model.head.logits(model.weights, top[part])
        if beside is not None:
            logits = beside.mixed(logits, part)
        host = model.backend.get(logits)[:, :, 0].astype(np.float64)
        exp = np.exp(host - host.max(axis=1, keepdims=True))
        p = exp / exp.sum(axis=1, keepdims=True)
        p[np.arange(len(some)), some] = -1.0
        best = np.argsort(-p, axis=1, kind="stable")[:, :K]
        found.append((best, np.take_along_axis(p, best, axis=1)))
    best, chances = (np.concatenate(each) for each in zip(*found, strict=True))
    return best, chances
