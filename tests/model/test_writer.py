"""The writer of a classifier: its loss and gradient, and what it adds to the decision."""

import tracemalloc

import numpy as np
import pytest
from helpers.differences import check
from helpers.native import opened

from charrnn.backend import numpy_backend, select
from charrnn.backend.threads import Threads
from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.model.memory import BASE
from charrnn.model.parameters import Parameters
from charrnn.model.sequences import writer
from charrnn.model.sequences.classifier import Classifier
from charrnn.model.sequences.counts import CERTAINTY, PRIOR
from charrnn.model.sequences.generator import Generator
from charrnn.model.sequences.padding import Padding
from charrnn.model.sequences.reading import log_softmax
from charrnn.model.sequences.writer import EMBED, PREFIX, SHARE, SPAN, both
from charrnn.model.shards import Shards
from charrnn.text.labelled.dataset import table_of
from charrnn.train.recipes.classify import Classification

LENGTHS = np.array([4, 6, 1, 0, 5])
T, N, V, LABELS = 6, len(LENGTHS), 4, 3
SHAPE = {"hidden": 4, "bidirectional": True, "ngrams": 2, "counts": 0.3, "writer": 5}


def made(rng, backend=None, **given):
    config = ModelConfig(**{"task": "classify", "dtype": "float64", **SHAPE, **given})
    model = Classifier.fresh(config, V, 1, backend, outputs=LABELS)
    trained = model.weights.trained.flat
    trained[...] += 0.3 * np.random.default_rng(4).standard_normal(trained.size)
    model.weights[PRIOR][...] = np.log([0.5, 0.3, 0.2])
    return model, rng.integers(0, V, (T, N)), rng.integers(0, LABELS, N)


def alone(model):
    """Return the writer as a generator of its own."""
    config = ModelConfig(task="generate", dtype="float64", hidden=5, embed=EMBED)
    own = {n.removeprefix(PREFIX): a for n, a in model.weights.items() if n.startswith(PREFIX)}
    generator = Generator(config, V + 1, outputs=LABELS)
    assert set(own) == set(generator.weights)
    for name, array in generator.weights.items():
        array[...] = own[name]
    return generator


def nats_of(generator, text, label):
    """Return -ln p(text | label), its end included."""
    targets = np.append(text, V)[:, None]
    inputs = generator.inputs(targets, np.array([label]), V)
    return float(generator.surprisal(generator.window(len(targets), 1), inputs, targets).sum())


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_the_gradient_equals_the_differences(dropout, rng):
    model, ids, labels = made(rng, dropout=dropout)
    masks = model.masks(T, N).draw(3, 0, T)
    padding, window = Padding(LENGTHS, T, numpy_backend()), model.window(T, N)

    def loss_into(grads):
        return float(model.loss_and_gradient(window, ids, labels, grads, masks, padding=padding))

    found, spare = (model.weights.like(np.full_like(model.weights.flat, np.nan)) for _ in "ab")
    loss_into(found)
    trained, of = dict(model.weights.trained), dict(found.trained)
    for names in (None, [name for name in trained if name.startswith(PREFIX)]):
        check(lambda: loss_into(spare), trained, of, rng, names)


def test_the_loss_is_that_of_the_network_and_of_every_text_given_its_label(rng):
    model, ids, labels = made(rng)
    padding = Padding(LENGTHS, T, numpy_backend())
    losses = []
    for each in (model, made(rng, writer=0)[0]):
        for name in each.weights:
            each.weights[name][...] = model.weights[name]
        spare = each.weights.like(np.empty_like(each.weights.flat))
        losses.append(
            float(each.loss_and_gradient(each.window(T, N), ids, labels, spare, padding=padding))
        )
    texts = [(ids[:length, n], labels[n]) for n, length in enumerate(LENGTHS) if length]
    nats = sum(nats_of(alone(model), text, label) for text, label in texts)
    assert losses[0] - losses[1] == pytest.approx(nats / (SPAN * len(texts)), rel=1e-12)


@pytest.mark.parametrize("read", [2, 5])
def test_the_decision_is_the_one_defined_and_the_same_in_a_batch_and_alone(read, rng, monkeypatch):
    monkeypatch.setattr(writer, "READ", read)
    model, ids, _ = made(rng)
    padding = Padding(LENGTHS, T, numpy_backend())
    found = model.log_p(model.window(T, N, backward=False), ids, padding)
    before = made(rng, writer=0)[0]
    for name in before.weights:
        before.weights[name][...] = model.weights[name]
    generator, prior = alone(model), model.weights[PRIOR] / CERTAINTY
    for n, length in enumerate(LENGTHS):
        if not length:
            continue
        text, own = ids[:length, n], Padding(LENGTHS[n : n + 1], length, numpy_backend())
        z = before.log_p(before.window(length, 1, backward=False), text[:, None], own)[:, 0]
        likely = np.argsort(-z)[:read]
        factor = min(1, 3 / np.sqrt(length))
        given = {c: -factor * nats_of(generator, text, c) + prior[c] for c in likely}
        all_given = np.array([given.get(c, min(given.values())) for c in range(LABELS)])
        expected = log_softmax((1 - SHARE) * z + SHARE * all_given, axis=0)
        np.testing.assert_allclose(found[:, n], expected, rtol=1e-12)
        single = model.log_p(model.window(length, 1, backward=False), text[:, None], own)
        np.testing.assert_allclose(single[:, 0], found[:, n], rtol=1e-12)


