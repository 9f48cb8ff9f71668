"""A window in shards is the same window: losses, gradients, dropout and carried states."""

import threading

import numpy as np
import pytest

from charrnn.backend import numpy_backend
from charrnn.backend.threads import MIN_STREAMS, Threads
from charrnn.config import ModelConfig
from charrnn.model.language import LanguageModel
from charrnn.model.shards import Shards, shards

V, T = 7, 5


class Shared(Threads):
    """Divides any number of streams among a given number of threads."""

    def __init__(self, count):
        super().__init__(numpy_backend())
        self.wanted = count

    def shares(self, streams, matrix):
        return self.wanted


def model(cell, **more):
    config = ModelConfig(cell=cell, layers=2, hidden=6, dtype="float64", **more)
    return LanguageModel.fresh(config, V, seed=3)


def gradients(model):
    return model.weights.like(np.full_like(model.weights.flat, np.nan))


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize(
    ("cell", "more"),
    [
        ("lstm", {"dropout": 0.4}),
        ("gru", {"embed": 4}),
        ("gru", {"gru_reset": "before", "dropout": 0.2}),
        ("rnn", {"activation": "relu"}),
    ],
)
def test_three_carried_windows_equal_those_of_one_thread(cell, more, count, rng):
    streams = 8
    whole, divided = model(cell, **more), model(cell, **more)
    window, shards = whole.window(T, streams), Shards(divided, T, streams, Shared(count))
    assert shards.count == count
    expected, found = gradients(whole), gradients(divided)
    kept = np.array([1.0, 0, 1, 1, 1, 0, 1, 1])
    for step in range(3):
        ids, targets = rng.integers(0, V, (2, T, streams)).astype(np.uint8)
        if step == 2:
            window.restart(kept)
            shards.restart(kept)
        key = (9, step)
        masks = whole.stack.masks(T, streams).draw(*key, T)
        loss = whole.loss_and_gradient(window, ids, targets, expected, masks)
        assert shards.loss_and_gradient(ids, targets, found, key) == pytest.approx(loss, rel=1e-14)
        np.testing.assert_allclose(found.flat, expected.flat, rtol=1e-11, atol=1e-15)
        window.carry()
        shards.carry()
        for (name, mine), (other, theirs) in zip(shards.states(), window.states(), strict=True):
            assert name == other
            np.testing.assert_allclose(mine[0], theirs[0], rtol=1e-12, atol=1e-16)
    shards.reset()
    assert not any(array[0].any() for _, array in shards.states())


def test_a_shard_has_a_thread_of_its_own(monkeypatch):
    used = set()
    real = LanguageModel.loss_and_gradient
    together = threading.Barrier(3, timeout=20)

    def noted(self, *arguments, **more):
        together.wait()
        used.add(threading.get_ident())
        return real(self, *arguments, **more)

    monkeypatch.setattr(LanguageModel, "loss_and_gradient", noted)
    lstm = model("lstm")
    ids = np.zeros((T, 6), np.uint8)
    Shards(lstm, T, 6, Shared(3)).loss_and_gradient(ids, ids, gradients(lstm))
    assert len(used) == 3
    assert threading.get_ident() in used


def test_the_same_every_time(rng):
    lstm = model("lstm", dropout=0.1)
    ids, targets = rng.integers(0, V, (2, T, 9)).astype(np.uint8)
    found = []
    for _ in range(5):
        grads = gradients(lstm)
        loss = Shards(lstm, T, 9, Shared(2)).loss_and_gradient(ids, targets, grads, (1, 1))
        found.append((loss, grads.flat.tobytes()))
    assert len(set(found)) == 1


def test_what_goes_wrong_in_a_thread_is_raised(monkeypatch):
    def fail(self, *arguments, **more):
        raise MemoryError("no room")

    lstm = model("lstm")
    shards = Shards(lstm, T, 4, Shared(2))
    monkeypatch.setattr(LanguageModel, "loss_and_gradient", fail)
    ids = np.zeros((T, 4), np.uint8)
    with pytest.raises(MemoryError, match="no room"):
        shards.loss_and_gradient(ids, ids, gradients(lstm))


def test_infinity_in_a_thread_is_no_warning():
    lstm = model("lstm")
    lstm.weights.flat[...] = 1e308
    ids = np.zeros((T, 4), np.uint8)
    loss = Shards(lstm, T, 4, Shared(2)).loss_and_gradient(ids, ids, gradients(lstm))
    assert not np.isfinite(loss)


def test_the_matrix_of_each_step_is_what_counts(monkeypatch):
    threads = Threads(numpy_backend())
    monkeypatch.setattr(Threads, "count", property(lambda self: 2))
    sizes = {"lstm": 627, "gru": 724, "rnn": 1254}
    for cell, hidden in sizes.items():
        for more, count in ((0, 2), (1, 1)):
            config = ModelConfig(cell=cell, hidden=hidden + more)
            assert shards(config, 2 * MIN_STREAMS, threads) == count
    assert shards(ModelConfig(hidden=512, dtype="float64"), 2 * MIN_STREAMS, threads) == 1
