"""The counted n-grams of a classifier: the language models that they are, and what they decide."""

import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from doubles import fake_cupy
from helpers.differences import check

from charrnn.backend import numpy_backend, select
from charrnn.config import ModelConfig, TrainConfig
from charrnn.model.parameters import Parameters
from charrnn.model.sequences import counts, ngrams
from charrnn.model.sequences.classifier import Classifier
from charrnn.model.sequences.counts import CODES, PRIOR, WEIGHTS, Counts
from charrnn.model.sequences.padding import Padding
from charrnn.train.optimizers import OPTIMIZERS
from charrnn.train.update import Update

V, LABELS, SHARE, A = 5, 3, 0.4, counts.SMOOTHING


def side_by_side(texts):
    lengths = np.array([len(text) for text in texts])
    ids = np.full((lengths.max(), len(texts)), V - 1)
    for n, text in enumerate(texts):
        ids[: len(text), n] = text
    return ids, lengths


@pytest.fixture
def texts(rng):
    """Return texts of up to 9 symbols, each label with a taste of its own, and their labels."""
    labels = rng.integers(0, LABELS - 1, 60).astype(np.int32)  # the last label has none
    tastes = rng.dirichlet(np.ones(V), (LABELS, V))
    found = []
    for label in labels:
        text = [int(rng.integers(V))]
        while len(text) < 1 + rng.integers(9):
            text.append(int(rng.choice(V, p=tastes[label, text[-1]])))
        found.append(tuple(text))
    return found, labels


def filled(texts, labels, made=None):
    made = made or Counts(SHARE, LABELS, V, numpy_backend())
    weights = Parameters.zeros(made.shapes(), np, np.float64)
    parts = np.array_split(np.arange(len(texts)), 3)
    made.fill(weights, [(*side_by_side([texts[i] for i in part]), labels[part]) for part in parts])
    return made, weights


def grams(text):
    """Return the n-grams that end at each symbol but the first mark, the longest last."""
    text = ("^", *text, "$")
    return [
        [text[last - n : last + 1] for n in range(min(last + 1, counts.LONGEST))]
        for last in range(1, len(text))
    ]


class Naive:
    """P_c as the equation says, from texts of one label."""

    def __init__(self, texts):
        every = [gram for text in texts for at in grams(text) for gram in at]
        self.seen = Counter(every)
        self.before = Counter(gram[:-1] for gram in every)

    def p(self, gram):
        shorter = self.p(gram[1:]) if len(gram) > 1 else 1 / (V + 1)
        return (self.seen[gram] + A * shorter) / (self.before[gram[:-1]] + A)

    def log_p(self, text):
        return sum(np.log(self.p(at[-1])) for at in grams(text))


def softmax(logits):
    exp = np.exp(logits - logits.max(axis=0))
    return exp / exp.sum(axis=0)


def test_they_decide_by_smoothed_language_models_of_each_label_in_both_directions(texts, rng):
    known, labels = texts
    made, weights = filled(known, labels)
    of = [[t for t, c in zip(known, labels, strict=True) if c == k] for k in range(3)]
    models = [(Naive(each), Naive([text[::-1] for text in each])) for each in of]
    asked = [tuple(rng.integers(0, V, n)) for n in (1, 2, 3, 4, 5, 9, 12)] + known[:9]
    ids, lengths = side_by_side(asked)
    logits = rng.standard_normal((LABELS, len(asked)))
    found = made.mix(logits.copy(), weights, ids, Padding(lengths, len(ids), numpy_backend()))
    prior = np.log((np.bincount(labels, minlength=LABELS) + 1) / (len(labels) + LABELS))
    for n, text in enumerate(asked):
        factor = min(1, 3 / len(text) ** 0.5)
        both = [(one.log_p(text) + other.log_p(text[::-1])) / 2 for one, other in models]
        own = counts.CERTAINTY * (factor * np.array(both) + prior)
        expected = (1 - SHARE) * logits[:, n] + SHARE * own
        np.testing.assert_allclose(softmax(found[:, n]), softmax(expected), rtol=1e-12)


