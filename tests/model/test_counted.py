"""Counted n-grams beside a language model: what they say, and what is mixed with what."""

import numpy as np
import pytest
from helpers.counted import Naive, filled, text_of

from charrnn.backend import select
from charrnn.config import ModelConfig
from charrnn.evaluate import score
from charrnn.model.counted import counting, lookup
from charrnn.model.language import LanguageModel
from charrnn.sampling import SampleOptions, samples
from charrnn.sampling.stepper import Stepper
from charrnn.text import Vocabulary

V, SHARE = 6, 0.45


def q_of(model, ids):
    """Return q after each of the symbols of one stream that begins with them, (T, V)."""
    before = model.window(1, 1, backward=False).sequences["counts.read"][0]
    beside = model.counted.beside(model.weights, model.counted.read(before, ids[:, None]))
    share = float(model.weights["counts.share"][0])
    assert share == pytest.approx(SHARE)
    assert beside.kept == 1 - share
    return np.exp(beside.added[:, 0].astype(np.float64) / share)


@pytest.mark.parametrize("pairs", [0, 1 << 18], ids=["no pairs", "pairs"])
def test_they_are_a_smoothed_language_model(rng, monkeypatch, pairs):
    monkeypatch.setattr(lookup, "PAIRS", pairs)
    ids, asked = text_of(rng, V, 300), text_of(rng, V, 40)
    ids[ids == 3] = 2  # 3 is a symbol that the text does not have
    model = filled(ids, V, dtype="float64")
    naive = Naive(ids, V)
    for text in (asked, ids[:40]):
        found = q_of(model, text)
        expected = [[naive.q(x, text[: t + 1]) for x in range(V)] for t in range(len(text))]
        np.testing.assert_allclose(found, expected, rtol=1e-6)  # tables are for float32, too
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-9)


@pytest.mark.parametrize("longest", [3, 12], ids=["short", "long"])
def test_examples_are_counted_each_by_itself_from_its_beginning(rng, longest):
    """The start is a symbol that also occurs within examples."""
    start, sizes = 2, rng.integers(1, longest, 60)
    examples = [np.append(text_of(rng, V, size)[:size], start) for size in sizes]
    model = LanguageModel.fresh(ModelConfig(grams=4000, dtype="float64"), V, 3)
    lengths = [len(example) for example in examples]
    model.counted.fill_with_examples(model.weights, np.concatenate(examples), lengths, start)
    texts = [np.append(start, example) for example in examples]
    naive = Naive(texts, V, start)
    for text in [*texts[:9], np.append(start, text_of(rng, V, 9))]:
        found = q_of(model, text)
        expected = [[naive.q(x, text[: t + 1]) for x in range(V)] for t in range(len(text))]
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_of_many_examples_parts_are_counted(monkeypatch, rng):
    monkeypatch.setattr(counting, "SYMBOLS", 64)
    ids = np.arange(1000) % 7
    ids[9::10] = 8
    found, ends = counting.some_examples(ids, np.full(100, 10), 8)
    assert len(found) == 65
    assert found[0] == 8
    np.testing.assert_array_equal(ends, np.flatnonzero(found == 8))


