"""Counts of n-grams: a second opinion on the label, from how often each label has written what.

For each label c the n-grams of up to K symbols give a language model, smoothed by the one of
n-grams a symbol shorter (MacKay and Peto 1995, "A hierarchical Dirichlet language model"):

    P_c(x | h) = (C_c(h x) + A P_c(x | h')) / (C_c(h) + A),   h' = h without its first symbol

where h has K - 1 symbols, fewer where a text begins, and P_c(x) = (C_c(x) + A / V) / (N_c + A) with
N_c the number of the label's symbols. A text is read with two marks, ^ before it and $ after it, of
which $ is predicted, too. Where h x never occurred, P_c(x | h) / P_c(x | h') depends on h alone, so
that ln P_c of a text is, but for a constant, a sum over its n-grams g of one weight each:

    ln P_c(text) = Σ_g u_c(g)
    u_c(h x) = ln(1 + C_c(h x) / (A P_c(x | h'))) - ln(1 + C_c(h x) / A)

in which the last term is missing if h x is no context: if it ends with $, or has K symbols. A
symbol alone has -ln(1 + N_c / A) besides, and ^ alone the last term only. Another model reads texts
backwards, from $ to ^, so that its weights ũ are those of reversed n-grams. The two smooth in
different places, and err there. The decision is

    logits = (1 - s) · (those of the network) + s λ (τ Σ_g ½ (u_c(g) + ũ_c(g)) + ln P(c)),
    τ = min(1, 3 / √T),   λ = 0.65

a product of a discriminative and generative classifiers, which err in different places (Raina et
al. 2003, "Classification with hybrid generative/discriminative models"). τ is less than 1 because
the symbols of a text are not as independent as its n-grams take them to be, and λ because network
and counts are not independent either: with 1, both together are surer than they are right, and of
the weights of a training run those of its beginning have the lowest loss. s is ``counts``.

Nothing of this is trained. The network learns as if it stood alone: beside counts of the very texts
that it learns from, little would be left to learn. The tables are parameters all the same, so that
a checkpoint holds all that decides. An n-gram is found by a code of 24 bits, which float32 holds;
-1 - code is stored, and the weights with λ. Tables that an earlier version made are read as they
were meant: with λ = 1, or, if their codes are not negative, as those of texts without marks, where
an n-gram at an edge is another one than inside.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.backend import Array, Backend, numpy_backend
from charrnn.model.parameters import FIXED, Parameters
from charrnn.model.sequences.ngrams import codes, mixed
from charrnn.model.sequences.padding import Padding

CODES, WEIGHTS, PRIOR = FIXED + "codes", FIXED + "weight", FIXED + "bias"
LONGEST = 4
"""K."""
SMOOTHING = 10.0
"""A."""
MOST, MOST_WEIGHTS = 1 << 15, 1 << 20
"""The most n-grams, the most frequent ones, and the most weights."""
SYMBOLS = 1 << 20
"""The most symbols that are counted."""
_BITS = 24
_TEMPERATURE = 3.0
CERTAINTY = 0.65
"""λ."""

Example = tuple[NDArray[Any], NDArray[np.int64], NDArray[np.int32]]
"""Texts side by side (T, N), their lengths (N,) and their labels (N,)."""


class _Grams(NamedTuple):
    """All n-grams of one length, one place after the other, (M,) each.

    ``shorter`` are the codes without the first symbol, ``context`` those without the last;
    ``begins`` and ``ends`` say where one begins or ends its text.
    """

    code: NDArray[np.int32]
    shorter: NDArray[np.int32]
    context: NDArray[np.int32]
    label: NDArray[np.int32]
    begins: NDArray[np.bool_]
    ends: NDArray[np.bool_]

    def backwards(self) -> _Grams:
        """Return the same n-grams as they are in texts that are read backwards."""
        return _Grams(self.code, self.context, self.shorter, self.label, self.ends, self.begins)


class Counts:
    """The counted n-grams of a classifier of V symbols and some labels.

    Parameters
    ----------
    share
        s.
    """

    def __init__(self, share: float, labels: int, vocabulary: int, backend: Backend) -> None:
        self._share, self._labels, self._V, self._backend = share, labels, vocabulary, backend
        self.size = min(MOST, max(1, MOST_WEIGHTS // labels))

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return names and shapes: the codes of the n-grams, sorted; their weights; ln P(c)."""
        labels = self._labels
        return {CODES: (self.size,), WEIGHTS: (self.size, labels), PRIOR: (labels,)}

    def mix(self, logits: Array, weights: Parameters, ids: Array, padding: Padding) -> Array:
        """Return the decision (labels, N), given the network's logits of sequences (T, N)."""
        xp, table = self._backend.xp, weights[CODES]
        marked = self._backend.get(table[:1])[0] < 0
        found, present = _places(ids, padding, self._backend, marked)
        total: Any = xp.zeros((ids.shape[1], self._labels), logits.dtype)
        for n in range(len(found)):
            wanted = found[n].astype(table.dtype)
            if marked:
                wanted = -1 - wanted
            row = xp.minimum(xp.searchsorted(table, wanted.reshape(-1)), self.size - 1)
            row = row.reshape(wanted.shape)
            hit = (xp.take(table, row) == wanted) & self._backend.put(present[n])
            each = xp.take(weights[WEIGHTS], row, axis=0)
            each *= hit[..., None]
            total += each.sum(axis=0)
        total *= self._backend.put(temperature(padding.lengths), logits.dtype)[:, None]
        total += weights[PRIOR]
        return logits * (1 - self._share) + total.T * self._share

    def fill(self, weights: Parameters, examples: Iterable[Example]) -> None:
        """Count the n-grams of labelled texts, and write what follows into host parameters."""
        counted = np.zeros(self._labels)
        parts: list[list[_Grams]] = [[] for _ in range(LONGEST)]
        for ids, lengths, labels in examples:
            counted += np.bincount(labels[lengths > 0], minlength=self._labels)
            for n, grams in enumerate(_grams(ids, lengths, labels)):
                parts[n].append(grams)
        every = [_Grams(*map(np.concatenate, zip(*part, strict=True))) for part in parts]
        code, weight = self._weights(every)
        weights[CODES][...] = 1 << _BITS  # no n-gram's
        weights[WEIGHTS][...] = 0.0
        weights[CODES][: len(code)] = -1 - code[::-1]
        weights[WEIGHTS][: len(code)] = CERTAINTY * weight[::-1]
        shares = (counted + 1) / (counted.sum() + self._labels)
        weights[PRIOR][...] = CERTAINTY * np.log(shares)

    def _weights(self, every: list[_Grams]) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Return the codes of the most frequent n-grams, sorted, and u (codes, labels).

        Of those that are as frequent the shorter come first.
        """
        unique = [np.unique(grams.code, return_counts=True) for grams in every]
        often = np.concatenate([counts for _, counts in unique])
        kept = np.zeros(len(often), np.bool_)
        kept[np.argsort(-often, kind="stable")[: self.size]] = True
        ends = np.cumsum([len(code) for code, _ in unique])
        parts = np.split(kept, ends[:-1])
        known = [code[part] for (code, _), part in zip(unique, parts, strict=True)]
        weight = self._read(every, known)
        weight += self._read([grams.backwards() for grams in every], known)
        code, at = np.unique(np.concatenate(known), return_index=True)
        return code, weight[at] / 2

    def _read(self, every: list[_Grams], known: list[NDArray[np.int32]]) -> NDArray[np.float64]:
        """Return u (codes, labels) of the n-grams ``known``, in one direction of reading."""
        weights = []
        shorter = _Table(np.empty(0, np.int32), *[np.empty((0, self._labels))] * 2)
        for n, (grams, code) in enumerate(zip(every, known, strict=True)):
            shorter, weight = self._of_length(grams, code, shorter, n)
            weights.append(weight)
        return np.concatenate(weights)

    def _of_length(
        self, grams: _Grams, code: NDArray[np.int32], shorter: _Table, n: int
    ) -> tuple[_Table, NDArray[np.float64]]:
        """Return the table of the n-grams of n + 1 symbols ``code``, and their u."""
        row, known = _find(code, grams.code)
        place = row[known].astype(np.int64) * self._labels + grams.label[known]
        flat = np.bincount(place, minlength=len(code) * self._labels)
        counts = flat.reshape(-1, self._labels).astype(np.float64)
        at = np.zeros(len(code), np.int64)
        at[row[known][::-1]] = np.flatnonzero(known)[::-1]  # where each occurs first
        predicted = ~(grams.begins[at] & (n == 0))[:, None]
        if n == 0:
            before = np.full_like(counts, 1 / (self._V + 1))
            total = np.where(predicted, counts, 0).sum(axis=0)
        else:
            before = shorter.of(shorter.p, grams.shorter[at], 1 / (self._V + 1))
            total = np.maximum(shorter.of(shorter.counts, grams.context[at], 0.0), counts)
        weight = np.log1p(counts / (SMOOTHING * before))
        if n == 0:
            weight = np.where(predicted, weight - np.log1p(total / SMOOTHING), 0.0)
        if n < LONGEST - 1:
            weight -= np.where(grams.ends[at][:, None], 0.0, np.log1p(counts / SMOOTHING))
        p = (counts + SMOOTHING * before) / (total + SMOOTHING)
        return _Table(code, counts, p), weight


def temperature(lengths: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return τ of texts of some lengths."""
    found: NDArray[np.float64] = np.minimum(1, _TEMPERATURE * np.maximum(lengths, 1) ** -0.5)
    return found