def test_a_batch_gives_what_its_texts_give_one_by_one(texts, rng):
    made, weights = filled(*texts)
    asked = [tuple(rng.integers(0, V, n)) for n in (1, 6, 3)]
    ids, lengths = side_by_side(asked)
    lengths = np.append(lengths, 0)
    ids = np.concatenate((ids, ids[:, :1]), axis=1)
    zeros = np.zeros((LABELS, 4))
    found = made.mix(zeros, weights, ids, Padding(lengths, len(ids), numpy_backend()))
    for n, text in enumerate(asked):
        column = np.array(text)[:, None]
        padding = Padding(lengths[n : n + 1], len(text), numpy_backend())
        alone = made.mix(zeros[:, :1], weights, column, padding)
        np.testing.assert_allclose(found[:, n : n + 1], alone, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found[:, 3], SHARE * weights[PRIOR], rtol=0, atol=1e-15)


def test_a_gpu_decides_as_the_processor_does(texts, rng, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy.create())
    gpu = select("cupy")
    made, weights = filled(*texts)
    there = Parameters(weights.shapes, gpu.put(weights.flat))
    ids, lengths = side_by_side(texts[0][:7])
    logits = rng.standard_normal((LABELS, 7))
    expected = made.mix(logits, weights, ids, Padding(lengths, len(ids), numpy_backend()))
    other, padding = Counts(SHARE, LABELS, V, gpu), Padding(lengths, len(ids), gpu)
    found = gpu.get(other.mix(gpu.put(logits), there, gpu.put(ids), padding))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_the_most_frequent_ngrams_are_kept(texts, monkeypatch):
    _, whole = filled(*texts)
    monkeypatch.setattr(counts, "MOST", 40)
    made, few = filled(*texts)
    assert made.size == 40
    assert not whole[WEIGHTS][whole[CODES] == 1 << 24].any()
    real = few[CODES] < 1 << 24
    assert real.sum() == 40
    assert (np.diff(few[CODES]) >= 0).all()
    rows = np.searchsorted(whole[CODES], few[CODES][real])
    np.testing.assert_allclose(whole[WEIGHTS][rows], few[WEIGHTS][real], rtol=1e-12)
    assert not few[WEIGHTS][~real].any()
    monkeypatch.setattr(counts, "MOST", 1)
    made, none = filled(*texts)
    assert np.isfinite(none.flat).all()


def test_of_ngrams_that_are_as_frequent_the_shorter_are_kept(monkeypatch):
    text = ["^", 0, 1, 2, 3, "$"]
    _, whole = filled([(0, 1, 2, 3)] * 3, np.zeros(3, np.int32))
    monkeypatch.setattr(counts, "MOST", 2 * len(text) - 1)
    _, few = filled([(0, 1, 2, 3)] * 3, np.zeros(3, np.int32))
    ids, lengths = side_by_side([(0, 1, 2, 3)])
    each = counts._grams(ids, lengths, np.zeros(1, np.int32))
    codes = np.concatenate([one.code for one, _ in zip(each, "12", strict=False)])
    np.testing.assert_array_equal(few[CODES], np.sort(-1 - codes))
    assert (whole[CODES] < 0).sum() == len(few[CODES]) + 4 + 3


def test_texts_of_one_symbol_have_no_ngrams_beyond_their_marks():
    _, weights = filled([(0,), (1,), (1,)] * 3, np.array([0, 1, 1] * 3, np.int32))
    assert (weights[CODES] < 1 << 24).sum() == len(
        {"^", "0", "1", "$"} | {"^0", "^1", "0$", "1$"}
    ) + 2


