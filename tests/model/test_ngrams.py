"""The n-grams of a classifier: which there are, their logits and gradients."""

import numpy as np
import pytest
from helpers.differences import check

from charrnn.backend import numpy_backend
from charrnn.config import ModelConfig
from charrnn.model.parameters import Parameters
from charrnn.model.sequences import ngrams
from charrnn.model.sequences.classifier import Classifier
from charrnn.model.sequences.ngrams import NGRAMS, Ngrams, add_rows
from charrnn.model.sequences.padding import Padding

LENGTHS = np.array([4, 6, 1, 0, 5])
T, N, LABELS, LONGEST = 6, len(LENGTHS), 3, 3


def named(text):
    """Return the n-grams of a text, each with the last step of it and whether it is at an edge."""
    return {
        (n, last): (*text[last - n + 1 : last + 1], last == n - 1, last == len(text) - 1)
        for n in range(1, LONGEST + 1)
        for last in range(n - 1, len(text))
    }


def weights_of(made, rng):
    weights = Parameters.zeros(made.shapes(), np, np.float64)
    weights.flat[...] = rng.standard_normal(weights.flat.size)
    return weights


def test_each_ngram_has_a_hash_of_its_own_wherever_it_stands(rng):
    ids = rng.integers(0, 3, (T, N)).astype(np.uint8)
    made = Ngrams(LONGEST, 1, numpy_backend())
    found = made.of(ids, Padding(LENGTHS, T, numpy_backend()), np.float64)
    hashes = {}
    for n, length in enumerate(LENGTHS):
        expected = named(ids[:length, n].tolist())
        real = {(k + 1, t) for k, t in np.argwhere(found.factors[:, :, n])}
        assert real == set(expected)
        for (k, t), gram in expected.items():
            assert hashes.setdefault(gram, found.buckets[k - 1, t, n]) == found.buckets[k - 1, t, n]
            assert found.factors[k - 1, t, n] == pytest.approx(0.2)
    assert len(set(hashes.values())) == len(hashes) > 20
    assert 0 <= min(hashes.values()) < max(hashes.values()) < made.buckets


def test_many_labels_share_fewer_hashes():
    sizes = [Ngrams(2, labels, numpy_backend()).shapes()[NGRAMS] for labels in (2, 20, 100, 3000)]
    assert sizes == [(32768, 2), (32768, 20), (8192, 100), (256, 3000)]


def test_logits_are_a_fifth_of_the_sum_of_the_weights_of_the_ngrams(rng):
    ids = rng.integers(0, 4, (T, N))
    made = Ngrams(LONGEST, LABELS, numpy_backend())
    weights = weights_of(made, rng)
    padding = Padding(LENGTHS, T, numpy_backend())
    kept = rng.integers(0, 2, (T, LONGEST, N)) * 2.0
    found = made.of(ids, padding, np.float64, kept)
    logits = found.logits(weights)
    for n, length in enumerate(LENGTHS):
        grams = named(ids[:length, n].tolist())
        rows = [kept[t, k - 1, n] * weights[NGRAMS][found.buckets[k - 1, t, n]] for k, t in grams]
        expected = 0.2 * np.sum(rows, axis=0) if rows else np.zeros(LABELS)
        np.testing.assert_allclose(logits[:, n], expected, rtol=0, atol=1e-13)


def test_the_ngrams_of_a_long_text_count_less():
    made = Ngrams(4, 2, numpy_backend())
    lengths = np.array([150, 400])
    found = made.of(np.zeros((400, 2), np.int64), Padding(lengths, 400, numpy_backend()), float)
    counts = 4 * lengths - 6
    expected = [0.2, 5 / counts[1] ** 0.5]
    np.testing.assert_allclose(found.factors.max(axis=(0, 1)), expected, rtol=1e-12)
    np.testing.assert_array_equal((found.factors > 0).sum(axis=(0, 1)), counts)