def test_where_there_is_no_room_the_most_frequent_are_kept(rng):
    ids = text_of(rng, V, 2000)
    every = counting.grams(ids, V)
    times = np.concatenate([each.times for each in every])
    for most in (1, 5, 100, 1000):
        table = counting.table(ids, V, most, most // 2 + 1)
        assert len(table.symbols) <= most
        assert len(table.keys) <= most // 2 + 1
        found = q_of(filled(ids, V, grams=most), ids[:50])
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    kept = counting._most_frequent(every, 100, 1 << 20)
    chosen = np.concatenate(kept)
    assert chosen.sum() == 100
    assert times[chosen].min() >= times[~chosen].max()


def test_contexts_of_different_lengths_are_told_apart():
    """In a text that repeats nothing there are fewer n-grams of each length than of the last."""
    ids = np.array([1, 5, 2, 3, 4, 0])
    for most in range(1, 30):
        model = filled(ids, V, grams=most)
        table = counting.table(ids, V, most, most // 2)
        assert len(table.keys) <= most // 2
        assert np.all(np.diff([*table.begins, len(table.symbols)]) > 0)
        np.testing.assert_allclose(q_of(model, ids).sum(axis=1), 1, rtol=1e-5)


def test_more_of_them_predict_better(rng):
    ids, other = np.split(text_of(rng, V, 6000), [5000])

    def nats(grams):
        q = q_of(filled(ids, V, grams=grams), other[:-1])
        return -np.log(q[np.arange(len(q)), other[1:]]).mean()

    losses = [nats(grams) for grams in (3, 30, 300, 3000)]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] - losses[-1] > 0.3


def test_a_long_text_is_counted_in_pieces_of_all_of_it(monkeypatch):
    monkeypatch.setattr(counting, "SYMBOLS", 64)
    ids = np.arange(1000)
    found = counting.some(ids)
    assert len(found) == 64
    assert (found[0], found[-1]) == (0, 999)
    assert np.all(np.diff(found) > 0)
    np.testing.assert_array_equal(counting.some(ids[:64]), ids[:64])


@pytest.mark.parametrize("ids", [[], [0], [0, 1], [1] * 9], ids=str)
def test_hardly_any_text_is_no_error(ids):
    model = filled(np.array(ids, np.int64), V, grams=7)
    found = q_of(model, np.array([1, 1, 0, 2]))
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
    if ids == [1] * 9:
        assert found[0].argmax() == 1


def mixed(model, logits, q):
    """Return the probabilities that the equation gives."""
    p = np.exp((1 - SHARE) * logits) * q**SHARE
    return p / p.sum(axis=-1, keepdims=True)


def test_the_probabilities_are_those_of_network_and_counts_mixed(rng):
    ids, asked = text_of(rng, V, 500), text_of(rng, V, 30)
    model = filled(ids, V, hidden=5, dtype="float64")
    alone = model.alone()
    top = alone.forward(alone.window(30, 1, backward=False), asked[:-1, None])
    logits = alone.head.logits(alone.weights, top)[:, :, 0]
    p = mixed(model, logits, q_of(model, asked[:-1]))
    nats = -np.log(p[np.arange(29), asked[1:]])
    assert score(model, [asked]).nats == pytest.approx(nats.sum(), rel=1e-6)
    assert score(alone, [asked]).nats != pytest.approx(nats.sum(), rel=1e-3)
    for steps in (1, 4, 7):
        part = score(model, [asked[:11], asked[11:]], steps=steps)
        assert part.nats == pytest.approx(nats.sum(), rel=1e-6)


@pytest.mark.parametrize(("symbols", "ids_of"), [(256, np.uint8), (1 << 16, np.uint16)])
def test_the_last_symbol_of_a_full_alphabet_is_read_as_any_other(rng, symbols, ids_of):
    """Its number plus 1 does not fit into the type of the ids."""
    ids = np.tile([symbols - 1, 3, symbols - 1, 3, 1], 30)
    model = filled(ids, symbols, hidden=2, embed=2)
    short = ids[:20].astype(ids_of)
    windows = [model.window(20, 1, backward=False) for _ in range(2)]
    found = model.surprisal(windows[0], short[:-1, None], short[1:, None])
    wide = ids[:20, None]
    np.testing.assert_array_equal(found, model.surprisal(windows[1], wide[:-1], wide[1:]))
    after = found[4::5]  # the symbol after the last one of the alphabet
    assert after.mean() < 0.7 * np.log(symbols)


def test_streams_beside_each_other_are_as_alone_and_a_reset_forgets(rng):
    ids, asked = text_of(rng, V, 500), text_of(rng, V, 24).reshape(8, 3)
    model = filled(ids, V, hidden=5)

    def nats(columns, reset):
        window = model.window(4, columns.shape[1], backward=False)
        found = []
        for start in (0, 4):
            part = columns[start : start + 4]
            found.append(model.surprisal(window, part, np.roll(part, -1, axis=0)))
            window.carry()
            window.start(reset, model.backend)
        return np.concatenate(found)

    together = nats(asked, np.array([False, True, False]))
    for n, reset in enumerate((False, True, False)):
        alone = nats(asked[:, n : n + 1], np.array([reset]))
        np.testing.assert_allclose(together[:, n], alone[:, 0], rtol=1e-5)
    fresh = model.window(4, 1, backward=False)
    again = model.surprisal(fresh, asked[4:, 1:2], np.roll(asked[4:, 1:2], -1, axis=0))
    np.testing.assert_allclose(together[4:, 1], again[:, 0], rtol=1e-5)


def test_a_stepper_predicts_as_a_window_does_and_goes_back(rng):
    ids, asked = text_of(rng, V, 500), text_of(rng, V, 12)
    model = filled(ids, V, hidden=5)
    stepper = Stepper(model, 2)
    stepper.start(asked[:6])
    kept = stepper.state(0)
    rows = [stepper.step(np.array([x, V - 1 - x]))[0].copy() for x in asked[5:11]]
    nats = [np.log(np.exp(row).sum()) - row[x] for row, x in zip(rows, asked[6:], strict=True)]
    expected = score(model, [asked]).nats - score(model, [asked[:6]]).nats
    assert sum(nats) == pytest.approx(expected, rel=1e-5)
    stepper.restore(1, kept)
    np.testing.assert_allclose(stepper.step(np.array([0, asked[5]]))[1], rows[0], rtol=1e-5)
    stepper.follow(np.array([1, 1]))
    both = stepper.step(np.array([asked[6]] * 2))
    np.testing.assert_allclose(both, [rows[1]] * 2, rtol=1e-5)


def test_the_network_learns_as_if_it_stood_alone(rng):
    ids, targets = rng.integers(0, V, (2, 5, 3))
    model = filled(text_of(rng, V, 200), V, hidden=5)
    plain = LanguageModel.fresh(ModelConfig(hidden=5), V, 3)
    found = []
    for each in (model, model.alone(), plain):
        grads = each.weights.trained.like(np.empty_like(each.weights.trained.flat))
        loss = each.loss_and_gradient(each.window(5, 3), ids, targets, grads)
        found.append((float(loss), grads.flat))
    for loss, gradient in found[1:]:
        assert loss == found[0][0]
        np.testing.assert_array_equal(gradient, found[0][1])
    assert model.alone().config == plain.config
    assert plain.alone() is plain


def test_a_model_that_has_counted_nothing_flattens_its_own_distribution(rng):
    asked = text_of(rng, V, 20)
    model = LanguageModel.fresh(ModelConfig(hidden=5, grams=40, dtype="float64"), V, 3)
    np.testing.assert_allclose(q_of(model, asked), 1 / V, rtol=1e-6)


def test_a_gpu_says_the_same(rng, device):
    ids, asked = text_of(rng, V, 500), text_of(rng, V, 30)
    on = [filled(ids, V, select(name, core="numpy"), hidden=5) for name in ("numpy", "cupy")]
    scores = [score(model, [asked]).nats for model in on]
    assert scores[0] == pytest.approx(scores[1], rel=1e-6)
    vocabulary = Vocabulary("char", tuple("abcdef"))
    options = SampleOptions(temperature=1.3)
    drawn = [[s.text for s in samples(m, vocabulary, options, count=3, length=40)] for m in on]
    assert drawn[0] == drawn[1]
