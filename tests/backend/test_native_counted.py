"""Counted n-grams by the compiled core: what NumPy says of them, in windows and in sampling."""

from itertools import product

import numpy as np
import pytest
from helpers.counted import filled, text_of
from helpers.native import TARGETS, opened

from charrnn.backend import numpy_backend
from charrnn.model.counted import lookup
from charrnn.sampling import SampleOptions, ahead, samples
from charrnn.sampling.stepper import Stepper
from charrnn.text import Vocabulary

pytestmark = pytest.mark.usefixtures("however_little")


def read_by(core, V, T, N, grams=3000):
    """Return what is added to logits, and the surprisal of a window that mixes them."""
    rng = np.random.default_rng([V, T, N])
    model = filled(text_of(rng, V, 900), V, numpy_backend(core=core), grams, hidden=7)
    ids, targets = rng.integers(0, V, (2, T, N))
    window, found = model.window(T, N, backward=False), []
    for _ in range(3):
        before = window.sequences["counts.read"][0].copy()
        nats = model.surprisal(window, ids, targets)
        beside = model.counted.beside(model.weights, model.counted.read(before, ids))
        found += [beside.added, nats]
        window.carry()
    return found


@pytest.mark.parametrize("pairs", [0, 1 << 18], ids=["no pairs", "pairs"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 1, 3), (33, 9, 1), (40, 5, 17)], ids=str)
def test_they_equal_the_plain_ones(core, shape, pairs, monkeypatch):
    monkeypatch.setattr(lookup, "PAIRS", pairs)
    for mine, plain in zip(read_by(core, *shape), read_by(None, *shape), strict=True):
        assert mine.dtype == plain.dtype == np.float32
        np.testing.assert_allclose(mine, plain, rtol=5e-7, atol=1e-7)


def test_full_tables_equal_the_plain_ones(core):
    for mine, plain in zip(read_by(core, 9, 6, 4, 50), read_by(None, 9, 6, 4, 50), strict=True):
        np.testing.assert_allclose(mine, plain, rtol=5e-7, atol=1e-7)


def test_bits_of_counted_n_grams_depend_neither_on_threads_nor_on_the_library():
    first = None
    for target, threads in product(TARGETS or ["none"], (1, 3)):
        found = read_by(opened(target, threads), 33, 9, 5)
        first = first or found
        for mine, expected in zip(found, first, strict=True):
            np.testing.assert_array_equal(mine, expected)


@pytest.mark.parametrize("N", (1, 19))
def test_steps_equal_the_plain_ones_and_a_window(core, N):
    rng = np.random.default_rng(N)
    text, ids = text_of(rng, 21, 900), rng.integers(0, 21, (8, N))
    made = [filled(text, 21, numpy_backend(core=c), hidden=9) for c in (core, None)]
    rows = [[stepper.step(row).copy() for row in ids] for stepper in (Stepper(m, N) for m in made)]
    np.testing.assert_allclose(*rows, rtol=1e-4, atol=1e-5)
    model = made[0]
    nats = model.surprisal(model.window(8, N, backward=False), ids, np.roll(ids, -1, axis=0))
    logits = np.array(rows[0]).astype(np.float64)
    hit = np.take_along_axis(logits, np.roll(ids, -1, axis=0)[:, :, None], 2)[..., 0]
    np.testing.assert_allclose(np.log(np.exp(logits).sum(2)) - hit, nats, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("N", (1, 5))
def test_symbols_of_many_steps_equal_those_drawn_one_by_one(core, N, monkeypatch):
    rng = np.random.default_rng(5)
    vocabulary = Vocabulary("char", tuple("abcdefgh"))
    model = filled(text_of(rng, 8, 900), 8, numpy_backend(core=core), hidden=9)

    def drawn():
        how = {"count": N, "length": 70, "seed": 4, "prime": "abba"}
        return [s.text for s in samples(model, vocabulary, SampleOptions(), **how)]

    together = drawn()
    monkeypatch.setattr(ahead, "source", lambda *arguments: None)
    assert drawn() == together


@pytest.mark.parametrize("name", ["high", "low", "begins", "symbol"])
def test_rows_of_forged_tables_equal_the_plain_ones(core, name):
    for wrong in (np.nan, np.inf, -1e30, 1e30):
        found = []
        for each in (core, None):
            rng = np.random.default_rng(1)
            model = filled(text_of(rng, 9, 300), 9, numpy_backend(core=each), hidden=3)
            model.weights[f"counts.{name}"][::3] = wrong
            ids = rng.integers(0, 9, (6, 4))
            with np.errstate(all="ignore"):
                found.append(model.surprisal(model.window(6, 4, backward=False), ids, ids))
        assert np.isfinite(found[0]).sum() == np.isfinite(found[1]).sum()
