"""Small models of all cells for the tests of exchange, and texts to compare them on."""

from itertools import product

import numpy as np

import charrnn
from charrnn.config import ModelConfig
from charrnn.model.language import LanguageModel
from charrnn.text.vocabulary import build_vocabulary

TEXT = "zwölf Boxkämpfer jagen Viktor\nquer über den großen Sylter Deich.\n"
CELLS = (
    {"cell": "lstm"},
    {"cell": "gru"},
    {"cell": "gru", "gru_reset": "before"},
    {"cell": "rnn"},
    {"cell": "rnn", "activation": "relu"},
)
CASES = [
    {**cell, "layers": layers, "embed": embed}
    for cell, layers, embed in product(CELLS, (1, 2, 3), (0, 5))
]


def name(case):
    return "-".join(str(value) for value in case.values())


def model(case, dtype="float32", text=TEXT, level="char"):
    """Return a model whose weights, biases too, are random and not small."""
    parts = [(symbol, 1) for symbol in text]
    vocabulary = build_vocabulary(level, parts)
    config = ModelConfig(hidden=7, dtype=dtype, **case)
    network = LanguageModel.fresh(config, len(vocabulary), seed=3)
    flat = network.weights.flat
    flat[...] = np.random.default_rng(5).uniform(-0.5, 0.5, flat.size)
    return charrnn.Model(network, vocabulary)


def nats(logits, targets):
    """Return the mean of -ln p(target), given logits (T, V)."""
    logits = np.asarray(logits, np.float64)
    top = logits.max(axis=1, keepdims=True)
    total = np.log(np.exp(logits - top).sum(axis=1)) + top[:, 0]
    return float(np.mean(total - logits[np.arange(len(targets)), targets]))


def likeliest(step, length):
    """Write text greedily: ``step(id, states)`` returns logits (V,) and states."""
    found, states, last = [], None, 0
    for _ in range(length):
        logits, states = step(last, states)
        last = int(np.argmax(logits))
        found.append(last)
    return found
