"""Networks that have learned nothing, to hold a model's units against."""

from __future__ import annotations

from collections.abc import Iterator

from charrnn.model.language import LanguageModel
from charrnn.model.network import RNN
from charrnn.randomness import Purpose, generator

PAIRS = 12
"""How many networks of each kind there are."""


def controls(model: LanguageModel) -> Iterator[LanguageModel]:
    """Yield untrained networks of a model's shape, one after the other.

    Those of one kind have fresh weights. Those of the other have the weights of the model, shuffled
    within each gate's block of each parameter: they are as large as the model's, but what they have
    learned is gone. (Adebayo et al. 2018, arXiv 1810.03292, randomise parameters as a control.)
    """
    for seed in range(PAIRS):
        yield LanguageModel.fresh(model.config, model.V, seed, model.backend)
        yield shuffled(model, seed)


def shuffled(model: LanguageModel, seed: int) -> LanguageModel:
    """Return a model with the same weights in another order."""
    rng = generator(seed, Purpose.DIAGNOSE)
    flat = model.backend.get(model.weights.flat).copy()
    host = model.weights.like(flat)
    for name in host:
        gates = host[name].shape[0] // model.config.hidden if name.startswith(RNN) else 1
        blocks = host[name].reshape(max(1, gates), -1)
        blocks[...] = rng.permuted(blocks, axis=1)
    return model.at(model.weights.like(model.backend.put(flat)))
