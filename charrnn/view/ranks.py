"""How well a series of values tells a property of the text, by ranks, and what chance gives.

Of a property that holds or not, A is the area under the ROC curve: the probability that the value
is higher at a place where it holds than at one where it does not, ties counted half (Hanley and
McNeil 1982; it is the Mann-Whitney U divided by n1 n0):

    A = 1/2 + Σ_t (r_t - r̄) y_t / (n1 n0)

with r the ranks of the values, the mean rank for ties, and y the property, 1 or 0. Of a number the
like is taken of Spearman's rank correlation ρ:

    A = (1 + ρ) / 2 = 1/2 + Σ_t (r_t - r̄) (q_t - q̄) / (2 L s_r s_q)

with q the ranks of the numbers and s standard deviations. In both 1/2 means that the values tell
nothing, 1 that they tell all, 0 that they tell all with the opposite sign.

Chance. Values and properties of a text change slowly, so that two which have nothing to do with
each other agree by accident far more often than independent places would. Against this the property
is shifted in a circle over the text, which keeps how it changes and removes what it has to do with
the values (Harris 2020, "Nonsense correlations in neuroscience", bioRxiv 2020.11.29.402719).
Σ_t r_t y_{t-s} for all shifts s at once is a circular correlation, computed by the FFT:

    p = (1 + the number of s from 1 to L - 1 for which A_s ≥ A) / L

Small shifts of a slow property count, too, which makes p larger, never smaller.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def ranks(values: NDArray[np.floating]) -> Floats:
    """Return the ranks of a series (L,), from 0; equal values have the mean of their ranks."""
    order = np.argsort(values)
    sorted_values = values[order]
    changes = sorted_values[1:] != sorted_values[:-1]
    found = np.empty(len(values))
    if changes.all():
        found[order] = np.arange(len(values))
        return found
    starts = np.flatnonzero(np.append(True, changes))
    stops = np.append(starts[1:], len(values))
    found[order] = np.repeat((starts + stops - 1) / 2, stops - starts)
    return found


def centred_ranks(values: NDArray[np.floating]) -> Floats:
    """Return r - r̄ of each of the series (L, U), one a column."""
    found = np.empty(values.shape)
    for k in range(values.shape[1]):
        found[:, k] = ranks(np.ascontiguousarray(values[:, k]))
    return found - (len(values) - 1) / 2


@dataclass(frozen=True)
class Held:
    """A property over L symbols, prepared to be held against ranks.

    Attributes
    ----------
    weights
        (L,), whose sum is 0: A - 1/2 = Σ_t (r_t - r̄) weights_t / s, with ...
    numeric
        ... s the standard deviation of the ranks for a number, else 1.
    """

    weights: Floats
    numeric: bool

    @classmethod
    def of(cls, values: Floats, numeric: bool) -> Held:
        """Prepare the values of a property, (L,), which are not all the same."""
        count = len(values)
        if numeric:
            q = ranks(values) - (count - 1) / 2
            return cls(q / (2 * count * q.std()), True)
        n1 = values.sum()
        return cls((values - n1 / count) / (n1 * (count - n1)), False)

    def areas(self, centred: Floats) -> Floats:
        """Return A of each of the series whose centred ranks are the columns of (L, U)."""
        spread = _spread(centred) if self.numeric else 1.0
        return np.asarray(0.5 + self.weights @ centred / spread)

    def area(self, centred: Floats) -> float:
        """Return A of one series (L,)."""
        return float(self.areas(centred[:, None])[0])

    def chance(self, centred: Floats, sign: float) -> float:
        """Return p of one series (L,): how often a shifted property is told as well.

        ``sign`` is -1 if low values mean that the property holds.
        """
        count = len(centred)
        spectrum = np.fft.rfft(centred) * np.conj(np.fft.rfft(self.weights))
        shifted = sign * np.fft.irfft(spectrum, count)
        as_well = shifted[1:] >= shifted[0] - 1e-9 * abs(shifted[0])
        return float((1 + as_well.sum()) / count)


def _spread(centred: Floats) -> Floats:
    """Return the standard deviation of each column; 1 where all values are equal."""
    found = centred.std(axis=0)
    return np.where(found > 0, found, 1.0)