class _Table(NamedTuple):
    """What is known of the n-grams of one length: sorted codes (M,), C and P (M, labels)."""

    code: NDArray[np.int32]
    counts: NDArray[np.float64]
    p: NDArray[np.float64]

    def of(
        self, values: NDArray[np.float64], code: NDArray[np.int32], otherwise: float
    ) -> NDArray[np.float64]:
        """Return the rows of some n-grams; ``otherwise`` where two have met in one code."""
        if not len(self.code):
            return np.full((len(code), values.shape[1]), otherwise)
        row, known = _find(self.code, code)
        return np.where(known[:, None], values[row], otherwise)


def _find(table: NDArray[np.int32], code: NDArray[np.int32]) -> tuple[Any, Any]:
    """Return where codes are in a sorted table, and whether they are."""
    if not len(table):
        return np.zeros(len(code), np.int64), np.zeros(len(code), np.bool_)
    row = np.minimum(np.searchsorted(table, code), len(table) - 1)
    return row, table[row] == code


def _grams(ids: NDArray[Any], lengths: Any, labels: Any) -> Iterable[_Grams]:
    """Yield the n-grams of texts side by side, with marks: of one symbol, of two and so on."""
    backend = numpy_backend()
    found, present = _places(ids, Padding(lengths, len(ids), backend), backend, marked=True)
    code = found.astype(np.int32)
    steps, streams = code.shape[1:]
    t = np.arange(steps)[:, None]
    ends = t == lengths + 1
    of = np.broadcast_to(np.asarray(labels, np.int32), ends.shape)
    for n in range(LONGEST):
        here = present[n]
        shorter = code[max(n - 1, 0)]
        context = np.concatenate((np.zeros((1, streams), np.int32), shorter[:-1]))
        begins = np.broadcast_to(t == n, ends.shape)
        sequences = (code[n], shorter, context, of, begins, ends)
        yield _Grams(*(each[here] for each in sequences))


