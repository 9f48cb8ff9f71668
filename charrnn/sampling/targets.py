"""Targets of a transducer: greedily, or the best that a beam search finds.

As in :mod:`charrnn.sampling.beam`, every step extends each of K hypotheses by each symbol and keeps
the K most likely results; those that have ended leave the beam. Here all sources are searched at
once, each with a beam of its own, and finished targets y are compared by

    score(y) = ln p(y | x) / ((5 + |y|) / 6)^a

with |y| the number of symbols, the end included (Wu et al. 2016, arXiv 1609.08144, equation 14): a
longer target has more factors below 1, and a = 0, the probability itself, prefers short ones. A
search ends when no hypothesis can reach the score of the targets that have ended: ln p only falls,
and the divisor is largest at the longest length. With K = 1 it takes the likeliest symbol at each
step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.model.transducer.model import Transducer
from charrnn.model.transducer.sources import Sources
from charrnn.model.transducer.stepping import Stepping
from charrnn.sampling.filters import log_softmax
from charrnn.text.labelled.batches import SimilarLengths
from charrnn.text.pairs.dataset import Pairs

LENGTH_PENALTY = 0.6
"""a."""
ROWS = 128
"""Hypotheses that are extended together, about."""


def longest(source: int) -> int:
    """Return the largest number of symbols of a target for a source of so many symbols."""
    return 2 * source + 50


class Target(NamedTuple):
    """A target that was found.

    Attributes
    ----------
    ids
        Its symbols, without the end.
    nats
        -ln p of each, that of the end last unless the target was cut at its longest length.
    score
        What targets are compared by; see above.
    attention
        α (steps, source symbols) of each step of ``nats``, the source's end included; None without
        attention.
    """

    ids: tuple[int, ...]
    nats: tuple[float, ...]
    score: float
    attention: NDArray[np.floating] | None

    @property
    def log_p(self) -> float:
        """The log-probability of the target given the source, in nats."""
        return -sum(self.nats)


class _Step(NamedTuple):
    """One step of all beams: of each (N, K) the hypothesis that it extends, symbol and ln p."""

    parents: NDArray[Any]
    symbols: NDArray[Any]
    totals: NDArray[np.float64]
    attention: NDArray[np.floating] | None


@dataclass
class _Beams:
    """The beams of N sources.

    Attributes
    ----------
    limits
        (N,): the longest length of each target.
    totals
        (N, K): ln p of the hypotheses that may go on; -∞ for no hypothesis.
    steps
        All steps so far.
    ended
        For each source (score, step, hypothesis) of the targets that have ended.
    """

    limits: NDArray[Any]
    totals: NDArray[np.float64]
    penalty: float
    steps: list[_Step] = field(default_factory=list)
    ended: list[list[tuple[float, int, int]]] = field(default_factory=list)

    def grow(self, log_p: NDArray[np.float64], attention: NDArray[Any] | None, end: int) -> None:
        """Extend the hypotheses by one symbol each, with probabilities (N, K, V)."""
        N, K, V = log_p.shape
        totals = (self.totals[:, :, None] + log_p).reshape(N, K * V)
        best = np.sort(np.argpartition(-totals, K - 1, axis=1)[:, :K], axis=1)  # equals in order
        rank = np.argsort(-np.take_along_axis(totals, best, axis=1), axis=1, kind="stable")
        best = np.take_along_axis(best, rank, axis=1)
        parents, symbols = np.divmod(best, V)
        self.totals = np.take_along_axis(totals, best, axis=1)
        self.steps.append(_Step(parents, symbols, self.totals.copy(), attention))
        length = len(self.steps)
        over = np.isfinite(self.totals) & ((symbols == end) | (length >= self.limits)[:, None])
        for n, k in np.argwhere(over).tolist():
            self.ended[n].append((self._score(self.totals[n, k], length), length - 1, k))
        self.totals[over] = -np.inf

    def close(self, count: int) -> None:
        """Give up the hypotheses of the sources whose ``count`` best targets are decided."""
        for n, ended in enumerate(self.ended):
            if len(ended) >= count:
                ended.sort(key=lambda one: -one[0])
                within_reach = self._score(self.totals[n].max(), int(self.limits[n]))
                if ended[count - 1][0] >= within_reach:
                    self.totals[n] = -np.inf

    def _score(self, total: float, length: int) -> float:
        return float(total / ((5 + length) / 6) ** self.penalty)

    def target(self, n: int, score: float, step: int, k: int, end: int, symbols: int) -> Target:
        """Return a target of source n, which has so many symbols, from its last step."""
        ids, totals, attention = [], [], []
        for at in range(step, -1, -1):
            one = self.steps[at]
            ids.append(int(one.symbols[n, k]))
            totals.append(float(one.totals[n, k]))
            k = int(one.parents[n, k])
            if one.attention is not None:
                row = n * one.symbols.shape[1] + k
                attention.append(one.attention[row, one.attention.shape[1] - symbols :])
        nats = -np.diff(totals[::-1], prepend=0.0)
        if ids[0] == end:
            del ids[0]
        rows = np.array(attention[::-1]) if attention else None
        return Target(tuple(ids[::-1]), tuple(nats.tolist()), score, rows)


def targets(
    model: Transducer,
    sources: Sources,
    *,
    beam: int = 1,
    count: int = 1,
    penalty: float = LENGTH_PENALTY,
    attention: bool = False,
) -> list[list[Target]]:
    """Return for each source the ``count`` best targets that a beam of ``beam`` finds, in order.

    Parameters
    ----------
    penalty
        a.
    attention
        Whether to return it.

    Raises
    ------
    CharRNNError
        If the model's output is not finite.
    """
    lengths, K, end = sources.lengths, beam, model.end
    N, stepping = len(lengths), Stepping(model, sources, beam)
    totals = np.full((N, K), -np.inf)
    totals[:, 0] = 0.0
    limits = np.array([longest(int(length)) for length in lengths])
    beams = _Beams(limits, totals, penalty, ended=[[] for _ in range(N)])
    ids = np.full(N * K, end)
    while True:
        outlook = stepping.step(ids)
        log_p = log_softmax(outlook.logits).reshape(N, K, -1)
        beams.grow(log_p, outlook.attention if attention else None, end)
        beams.close(count)
        if not np.isfinite(beams.totals).any():
            break
        last = beams.steps[-1]
        stepping.follow((last.parents + np.arange(N)[:, None] * K).reshape(-1))
        ids = last.symbols.reshape(-1)
    best = [sorted(ended, key=lambda one: -one[0])[:count] for ended in beams.ended]
    return [
        [beams.target(n, *one, end, int(lengths[n])) for one in found]
        for n, found in enumerate(best)
    ]


def written(
    model: Transducer,
    pairs: Pairs,
    *,
    beam: int = 1,
    count: int = 1,
    attention: bool = False,
) -> Iterator[tuple[int, list[Target]]]:
    """Yield the number of each pair, and the best targets for its source.

    Sources of similar length are searched together; other parameters as for :func:`targets`.
    """
    batches = SimilarLengths(pairs.sources.lengths, max(1, ROWS // beam), None)
    for step in range(batches.per_epoch):
        numbers = batches.at(step).numbers
        ids, lengths = pairs.sources.padded(numbers, len(numbers), model.source_end)
        sources = model.sources(ids, lengths)
        found = targets(model, sources, beam=beam, count=count, attention=attention)
        yield from zip(numbers.tolist(), found, strict=True)
