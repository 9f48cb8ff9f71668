"""The compiled core in tests."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.exchanged import CELLS

from charrnn.backend.native import build, library
from charrnn.model.language import LanguageModel
from charrnn.model.shards import Shards

TARGETS = library.runnable(build.FEATURES.get(build.machine(), {}), library.features())
LIBRARIES = "CHARRNN_TEST_LIBRARIES"
"""The environment variable that names a folder of other libraries to test."""

each_cell = pytest.mark.parametrize("cell", CELLS, ids=lambda cell: "-".join(cell.values()))


def opened(target=None, threads=2):
    """Open the library for a target, the best one by default; skip if it was not built."""
    folder = Path(os.environ.get(LIBRARIES, build.FOLDER))
    path = folder / build.file_name(target or (TARGETS or ["none"])[0])
    if not path.is_file():
        if "c" in os.environ.get("CHARRNN_REQUIRE_COMPILERS", "").split():
            pytest.fail(f"{path.name} was not built")
        pytest.skip("the compiled core was not built")
    return library.open_library(path, target or TARGETS[0], threads)


def compute(backend, config, V, T, N, windows=3, fate=None):
    """Return losses, gradients and states of several windows with carried states."""
    weights = LanguageModel.fresh(replace(config, dtype="float64"), V, 1).weights.flat
    model = LanguageModel(config, V, backend, weights.copy())
    if fate is not None:
        model.weights.flat[fate[0]] = fate[1]
    shards, grads = Shards(model, T, N), model.weights.like(np.empty_like(model.weights.flat))
    rng = np.random.default_rng(7)
    losses, gradients = [], []
    for step in range(windows):
        ids, targets = rng.integers(0, V, (2, T, N)).astype(np.uint8)
        key = (5, step) if config.dropout else None
        with np.errstate(all="ignore"):
            losses.append(float(shards.loss_and_gradient(ids, targets, grads, key)))
        gradients.append(grads.flat.copy())
        shards.carry()
    return losses, gradients, [sequence[0].copy() for _, sequence in shards.states()]
