"""Small classifiers and transducers of random weights, and examples for them."""

from dataclasses import replace

import numpy as np
from helpers import reference

from charrnn.config import ModelConfig
from charrnn.model.sequences.classifier import Classifier
from charrnn.model.transducer.model import Transducer
from charrnn.text.labelled.examples import Labelled
from charrnn.text.pairs.dataset import Pairs, Side

V, H, LABELS = 6, 4, 3


def classifier(form="lstm", seed=3, dtype="float64", **options):
    config = ModelConfig(
        task="classify", hidden=H, dtype=dtype, **(reference.FORMS[form] | options)
    )
    model = Classifier.fresh(config, V, seed, outputs=LABELS)
    model.weights.flat[...] *= 1.6  # away from the near-linear regime of small weights
    return model


def transducer(form="lstm", seed=4, dtype="float64", **options):
    config = ModelConfig(
        task="transduce", hidden=H, dtype=dtype, **(reference.FORMS[form] | options)
    )
    model = Transducer.fresh(config, V, seed, outputs=5)
    model.weights.flat[...] *= 1.6
    return model


def texts_of(lengths, seed=0):
    rng = np.random.default_rng(seed)
    ids = [rng.integers(0, V, n).astype(np.uint8) for n in lengths]
    labels = rng.integers(0, LABELS, len(lengths)).astype(np.int32)
    return replace(Labelled.unlabelled(ids), labels=labels)


def pairs_of(lengths, symbols, seed=0):
    rng = np.random.default_rng(seed)
    sides = []
    for column in range(2):
        sizes = np.array([each[column] for each in lengths], np.int64)
        ids = rng.integers(0, symbols[column], sizes.sum()).astype(np.uint32)
        sides.append(Side(ids, np.cumsum(sizes) - sizes, sizes))
    return Pairs(*sides)