def test_rows_are_added_to_their_places(rng):
    rows, places = rng.standard_normal((50, 2)), rng.integers(0, 7, 50)
    out, expected = np.ones((9, 2)), np.ones((9, 2))
    add_rows(np, rows, places, out)
    np.add.at(expected, places, rows)
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-14)
    np.testing.assert_array_equal(out[7:], 1.0)


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_the_gradient_of_their_weights_equals_the_differences(dropout, rng, monkeypatch):
    monkeypatch.setattr(ngrams, "BUCKETS", 16)  # so that n-grams share weights
    shape = {"hidden": 4, "bidirectional": True, "ngrams": LONGEST, "dropout": dropout}
    config = ModelConfig(task="classify", dtype="float64", **shape)
    model = Classifier.fresh(config, 4, 1, outputs=LABELS)
    assert not model.weights[NGRAMS].any()
    model.weights.flat[...] += 0.3 * rng.standard_normal(model.weights.flat.size)
    ids, labels = rng.integers(0, 4, (T, N)), rng.integers(0, LABELS, N)
    masks = model.masks(T, N).draw(3, 0, T)
    padding = Padding(LENGTHS, T, numpy_backend())
    window = model.window(T, N)

    def loss_into(grads):
        return float(model.loss_and_gradient(window, ids, labels, grads, masks, padding=padding))

    found, spare = (model.weights.like(np.full_like(model.weights.flat, np.nan)) for _ in "ab")
    loss_into(found)
    for names in (None, [NGRAMS]):
        check(lambda: loss_into(spare), dict(model.weights), dict(found), rng, names)


def test_a_classifier_with_them_equals_pytorch_on_packed_sequences(rng, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(ngrams, "BUCKETS", 32)  # so that n-grams share weights
    shape = {"hidden": 4, "bidirectional": True, "ngrams": LONGEST, "counts": 0.3}
    model = Classifier.fresh(
        ModelConfig(task="classify", dtype="float64", **shape), 4, 1, outputs=LABELS
    )
    model.weights.flat[...] += 0.3 * rng.standard_normal(model.weights.flat.size)
    lengths = np.array([4, 30, 1, 5])
    steps, streams = 30, len(lengths)
    ids, labels = rng.integers(0, 4, (steps, streams)), rng.integers(0, LABELS, streams)
    padding = Padding(lengths, steps, numpy_backend())
    mine = model.weights.like(np.full_like(model.weights.flat, np.nan))
    loss = model.loss_and_gradient(model.window(steps, streams), ids, labels, mine, padding=padding)

    named = {n: torch.tensor(w, requires_grad=True) for n, w in model.weights.trained.items()}
    lstm = torch.nn.LSTM(4, 4, bidirectional=True).double()
    of_stack = {n: w.detach() for n, w in named.items() if n.startswith("rnn.")}
    zeros = {n: torch.zeros_like(w) for n, w in lstm.state_dict().items() if "bias_hh" in n}
    lstm.load_state_dict(zeros | {n.removeprefix("rnn."): w for n, w in of_stack.items()})
    onehot = torch.nn.functional.one_hot(torch.tensor(ids), 4).double()
    pack = torch.nn.utils.rnn.pack_padded_sequence
    packed, _ = lstm(pack(onehot, torch.tensor(lengths), enforce_sorted=False))
    top, _ = torch.nn.utils.rnn.pad_packed_sequence(packed)
    mean = top.sum(dim=0) / torch.tensor(lengths)[:, None]
    found = model.ngrams.of(ids, padding, np.float64)
    buckets = [found.buckets[:, :n, k].ravel() for k, n in enumerate(lengths)]
    factors = [found.factors[:, :n, k].ravel() for k, n in enumerate(lengths)]
    starts = np.cumsum([0, *map(len, buckets)])[:-1]
    bags = torch.nn.functional.embedding_bag(
        torch.tensor(np.concatenate(buckets)),
        named[NGRAMS],
        torch.tensor(starts),
        per_sample_weights=torch.tensor(np.concatenate(factors)),
        mode="sum",
    )
    logits = mean @ named["decoder.weight"].T + named["decoder.bias"] + bags
    theirs = torch.nn.functional.cross_entropy(logits, torch.tensor(labels))
    theirs.backward()
    assert abs(float(loss) - theirs.item()) <= 1e-10
    wanted = named | {f"rnn.{n}": p for n, p in lstm.named_parameters()}
    for name, gradient in mine.trained.items():
        expected = wanted[name].grad.numpy()
        assert np.abs(gradient - expected).max() <= 1e-8 * np.abs(expected).max(), name
