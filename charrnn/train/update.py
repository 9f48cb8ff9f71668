"""One update of the weights: compute the gradient, add up the team's, clip it, apply the rule.

    g = ∂L/∂w, summed over the team
    g ← min(max(g, -v), v)                       clipping by value, v = clip_value
    s = c / max(‖g‖, c)                          clipping by norm, c = clip_norm
    w ← rule(w, s · g, lr)                       see charrnn.train.optimizers

Each line is a method, so that callers can inspect the intermediate results: training checks for
non-finite values, the diagnosis measures norms.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from charrnn.backend import Array, Backend
from charrnn.backend.team import Alone, Team
from charrnn.config import TrainConfig
from charrnn.model import parameters
from charrnn.model.parameters import Parameters
from charrnn.train import clipping, optimizers


class Clipped(NamedTuple):
    """The result of clipping.

    Attributes
    ----------
    norm
        The gradient's Euclidean norm after clipping by value, 0-d.
    scale
        The factor of clipping by norm, at most 1; a 0-d array, or 1.0 without clipping by norm.
    """

    norm: Array
    scale: Any


class Update:
    """Gradients, their clipping and the optimizer of one set of weights.

    Parameters
    ----------
    backend
        Where the weights are.
    weights
        The weights that :meth:`apply` updates by default.
    config
        Names the optimizer and the limits of clipping.
    team
        The members that train the same weights together; each calls every method.

    Attributes
    ----------
    grads
        The gradient, as :meth:`gradient` and then :meth:`clip` leave it. :meth:`apply` may
        overwrite it.
    optimizer
        The rule and its moments.
    """

    def __init__(
        self, backend: Backend, weights: Parameters, config: TrainConfig, team: Team | None = None
    ) -> None:
        self._xp, self._weights, self._config = backend.xp, weights, config
        self._team, self._synchronous = team or Alone(), backend.synchronous
        trained = weights.trained
        self.grads = trained.like(backend.xp.empty_like(trained.flat))
        self.optimizer = optimizers.create(config, backend, trained)

    def gradient(self, compute: Callable[[Parameters], Array]) -> Array:
        """Compute the gradient of the team's loss.

        Parameters
        ----------
        compute
            Writes the gradient of this member's part of the loss to the parameters it is given, and
            returns that part, 0-d. The parts add up to the loss.

        Returns
        -------
        The loss, 0-d.
        """
        loss = compute(self.grads)
        if self._team.size == 1:
            return loss
        self._team.sum(self.grads.flat)
        total = self._xp.stack([loss])
        self._team.sum(total)
        return total[0]

    def norm(self) -> Array:
        """Return the Euclidean norm of the gradient, 0-d, the same on the whole team.

        Two kinds of processors may add its squares in different orders. What follows is computed
        for each element by itself, so the weights of all members stay the same, bit for bit.
        """
        norm = parameters.norm(self._xp, self.grads.flat)
        if self._team.size == 1 or not self._synchronous:
            return norm
        return norm.dtype.type(self._team.same(float(norm)))

    def clip(self, norm: Array) -> Clipped:
        """Clip the gradient, whose norm is given: by value in place, by norm as a factor."""
        config, flat = self._config, self.grads.flat
        if config.clip_value:
            clipping.by_value(self._xp, flat, config.clip_value)
            norm = self.norm()
        scale: Any = 1.0
        if config.clip_norm:
            scale = clipping.scale_for_norm(self._xp, norm, config.clip_norm)
        return Clipped(norm, scale)

    def apply(self, lr: float, scale: Any, count: int, weights: Parameters | None = None) -> None:
        """Update the weights, or others of the same shapes, by the gradient times ``scale``.

        Parameters
        ----------
        lr
            Learning rate.
        scale
            The scale that :meth:`clip` returned.
        count
            Updates made so far, this one included.
        weights
            Updated in place.
        """
        weights = weights or self._weights
        self.optimizer.apply(weights.trained, self.grads, lr, scale, count)
