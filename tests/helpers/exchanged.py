"""Small models of all cells for the tests of exchange, and texts to compare them on."""

from itertools import product

import numpy as np

import charrnn
from charrnn.config import ModelConfig
from charrnn.model.language import LanguageModel
from charrnn.text.symbols.lookup import TOKEN
from charrnn.text.vocabulary import build_vocabulary

TEXT = "zwölf Boxkämpfer jagen Viktor\nquer über den großen Sylter Deich.\n"
TEXTS = {
    "char": TEXT,
    "word": 'Sie 😀 sagte 👩‍👩‍👧: "naïve" 👍🏽 Grüße, 42 × 😀😀 Äpfel… Sie!\n',
    "byte": "Grüße 😀\r\n\0".encode() + bytes(range(200, 256)),
}
"""For each level a text to compare models on."""

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

AT_LEVELS = [(level, case) for level in TEXTS for case in CASES[:: 1 if level == "char" else 4]]
"""All models of characters, and of words and bytes some with every cell."""


def name(case):
    return "-".join(str(value) for value in case.values())


def name_at(value):
    return value if isinstance(value, str) else name(value)


def model(case, dtype="float32", text=TEXT, level="char"):
    """Return a model whose weights, biases too, are random and not small."""
    words = level == "word" and isinstance(text, str)
    parts = [(symbol, 1) for symbol in (TOKEN.findall(text) if words else text)]
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


def first(ours):
    """Return the symbol whose id is 0, as a prime."""
    return ours.vocabulary.decode(np.array([0]))


def likeliest(step, length):
    """Return the ids of what is written greedily: ``step(id, states)`` returns logits (V,), states.

    Compare the text that they stand for: of a text the ids may be others, as two words that are
    written one after the other are read as one.
    """
    found, states, last = [], None, 0
    for _ in range(length):
        logits, states = step(last, states)
        last = int(np.argmax(logits))
        found.append(last)
    return found
