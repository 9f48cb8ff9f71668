"""Dynamic evaluation: what it computes, and what it must not know."""

import numpy as np
import pytest

import charrnn
from charrnn.backend import numpy_backend
from charrnn.config import ModelConfig
from charrnn.errors import CorpusError, UsageError
from charrnn.evaluate import Dynamic, score, score_dynamically
from charrnn.evaluate.dynamic import scoring as module
from charrnn.model.language import LanguageModel

V = 6


def fresh(cell="lstm", dtype="float64", seed=1, **shape):
    return LanguageModel.fresh(ModelConfig(hidden=7, cell=cell, dtype=dtype, **shape), V, seed)


def text(count, seed=3):
    """A text with a habit: each symbol is mostly followed by the next one."""
    rng = np.random.default_rng(seed)
    steps = np.where(rng.random(count) < 0.8, 1, rng.integers(0, V, count))
    return np.cumsum(steps) % V


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_it_is_its_equations(cell, monkeypatch):
    monkeypatch.setattr(module, "STEPS", 10)
    model, ids, lr, decay = fresh(cell, layers=2, embed=3), text(64), 0.4, 0.1
    weights = model.weights.flat.copy()
    trained, states, nats, squares = weights.copy(), None, 0.0, []
    for start in range(0, 63, 10):
        x, y = ids[start : start + 11][:-1, None], ids[start : start + 11][1:, None]
        copy = LanguageModel(model.config, V, model.backend, weights)
        window, grads = copy.window(10, 1), copy.weights.like(np.empty_like(weights))
        for (_, sequence), before in zip(window.states(), states or [], strict=False):
            sequence[0] = before
        nats += len(x) * copy.loss_and_gradient(window, x, y, grads)
        window.carry()
        states = [sequence[0].copy() for _, sequence in window.states()]
        squares.append(grads.flat @ grads.flat)
        weights = weights - lr * grads.flat / np.sqrt(np.mean(squares))
        weights = weights + decay * (trained - weights)
    found = score_dynamically(model, [ids], Dynamic(lr, decay))
    assert found.nats == pytest.approx(nats, rel=1e-12)
    assert found.chars == 63
    np.testing.assert_array_equal(model.weights.flat, trained)


def test_without_a_rate_to_speak_of_it_is_plain_evaluation():
    model, ids = fresh(), text(700)
    assert score_dynamically(model, [ids], Dynamic(1e-12, 0)).nats == pytest.approx(
        score(model, [ids]).nats, rel=1e-9
    )


def test_what_comes_later_changes_nothing():
    """A window is scored before it is learned from, so a prefix scores the same in any text."""
    model, ids, other = fresh(), text(500), text(500, seed=9)
    cut = 2 * module.STEPS
    seen = []
    for rest in (ids, other):
        parts = []
        whole = np.concatenate([ids[: cut + 1], rest[cut + 1 :]])
        score_dynamically(model, [whole], Dynamic(0.5), progress=parts.append)
        seen.append(score_dynamically(model, [whole[: cut + 1]], Dynamic(0.5)).nats)
        assert parts[:2] == [module.STEPS] * 2
    assert seen[0] == seen[1]
    total = [score_dynamically(model, [ids[: cut + n]], Dynamic(0.5)).nats for n in (1, 2)]
    assert total[1] > total[0]


def test_how_a_text_is_cut_makes_no_difference():
    model, ids = fresh("gru", "float32"), text(1000)
    whole = score_dynamically(model, [ids])
    for pieces in ([1] * 20, [129, 3, 500], [0, 128, 0, 400]):
        chunks = np.split(ids, np.cumsum(pieces))
        assert score_dynamically(model, chunks).nats == whole.nats


def test_a_text_with_habits_is_learned_and_noise_is_not():
    model, noise = fresh(seed=4), np.random.default_rng(5).integers(0, V, 6000)
    ids = text(6000)
    assert score_dynamically(model, [ids]).nats_per_char < score(model, [ids]).nats_per_char - 0.2
    best = np.log(V)
    assert score_dynamically(model, [noise]).nats_per_char > best - 0.01


@pytest.mark.parametrize("symbols", [0, 1])
def test_a_text_that_is_too_short_is_refused(symbols):
    with pytest.raises(CorpusError, match="a score needs at least 2"):
        score_dynamically(fresh(), [np.zeros(symbols, np.int64)])


def test_from_python():
    words = "the cat sat on the mat. " * 30
    model = charrnn.fit(words, hidden=8, batch=2, steps=20, backend=numpy_backend())
    before = model.network.weights.flat.copy()
    plain, learning = model.evaluate(words), model.evaluate(words, dynamic=True)
    assert learning.nats < plain.nats
    assert learning.chars == plain.chars
    assert model.evaluate(words, dynamic=Dynamic(0.5)).nats != learning.nats
    np.testing.assert_array_equal(model.network.weights.flat, before)
    with pytest.raises(UsageError, match="dynamic_lr must be above 0"):
        Dynamic(dynamic_lr=0)
    lines = charrnn.fit(["a\n", "b\n"] * 9, examples="line", hidden=4, steps=2)
    with pytest.raises(UsageError, match="examples"):
        lines.evaluate("a\n", dynamic=True)
