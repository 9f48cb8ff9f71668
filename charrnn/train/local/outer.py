"""The outer update: the average of weights that ranks have trained apart, with momentum.

    Δ = a - Σₖ pₖ wₖ            a: the weights after the last average, wₖ: those of rank k now
    u ← μ u + Δ                 pₖ: the share of the streams that rank k trains on
    w ← a - η (Δ + μ u)         on all ranks
    m ← Σₖ pₖ mₖ                for each moment of the optimizer

With η = 1 and μ = 0 this is the plain average of local SGD (Stich 2019, arXiv 1805.09767).
Nesterov's momentum on Δ is that of DiLoCo (Douillard et al. 2023, arXiv 2311.08105). The moments
are averaged too, one of the choices in SlowMo (Wang et al. 2020, arXiv 1910.00643): so after an
average nothing differs from rank to rank but the states of their streams, and a checkpoint is that
of one process with u besides.
"""

from __future__ import annotations

from collections.abc import Iterable

from charrnn.backend import Array, Backend
from charrnn.backend.team import Team

OUTER = "outer"
"""The name of u among the moments of a checkpoint."""


class Outer:
    """The outer update of one set of weights.

    Parameters
    ----------
    backend
        Where the weights are.
    lr, momentum
        η and μ.
    share
        pₖ of this member.
    weights
        Flat (P,); :meth:`begin` notes them as a.

    Attributes
    ----------
    momentum
        u, (P,).
    """

    def __init__(
        self, backend: Backend, lr: float, momentum: float, share: float, weights: Array
    ) -> None:
        self._xp, self._lr, self._mu, self._share = backend.xp, lr, momentum, share
        self.momentum = backend.xp.zeros_like(weights)
        self._anchor = weights.copy()

    def begin(self, weights: Array) -> None:
        """Note the weights from which all members train apart from now on."""
        self._anchor[...] = weights

    def average(self, weights: Array, moments: Iterable[Array], team: Team) -> None:
        """Replace the weights by those of the outer update, and the moments by their averages."""
        xp, u, anchor = self._xp, self.momentum, self._anchor
        xp.subtract(anchor, weights, out=weights)
        for flat in (weights, *moments):
            xp.multiply(flat, self._share, out=flat)
            team.sum(flat)
        xp.multiply(u, self._mu, out=u)
        xp.add(u, weights, out=u)
        xp.multiply(weights, self._lr, out=weights)
        xp.subtract(anchor, weights, out=anchor)
        xp.multiply(u, self._lr * self._mu, out=weights)
        xp.subtract(anchor, weights, out=anchor)
        weights[...] = anchor
