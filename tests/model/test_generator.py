"""Generators: language models whose text depends on a label."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import reference
from helpers.differences import check

from charrnn.backend import numpy_backend, select
from charrnn.backend.threads import Threads
from charrnn.config import ModelConfig
from charrnn.model.language import LanguageModel
from charrnn.model.networks import NETWORKS
from charrnn.model.parameters import Parameters
from charrnn.model.sequences.generator import LABELS, WIDTH, Generator
from charrnn.model.sequences.padding import Padding
from charrnn.model.shards import Shards

T, V, H, LAYERS, KINDS = 7, 5, 4, 2, 3
LENGTHS = np.array([4, 7, 1, 0, 5])
N = len(LENGTHS)
forms = pytest.mark.parametrize("form", reference.FORMS)
embeds = pytest.mark.parametrize("embed", [0, 3])
some = pytest.mark.parametrize(("form", "embed"), [*((f, 3) for f in reference.FORMS), ("lstm", 0)])


def config_of(form="lstm", **more):
    own = {"layers": LAYERS, "hidden": H, "dtype": "float64", "task": "generate"}
    return ModelConfig(**own | reference.FORMS[form] | more)


def generator_of(rng, form="lstm", backend=None, **more):
    model = Generator.fresh(config_of(form, **more), V, 1, backend, outputs=KINDS)
    model.weights.flat[...] += 0.3 * rng.standard_normal(model.weights.flat.size)
    return model


def texts_of(rng, model):
    """Return the inputs, targets and labels of texts side by side."""
    targets, labels = rng.integers(0, V, (T, N)), rng.integers(0, KINDS, N)
    return model.inputs(targets, labels, V - 1), targets, labels


def loss_of(model, ids, targets, lengths, masks=None, put=lambda array: array):
    window = model.window(*ids.shape)
    xp, dtype = model.backend.xp, model.weights.flat.dtype
    grads = Parameters(model.shapes(), xp.full(model.weights.flat.size, np.nan, dtype))
    padding = Padding(lengths, len(ids), model.backend)
    loss = model.loss_and_gradient(window, put(ids), put(targets), grads, masks, padding=padding)
    return float(model.backend.get(loss)), grads


@pytest.mark.parametrize("more", [{}, {"embed": 3, "dropout": 0.4}])
@forms
def test_every_gradient_equals_the_differences(form, more, rng):
    model = generator_of(rng, form, **more)
    ids, targets, _ = texts_of(rng, model)
    masks = model.masks(T, N).draw(3, 0, T)
    _, grads = loss_of(model, ids, targets, LENGTHS, masks)
    for name in model.weights:
        check(
            lambda: loss_of(model, ids, targets, LENGTHS, masks)[0],
            dict(model.weights),
            dict(grads),
            rng,
            [name],
        )
    assert np.abs(grads[LABELS]).max() > 1e-4


@some
def test_a_batch_with_padding_gives_what_its_texts_give_one_by_one(form, embed, rng):
    model = generator_of(rng, form, embed=embed)
    ids, targets, _ = texts_of(rng, model)
    loss, grads = loss_of(model, ids, targets, LENGTHS)
    nats = model.surprisal(model.window(T, N, backward=False), ids, targets)
    total, expected = 0.0, np.zeros(model.weights.flat.size)
    for n in np.flatnonzero(LENGTHS):
        length = LENGTHS[n]
        one = (slice(0, length), slice(n, n + 1))
        alone, gradient = loss_of(model, ids[one], targets[one], LENGTHS[n : n + 1])
        total, expected = total + alone * length, expected + gradient.flat * length
        each = model.surprisal(model.window(length, 1, backward=False), ids[one], targets[one])
        np.testing.assert_allclose(nats[one], each, rtol=0, atol=1e-12)
    assert loss == pytest.approx(total / LENGTHS.sum(), abs=1e-12)
    np.testing.assert_allclose(grads.flat, expected / LENGTHS.sum(), rtol=1e-12, atol=1e-12)


@embeds
@pytest.mark.parametrize("form", ["lstm", "gru-after", "rnn-tanh"])
def test_it_equals_pytorch(form, embed, rng):
    torch = pytest.importorskip("torch")
    model = generator_of(rng, form, embed=embed)
    ids, targets, labels = texts_of(rng, model)
    kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[model.config.cell]
    peers = torch.nn.ModuleDict(
        {
            "label_embedding": torch.nn.Embedding(KINDS, WIDTH),
            **({"embedding": torch.nn.Embedding(V, embed)} if embed else {}),
            "rnn": kind((embed or V) + WIDTH, H, LAYERS),
            "decoder": torch.nn.Linear(H, V),
        }
    ).double()
    second = {n.replace("bias_ih", "bias_hh"): a for n, a in model.weights.items()}
    zeros = {
        n: torch.zeros(a.shape, dtype=torch.double) for n, a in second.items() if "bias_hh" in n
    }
    named = {n: torch.tensor(a) for n, a in model.weights.items()}
    peers.load_state_dict(zeros | named, strict=True)
    read = torch.tensor(ids % V)
    x = peers["embedding"](read) if embed else torch.nn.functional.one_hot(read, V).double()
    condition = peers["label_embedding"](torch.tensor(labels)).expand(T, -1, -1)
    x = torch.cat([x, condition], dim=2)
    logits = peers["decoder"](peers["rnn"](x)[0])
    real = torch.tensor(np.arange(T)[:, None] < LENGTHS)
    wanted = torch.nn.functional.cross_entropy(logits[real], torch.tensor(targets)[real])
    wanted.backward()
    loss, grads = loss_of(model, ids, targets, LENGTHS)
    assert loss == pytest.approx(wanted.item(), rel=1e-10)
    theirs = {name: p.grad.numpy() for name, p in peers.named_parameters()}
    for name, mine in grads.items():
        assert np.abs(mine - theirs[name]).max() <= 1e-8 * np.abs(theirs[name]).max(), name


@some
def test_given_a_label_it_is_an_ordinary_language_model(form, embed, rng):
    model = generator_of(rng, form, embed=embed)
    _, targets, _ = texts_of(rng, model)
    read = np.concatenate([np.full((1, N), V - 1), targets[:-1]])
    for label in range(KINDS):
        alone = model.given(label)
        assert type(alone) is LanguageModel
        window = alone.window(T, N, backward=False)
        ids = model.inputs(targets, np.full(N, label), V - 1)
        found = model.surprisal(model.window(T, N, backward=False), ids, targets)
        np.testing.assert_allclose(alone.surprisal(window, read, targets), found, rtol=1e-12)
    assert not np.allclose(model.given(0).weights.flat, model.given(1).weights.flat)


def test_settings_of_other_tasks_in_a_file_change_nothing(rng):
    """A forged checkpoint may ask for counted n-grams, which only language models have."""
    model = generator_of(rng, "lstm")
    forged = Generator(replace(model.config, grams=5), V, None, model.weights.flat, outputs=KINDS)
    assert set(forged.given(0).weights) == set(model.given(0).weights)
    np.testing.assert_array_equal(forged.given(0).weights.flat, model.given(0).weights.flat)


def test_its_initial_weights_are_those_of_a_language_model_beside_the_labels(rng):
    model = Generator.fresh(config_of(), V, 1, outputs=KINDS)
    plain = LanguageModel.fresh(ModelConfig(**vars(model.config) | {"task": "lm"}), V, 1)
    first = "rnn.weight_ih_l0"
    np.testing.assert_array_equal(model.weights[first][:, :V], plain.weights[first])
    assert np.abs(model.weights[first][:, V:]).max() < H**-0.5
    assert 0.8 < model.weights[LABELS].std() < 1.2
    assert NETWORKS["generate"] is Generator
    assert model.describe(model.config, V, KINDS) == model.shapes()


@pytest.mark.parametrize(("form", "embed"), [("lstm", 0), ("lstm", 3), ("gru-after", 3)])
def test_the_compiled_core_computes_the_same(form, embed, rng):
    backend = select("numpy")
    if backend.core is None:
        pytest.skip("the core is not compiled")
    fast = generator_of(rng, form, backend=backend, embed=embed, dtype="float32", hidden=9)
    assert fast.core is not None
    plain = Generator(fast.config, V, numpy_backend(), fast.weights.flat, outputs=KINDS)
    assert plain.core is None
    ids, targets, _ = texts_of(rng, plain)
    (loss, grads), (expected, wanted) = (loss_of(m, ids, targets, LENGTHS) for m in (fast, plain))
    assert loss == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(grads.flat, wanted.flat, rtol=1e-3, atol=1e-6)


@embeds
def test_on_the_device_it_gives_the_same_bits(embed, rng, device):
    here = generator_of(rng, embed=embed)
    there = Generator(here.config, V, select("cupy"), here.weights.flat, outputs=KINDS)
    ids, targets, _ = texts_of(rng, here)
    loss, grads = loss_of(here, ids, targets, LENGTHS)
    put, get = there.backend.put, there.backend.get
    found, other = loss_of(there, ids, targets, LENGTHS, put=put)
    assert found == loss
    np.testing.assert_array_equal(get(other.flat), grads.flat)
    mine, theirs = (model.window(T, N, backward=False) for model in (here, there))
    nats = get(there.surprisal(theirs, put(ids), put(targets)))
    np.testing.assert_array_equal(nats, here.surprisal(mine, ids, targets))
    np.testing.assert_array_equal(get(there.given(1).weights.flat), here.given(1).weights.flat)


def test_shards_give_the_gradient_of_one_window(rng, monkeypatch):
    model = generator_of(rng, embed=3, dropout=0.3)
    ids, targets, _ = texts_of(rng, model)
    padding, symbols = Padding(LENGTHS, T, model.backend), int(LENGTHS.sum())
    found = []
    for count in (1, 3):
        monkeypatch.setattr("charrnn.model.shards.shards", lambda *_, count=count: count)
        grads = model.weights.like(np.full_like(model.weights.flat, np.nan))
        shards = Shards(model, T, N, Threads(model.backend))
        loss = shards.loss_and_gradient(
            ids, targets, grads, (1, 2), padding=padding, symbols=symbols
        )
        found.append((float(loss), grads.flat))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-13)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-11, atol=1e-14)
