"""Dynamic evaluation: what it computes, and what it must not know."""

import numpy as np
import pytest

import charrnn
from charrnn.backend import numpy_backend
from charrnn.backend.native.library import open_core
from charrnn.config import ModelConfig
from charrnn.errors import BackendError, CorpusError, UsageError
from charrnn.evaluate import Dynamic, score, score_dynamically
from charrnn.evaluate.dynamic import learner as module
from charrnn.evaluate.dynamic.scoring import learned_surprisals
from charrnn.model.language import LanguageModel
from charrnn.text.tally import Tally

V = 6


def fresh(cell="lstm", dtype="float64", seed=1, **shape):
    config = ModelConfig(cell=cell, dtype=dtype, **{"hidden": 7, **shape})
    return LanguageModel.fresh(config, V, seed)


def text(count, seed=3):
    """A text with a habit: each symbol is mostly followed by the next one."""
    rng = np.random.default_rng(seed)
    steps = np.where(rng.random(count) < 0.8, 1, rng.integers(0, V, count))
    return np.cumsum(steps) % V


def learned(model, ids, lr, decay, window, pieces):
    """Score by the equations, written naively; ``pieces`` are the begins and ends of those learned.

    Each piece is read by itself, from the state before it.
    """
    weights = model.weights.flat.copy()
    trained, states, squares, nats = weights.copy(), None, [], []
    for start in range(0, len(ids) - 1, window):
        x, y = ids[start : start + window + 1][:-1, None], ids[start : start + window + 1][1:, None]
        copy = LanguageModel(model.config, V, model.backend, weights)
        whole = copy.window(window, 1)
        for (_, sequence), before in zip(whole.states(), states or [], strict=False):
            sequence[0] = before
        nats.extend(copy.surprisal(whole, x, y)[:, 0])
        if len(x) < window:
            break
        gradients = []
        for first, last in pieces:
            piece, grads = copy.window(window, 1), copy.weights.like(np.empty_like(weights))
            for (_, sequence), (_, read) in zip(piece.states(), whole.states(), strict=True):
                sequence[0] = read[first]
            copy.loss_and_gradient(piece, x[first:last], y[first:last], grads)
            gradients.append(grads.flat)
        whole.carry()
        states = [sequence[0].copy() for _, sequence in whole.states()]
        gradient = np.mean(gradients, axis=0)
        squares.append(gradient**2)
        mean = np.mean(squares, axis=0)
        step = gradient / (np.sqrt(mean) + module.FLOOR * np.sqrt(mean.mean()))
        weights = weights - lr * step + decay * (trained - weights)
    return np.array(nats)


@pytest.mark.parametrize(
    ("shape", "window", "pieces"),
    [
        ({"cell": "lstm", "layers": 2, "embed": 3}, 10, [(0, 5), (5, 10)]),
        ({"cell": "gru"}, 9, [(0, 4), (4, 8)]),
        ({"cell": "rnn"}, 3, [(0, 3)]),
        ({"cell": "rnn", "hidden": 2}, 24, [(8, 12), (20, 24)]),  # a head of 12, 4 recurrent
    ],
)
def test_it_is_its_equations(shape, window, pieces, monkeypatch):
    monkeypatch.setattr(module, "PIECE", 4)
    model, ids, lr, decay = fresh(**shape), text(64), 0.05, 0.1
    trained = model.weights.flat.copy()
    found = score_dynamically(model, [ids], Dynamic(lr, decay, window))
    expected = learned(model, ids, lr, decay, window, pieces)
    assert found.nats == pytest.approx(expected.sum(), rel=1e-12)
    assert abs(found.nats - score(model, [ids]).nats) > 1e-3
    assert found.chars == 63
    np.testing.assert_array_equal(model.weights.flat, trained)


def test_without_a_rate_to_speak_of_it_is_plain_evaluation():
    model, ids = fresh(), text(700)
    assert score_dynamically(model, [ids], Dynamic(1e-12, 0)).nats == pytest.approx(
        score(model, [ids]).nats, rel=1e-9
    )


def surprisals(model, ids, how):
    return np.concatenate([nats for _, nats in learned_surprisals(model, [ids], how, Tally())])


@pytest.mark.parametrize("symbol", [1, 255, 256, 257, 511, 512, 600])
def test_what_comes_later_changes_nothing(symbol):
    """The surprisals up to a symbol are the same bit for bit, whatever follows it."""
    model, ids, how = fresh(), text(700), Dynamic(0.05)
    other = np.concatenate([ids[: symbol + 1], text(700, seed=9)[symbol + 1 :]])
    first, second = surprisals(model, ids, how), surprisals(model, other, how)
    np.testing.assert_array_equal(first[:symbol], second[:symbol])
    assert (first[symbol:] != second[symbol:]).any()


def test_how_a_text_is_cut_makes_no_difference():
    model, ids = fresh("gru", "float32"), text(1000)
    whole = score_dynamically(model, [ids])
    for pieces in ([1] * 20, [257, 3, 500], [0, 256, 0, 400]):
        chunks = np.split(ids, np.cumsum(pieces))
        assert score_dynamically(model, chunks).nats == whole.nats


def test_a_text_of_one_window_is_scored_as_without():
    model, ids = fresh(dtype="float32"), text(257)
    assert score_dynamically(model, [ids]).nats == score(model, [ids]).nats


@pytest.mark.parametrize("shape", [{"hidden": 24}, {"hidden": 8, "embed": 5, "cell": "gru"}])
def test_the_compiled_core_agrees_with_any_number_of_threads(shape, monkeypatch):
    monkeypatch.setattr("charrnn.backend.native.core.SMALL", 1e-3)
    config, ids, found = ModelConfig(**shape), text(1500), []
    weights = LanguageModel.fresh(config, V, 1).weights.flat
    for threads in (1, 2):
        try:
            backend = numpy_backend(core=open_core(threads))
        except BackendError as problem:
            pytest.skip(problem.message)
        found.append(score_dynamically(LanguageModel(config, V, backend, weights), [ids]).nats)
    plain = score_dynamically(LanguageModel(config, V, numpy_backend(), weights), [ids]).nats
    assert found == [found[0]] * 2
    assert found[0] == pytest.approx(plain, rel=1e-4)


def test_a_text_with_habits_is_learned_and_noise_is_not():
    model, noise = fresh(seed=4), np.random.default_rng(5).integers(0, V, 6000)
    ids = text(6000)
    learned = score_dynamically(model, [ids], Dynamic(0.05)).nats_per_char
    assert learned < score(model, [ids]).nats_per_char - 0.2
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
    with pytest.raises(UsageError, match="dynamic must be True or False, not 3"):
        model.evaluate(words, dynamic=3)
    with pytest.raises(UsageError, match="dynamic_lr must be above 0"):
        Dynamic(dynamic_lr=0)
    lines = charrnn.fit(["a\n", "b\n"] * 9, examples="line", hidden=4, steps=2)
    with pytest.raises(UsageError, match="examples"):
        lines.evaluate("a\n", dynamic=True)