def _places(
    ids: Array, padding: Padding, backend: Backend, marked: bool
) -> tuple[Array, NDArray[np.bool_]]:
    """Return the code of the n-gram of each length that ends at each step, and where there is one.

    Both are (K, T, N), of texts (T, N), with T + 2 steps if they are ``marked``; the latter is on
    the host.
    """
    if marked:
        ids, padding = _marked(ids, padding, backend)
    found, present = codes(ids, padding, LONGEST, backend)
    return mixed(found, backend.xp, _BITS), present


def _marked(ids: Array, padding: Padding, backend: Backend) -> tuple[Array, Padding]:
    """Return texts (T, N) with a mark at both ends (T + 2, N); an empty place stays empty."""
    steps, streams = ids.shape
    lengths = np.where(padding.lengths > 0, padding.lengths + 2, 0)
    symbols: Any = backend.xp.zeros((steps + 2, streams), np.int64)  # ^ is 0, $ is 1
    symbols[1:-1] = ids
    symbols[1:-1] += 2
    ends = np.arange(steps + 2)[:, None] == lengths - 1
    symbols = backend.xp.where(backend.put(ends), 1, symbols)
    return symbols, Padding(lengths, steps + 2, backend)


def elements(labels: int, steps: int, streams: int, itemsize: int) -> int:
    """Return the elements of the largest arrays that a decision needs at once."""
    numbers = 8 // itemsize
    places = (steps + 2) * streams
    return places * (LONGEST * (1 + 3 * numbers) + 4 * numbers + 2 * labels)
