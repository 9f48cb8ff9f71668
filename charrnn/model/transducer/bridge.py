"""From the encoder's final states to the decoder's initial ones.

An encoder that reads in one direction has the decoder's own layers and states: each layer of the
decoder begins with the final states of the same layer of the encoder, h and for an LSTM also c
(Sutskever, Vinyals and Le 2014, arXiv 1409.3215).

A bidirectional encoder has two of each: s⃗ after the last symbol of the source and s⃖ after the
first one, (H,) each. For every layer and state

    s₀ = φ(W [s⃗; s⃖] + b),   φ = tanh for h, and the identity for c, which has no bound

(Bahdanau et al. 2015, appendix A.2.2, begin with tanh(W s⃖)). Backward, with δ = ∂L/∂s₀ ⊙ φ',
φ' = 1 - s₀² for h:

    ∂L/∂W = Σ δ [s⃗; s⃖]ᵀ,   ∂L/∂b = Σ δ,   [∂L/∂s⃗; ∂L/∂s⃖] = Wᵀ δ
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from charrnn.backend import Array
from charrnn.model.sequences.bidirectional import BACK
from charrnn.model.transducer.products import Products

States = dict[str, Array]
"""States (H, N) by their full names, such as ``h_l0``."""


class Crossed(NamedTuple):
    """The result of a forward pass: the decoder's initial states, and of each both final ones.

    ``pairs`` holds [s⃗; s⃖] (N, 2H) by the name of the decoder's state; it is empty for an encoder
    that reads in one direction.
    """

    states: States
    pairs: States


class Bridge:
    """Makes the decoder's initial states.

    Parameters
    ----------
    names
        The full names of the decoder's states, and which of them are outputs h.
    hidden
        H.
    bidirectional
        Whether the encoder is.
    products
        What multiplies many rows with one matrix.
    prefix
        Precedes the names of the parameters.
    """

    def __init__(
        self,
        names: Mapping[str, bool],
        hidden: int,
        bidirectional: bool,
        xp: Any,
        products: Products,
        prefix: str,
    ) -> None:
        self._names, self.H, self._both = names, hidden, bidirectional
        self._xp, self._products, self._prefix = xp, products, prefix

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return names and shapes of the parameters; none for an encoder in one direction."""
        shapes: dict[str, tuple[int, ...]] = {}
        for name in self._names if self._both else ():
            shapes[f"{self._prefix}{name}.weight"] = (self.H, 2 * self.H)
            shapes[f"{self._prefix}{name}.bias"] = (self.H,)
        return shapes

    def draw(self, host: Mapping[str, np.ndarray], rng: np.random.Generator) -> None:
        """Fill the host parameters: U(-1/√2H, 1/√2H), as PyTorch's linear layers."""
        limit = (2 * self.H) ** -0.5
        for name, shape in self.shapes().items():
            host[name][...] = rng.uniform(-limit, limit, shape)

    def forward(self, weights: Mapping[str, Array], final: States) -> Crossed:
        """Return the decoder's initial states for the encoder's final ones."""
        if not self._both:
            return Crossed(final, {})
        xp, states, pairs = self._xp, {}, {}
        for name, is_output in self._names.items():
            both = xp.concatenate([final[name], final[name + BACK]])
            pairs[name] = xp.ascontiguousarray(both.T)
            made = self._products.times(pairs[name], weights[f"{self._prefix}{name}.weight"])
            made += weights[f"{self._prefix}{name}.bias"]
            states[name] = (xp.tanh(made, out=made) if is_output else made).T
        return Crossed(states, pairs)

    def backward(
        self,
        weights: Mapping[str, Array],
        crossed: Crossed,
        d_states: States,
        grads: Mapping[str, Array],
    ) -> States:
        """Return ∂L/∂(final states of the encoder), given those of the decoder's initial ones.

        Writes the gradients of the parameters to ``grads``.
        """
        if not self._both:
            return d_states
        xp, d_final = self._xp, {}
        for name, is_output in self._names.items():
            delta = xp.ascontiguousarray(d_states[name].T)
            if is_output:
                made = crossed.states[name].T
                delta *= 1.0 - made * made
            weight = f"{self._prefix}{name}.weight"
            self._products.outer(delta, crossed.pairs[name], grads[weight])
            xp.sum(delta, axis=0, out=grads[f"{self._prefix}{name}.bias"])
            both = self._products.back(delta, weights[weight])
            d_final[name], d_final[name + BACK] = both[:, : self.H].T, both[:, self.H :].T
        return d_final