def test_a_table_of_an_earlier_version_is_read_without_marks(texts, rng):
    made = Counts(SHARE, LABELS, V, numpy_backend())
    weights = Parameters.zeros(made.shapes(), np, np.float64)
    ids, lengths = side_by_side(texts[0])
    padding = Padding(lengths, len(ids), numpy_backend())
    found, present = ngrams.codes(ids, padding, counts.LONGEST, numpy_backend())
    code = ngrams.mixed(found, np, 24)
    known = np.unique(code[present])
    weights[CODES][...] = 1 << 24
    weights[CODES][: len(known)] = known
    weights[WEIGHTS][: len(known)] = rng.standard_normal((len(known), LABELS))
    zeros = np.zeros((LABELS, len(lengths)))
    logits = made.mix(zeros, weights, ids, padding)
    weight = dict(zip(known.tolist(), weights[WEIGHTS], strict=False))
    for n, length in enumerate(lengths):
        own = sum(weight[each] for each in code[..., n][present[..., n]].tolist())
        np.testing.assert_allclose(logits[:, n], SHARE * min(1, 3 / length**0.5) * own, rtol=1e-12)


def test_a_label_is_as_likely_as_its_texts_that_are_not_empty_are_frequent(texts):
    known, labels = texts
    made, weights = filled(known, labels)
    shares = (np.bincount(labels, minlength=LABELS) + 1) / (len(labels) + LABELS)
    np.testing.assert_allclose(np.exp(weights[PRIOR] / counts.CERTAINTY), shares, rtol=1e-12)
    assert shares.sum() == pytest.approx(1)
    _, more = filled([*known, (), ()], np.append(labels, np.int32([2, 2])), made)
    np.testing.assert_array_equal(more.flat, weights.flat)


def test_many_labels_have_fewer_ngrams():
    sizes = [Counts(SHARE, labels, V, numpy_backend()).size for labels in (2, 20, 100, 1 << 16)]
    assert sizes == [32768, 32768, 10485, 16]


def classifier(**more):
    config = ModelConfig(
        task="classify", dtype="float64", hidden=4, bidirectional=True, counts=SHARE, **more
    )
    return Classifier.fresh(config, V, 1, outputs=LABELS)


def test_they_have_no_part_in_the_loss_that_is_trained_on(texts, rng):
    model = classifier(ngrams=2)
    made, weights = filled(*texts, model.counts)
    for name, array in weights.items():
        model.weights[name][...] = array
    plain = Classifier(
        replace(model.config, counts=0.0), V, None, model.weights.trained.flat, outputs=LABELS
    )
    ids, lengths = side_by_side(texts[0][:8])
    padding = Padding(lengths, len(ids), numpy_backend())

    def loss_of(model, grads):
        window = model.window(*ids.shape)
        return float(model.loss_and_gradient(window, ids, texts[1][:8], grads, padding=padding))

    found, spare = (model.weights.like(np.full_like(model.weights.flat, np.nan)) for _ in "ab")
    of_plain = plain.weights.like(np.full_like(plain.weights.flat, np.nan))
    assert loss_of(model, found) == loss_of(plain, of_plain)
    np.testing.assert_array_equal(found.trained.flat, of_plain.flat)
    assert not found.flat[of_plain.flat.size :].any()
    check(lambda: loss_of(model, spare), dict(model.weights.trained), dict(found.trained), rng)
    window = model.window(*ids.shape, backward=False)
    alone = plain.log_p(window, ids, padding)
    expected = softmax(made.mix(alone, model.weights, ids, padding))
    np.testing.assert_allclose(np.exp(model.log_p(window, ids, padding)), expected, rtol=1e-12)


@pytest.mark.parametrize("optimizer", OPTIMIZERS.names())
def test_an_update_leaves_them_alone_even_if_weights_decay(optimizer, texts):
    model = classifier()
    _, weights = filled(*texts, model.counts)
    for name, array in weights.items():
        model.weights[name][...] = array
    before = model.weights.flat.copy()
    plan = TrainConfig(optimizer=optimizer, weight_decay=0.1)
    update = Update(model.backend, model.weights, plan)
    update.grads.flat[...] = 1.0
    update.apply(0.1, 1.0, 1)
    trained = model.weights.trained.flat.size
    assert trained < before.size
    assert (model.weights.flat[:trained] != before[:trained]).all()
    np.testing.assert_array_equal(model.weights.flat[trained:], before[trained:])
    assert all(moment.size == trained for moment in update.optimizer.moments.values())
