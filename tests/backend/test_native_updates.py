"""The compiled optimizers see each number that they write: training asks them, and nobody else."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.native import opened

from charrnn.backend import numpy_backend
from charrnn.config import TrainConfig
from charrnn.model.parameters import Parameters
from charrnn.train import optimizers

P = 1000  # more than a vector for each of three threads, and a remainder


@pytest.fixture
def core(monkeypatch):
    monkeypatch.setattr("charrnn.backend.native.core.SMALL", 1e-3)
    return opened(threads=3)


def update(backend, name, broken=None, dtype="float32"):
    """Update weights once, some array broken at an index; return the optimizer and what it left."""
    rng = np.random.default_rng(1)
    w, g = (
        Parameters({"a": (40, 20), "b": (P - 800,)}, rng.normal(size=P).astype(dtype))
        for _ in range(2)
    )
    optimizer = optimizers.create(replace(TrainConfig(), optimizer=name), backend, w)
    arrays = {"w": w.flat, "g": g.flat, **optimizer.moments}
    if broken:
        where, index, value = broken
        arrays[where][index] = value
    with np.errstate(all="ignore"):
        optimizer.apply(w, g, 0.01, np.float32(0.5), 1)
    return optimizer, (w.flat, *optimizer.moments.values())


@pytest.mark.parametrize("name", optimizers.OPTIMIZERS.names())
def test_a_compiled_optimizer_tells_whether_all_is_finite(core, name):
    backend, told = numpy_backend(core=core), set()
    sound, left = update(backend, name)
    assert sound.finite is True
    for where in ("w", "g", *sound.moments):
        for index in (0, 15, 399, 800, P - 1):
            for value in (np.nan, np.inf, -np.inf, 3e38):
                optimizer, left = update(backend, name, (where, index, value))
                finite = all(np.isfinite(array).all() for array in left)
                assert optimizer.finite is finite or (abs(value) == 3e38 and finite)
                told.add(optimizer.finite)
    assert told == {True, False}


@pytest.mark.parametrize("name", optimizers.OPTIMIZERS.names())
def test_where_nothing_is_compiled_nobody_looks(core, name):
    assert update(numpy_backend(), name)[0].finite is None
    assert update(numpy_backend(core=core), name, dtype="float64")[0].finite is None