def test_the_compiled_core_computes_the_same(rng):
    results = []
    for backend, dtype in ((numpy_backend(core=opened()), "float32"), (numpy_backend(), "float64")):
        model, ids, labels = made(np.random.default_rng(2), backend, dtype=dtype)
        padding = Padding(LENGTHS, T, backend)
        grads = model.weights.like(np.empty_like(model.weights.flat))
        model.loss_and_gradient(model.window(T, N), ids, labels, grads, padding=padding)
        log_p = model.log_p(model.window(T, N, backward=False), ids, padding)
        results.append((model.core, log_p, grads.flat))
    assert results[0][0]
    assert not results[1][0]
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-5)
    wrong = np.linalg.norm(results[0][2] - results[1][2])
    assert wrong <= 1e-6 * np.linalg.norm(results[1][2])


def test_what_is_replaced_for_the_network_is_written_as_it_was(rng):
    model, written, labels = made(rng)
    read = (written + 1) % V
    padding, grads = Padding(LENGTHS, T, numpy_backend()), []
    for ids in (read, written, both(read.astype(np.uint8), written.astype(np.uint8), V)):
        grads.append(model.weights.like(np.empty_like(model.weights.flat)))
        window = model.window(T, N)
        model.loss_and_gradient(window, ids, labels, grads[-1], padding=padding)
    for name in model.weights.trained:
        expected = grads[1 if name.startswith(PREFIX) else 0]
        np.testing.assert_array_equal(grads[2][name], expected[name])
    assert not np.array_equal(grads[0].flat, grads[1].flat)


def test_shards_give_the_gradient_of_one_window(rng, monkeypatch):
    model, ids, labels = made(rng, dropout=0.3)
    padding, found = Padding(LENGTHS, T, model.backend), []
    for count in (1, 3):
        monkeypatch.setattr("charrnn.model.shards.shards", lambda *_, count=count: count)
        grads = model.weights.like(np.full_like(model.weights.flat, np.nan))
        shards = Shards(model, T, N, Threads(model.backend))
        loss = shards.loss_and_gradient(ids, labels, grads, (1, 2), padding=padding, symbols=4)
        found.append((float(loss), grads.flat))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-13)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-11, atol=1e-14)


def test_the_network_learns_as_it_would_alone(rng):
    model, ids, labels = made(rng, dropout=0.3)
    other = made(rng, dropout=0.3, writer=0)[0]
    padding, grads = Padding(LENGTHS, T, numpy_backend()), []
    for each in (model, other):
        for name in other.weights:
            each.weights[name][...] = model.weights[name]
        own = Parameters(each.shapes(), np.empty_like(each.weights.flat))
        masks = each.masks(T, N).draw(3, 0, T)
        each.loss_and_gradient(each.window(T, N), ids, labels, own, masks, padding=padding)
        grads.append(own)
    for name in other.weights.trained:
        np.testing.assert_array_equal(grads[0][name], grads[1][name])


@pytest.mark.parametrize(("longest", "labels"), [(12, 8), (90, 2)])
def test_the_memory_that_it_needs_is_counted(longest, labels, rng):
    sizes = rng.integers(2, longest, 400)
    pairs = [("".join(rng.choice(list("abcdefgh"), n)), f"l{n % labels}") for n in sizes]
    table = table_of(pairs, DataConfig(val_frac=0.2), 0)
    shape = {"hidden": 8, "ngrams": 2, "counts": 0.3, "writer": 96, "dropout": 0.5}
    config, plan = ModelConfig(task="classify", **shape), TrainConfig(batch=32, steps=5)
    recipe = Classification()
    needed = recipe.estimate(config, table, plan, numpy_backend()).total - BASE
    tracemalloc.start()
    try:
        model = recipe.fresh(config, table, 0, numpy_backend())
        tracemalloc.reset_peak()
        loop, _ = recipe.loop(model, table, plan)
        for _ in range(12):
            loop.step()
        loop.task.evaluate(lambda: False)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 0.6 * needed < peak < needed


def test_the_device_gives_the_same(device):
    found = []
    for backend in (numpy_backend(), select("cupy")):
        host, ids, labels = made(np.random.default_rng(2), dropout=0.3)
        model = Classifier(host.config, V, backend, host.weights.flat.copy(), outputs=LABELS)
        padding, masks = Padding(LENGTHS, T, backend), model.masks(T, N).draw(3, 0, T)
        grads = model.weights.like(backend.xp.empty_like(model.weights.flat))
        here = backend.put(both(ids, (ids + 1) % V, V)), backend.put(labels)
        model.loss_and_gradient(model.window(T, N), *here, grads, masks, padding=padding)
        log_p = model.log_p(model.window(T, N, backward=False), backend.put(ids), padding)
        found.append((backend.get(grads.flat), log_p))
    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(theirs, mine, rtol=1e-12, atol=1e-15)
