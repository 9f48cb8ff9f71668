"""Weights of n-grams: what short pieces of a sequence say about its label, whatever stands around.

Each n-gram of 1 to K symbols has a weight for each label, found by hash (Mikolov et al. 2011,
"Strategies for training large scale neural network language models"; for labels Joulin et al. 2017,
"Bag of tricks for efficient text classification"). The logits of a sequence with n-grams g_1 … g_F,

    W v + b + s Σ_i m_i E[hash(g_i)],   s = min(1/5, 5/√F)

are those of a linear model beside the recurrent one (Cheng et al. 2016, "Wide & deep learning"). m
are dropout's factors, 1 without it. The factor s is measured: with 1, texts are learned by heart
from their rare n-grams; with 1/√F, the weights of long texts grow too slowly. With δ = ∂L/∂logits,

    ∂L/∂E[j] = s Σ_i δ m_i   over the n-grams i with hash(g_i) = j.

An n-gram at the beginning or at the end of a sequence is another one than inside of it. n-grams of
the same hash share their weights: there are at most ``BUCKETS`` hashes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.backend import Array, Backend
from charrnn.model.parameters import Parameters
from charrnn.model.sequences.padding import Padding

NGRAMS = "ngrams.weight"
BUCKETS = 1 << 15
"""The most hashes."""
WEIGHTS = 1 << 20
"""The most weights: where there are many labels, there are fewer hashes."""
SCALE = 0.2
"""s of a text of few n-grams."""
FACTOR, _MIX = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9
"""Two numbers of SplitMix64 (Steele, Lea and Flood 2014); its finaliser has a third one."""


class Found(NamedTuple):
    """The n-grams of sequences.

    Attributes
    ----------
    buckets
        (K, T, N): the hash of the n-gram of each length that ends at each step.
    factors
        (K, T, N): s m; 0 where there is no n-gram.
    """

    buckets: Array
    factors: Array
    xp: Any

    def logits(self, weights: Parameters) -> Array:
        """Return s Σ m E[hash], (labels, N)."""
        table = weights[NGRAMS]
        total: Any = self.xp.zeros((self.buckets.shape[2], table.shape[1]), table.dtype)
        for k in range(len(self.buckets)):
            rows = self.xp.take(table, self.buckets[k], axis=0)
            rows *= self.factors[k][..., None]
            total += rows.sum(axis=0)
        return self.xp.ascontiguousarray(total.T)

    def backward(self, d_logits: Array, grads: Parameters) -> None:
        """Write ∂L/∂E, given ∂L/∂logits (labels, N)."""
        xp, out = self.xp, grads[NGRAMS]
        out[...] = 0.0
        d_rows = xp.ascontiguousarray(d_logits.T)
        for k in range(len(self.buckets)):
            rows = (self.factors[k][..., None] * d_rows).reshape(-1, out.shape[1])
            add_rows(xp, rows, self.buckets[k].reshape(-1), out)


class Ngrams:
    """The n-grams of 1 to ``longest`` symbols, each with a weight for each of ``labels``."""

    def __init__(self, longest: int, labels: int, backend: Backend) -> None:
        self.longest, self.labels, self._backend = longest, labels, backend
        self.buckets = BUCKETS
        while self.buckets > 1 and self.buckets * labels > WEIGHTS:
            self.buckets //= 2

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return name and shape of E."""
        return {NGRAMS: (self.buckets, self.labels)}

    def masks(self, steps: int, streams: int, dtype: Any) -> Array:
        """Allocate the dropout mask of the n-grams that end at each step, (T, K, N)."""
        return self._backend.xp.empty((steps, self.longest, streams), dtype)

    def of(self, ids: Array, padding: Padding, dtype: Any, kept: Array | None = None) -> Found:
        """Return the n-grams of sequences (T, N); ``kept`` are dropout's factors (T, K, N)."""
        xp = self._backend.xp
        found, present = codes(ids, padding, self.longest, self._backend)
        counts = np.maximum(present.sum(axis=(0, 1)), 1)
        factors = self._backend.put(present * np.minimum(SCALE, counts**-0.5 / SCALE), dtype)
        if kept is not None:
            factors *= kept.transpose(1, 0, 2)
        return Found(mixed(found, xp, self.buckets.bit_length() - 1), factors, xp)


def codes(
    ids: Array, padding: Padding, longest: int, backend: Backend
) -> tuple[Array, NDArray[np.bool_]]:
    """Return the code of the n-gram of each length that ends at each step, and where there is one.

    Both are (K, T, N), of sequences (T, N); where there is none, the code says nothing. The second
    is on the host.
    """
    xp, (steps, streams) = backend.xp, ids.shape
    shape = (longest, steps, streams)
    t, lengths = np.arange(steps)[:, None], padding.lengths
    present = np.zeros(shape, np.bool_)
    found = xp.zeros(shape, xp.uint64)
    before = xp.zeros((steps, streams), xp.uint64)
    symbols = ids.astype(xp.uint64) + xp.uint64(1)
    last = backend.put(t == lengths - 1).astype(xp.uint64)
    for n in range(min(longest, steps)):  # n-grams of n + 1 symbols
        present[n] = padding.real & (t >= n)
        code = before * xp.uint64(FACTOR) + symbols
        before = xp.concatenate((xp.zeros_like(code[:1]), code[:-1]))
        found[n] = code * xp.uint64(4) + last
        found[n, n] += xp.uint64(2)  # it begins the sequence
    return found, present


def mixed(found: Array, xp: Any, bits: int) -> Array:
    """Return the highest bits of each code, after mixing all of them; the codes are overwritten."""
    found ^= found >> xp.uint64(30)
    found *= xp.uint64(_MIX)
    found ^= found >> xp.uint64(27)
    found *= xp.uint64(FACTOR)
    return (found >> xp.uint64(64 - bits)).astype(xp.int64)


def add_rows(xp: Any, rows: Array, places: Array, out: Array) -> None:
    """Add each of ``rows`` (M, C) to the row of ``out`` (B, C) that ``places`` (M,) says.

    The sums are taken in the order of the rows, so that they are the same in every run.
    """
    order = xp.argsort(places, kind="stable")
    places = places[order]
    ends = xp.flatnonzero(xp.concatenate((places[1:] != places[:-1], xp.ones(1, xp.bool_))))
    sums = xp.cumsum(rows[order], axis=0, dtype=xp.float64)[ends]
    sums[1:] -= sums[:-1].copy()
    out[places[ends]] += sums.astype(out.dtype)


def elements(longest: int, labels: int, steps: int, streams: int, itemsize: int) -> int:
    """Return the elements of the largest arrays that n-grams need at once, of T steps of N."""
    places = steps * streams
    numbers = 8 // itemsize
    return places * (longest * (2 + 4 * numbers) + 2 * labels * (1 + numbers))
