"""The tagger: gradients, padding without effect, PyTorch, and every way to compute it."""

import numpy as np
import pytest
from helpers import reference
from helpers.differences import check

from charrnn.backend import numpy_backend, select
from charrnn.backend.threads import Threads
from charrnn.config import ModelConfig
from charrnn.model.parameters import Parameters
from charrnn.model.sequences.padding import Padding
from charrnn.model.sequences.tagger import Tagger
from charrnn.model.shards import Shards

T, H, V, LABELS = 7, 4, 5, 3
LENGTHS = np.array([4, 7, 1, 0, 5])
N = len(LENGTHS)
both = pytest.mark.parametrize("bidirectional", [False, True])


def tagger_of(rng, form="lstm", backend=None, **more):
    own = {"layers": 2, "hidden": H, "dtype": "float64", "task": "tag"}
    config = ModelConfig(**own | reference.FORMS[form] | more)
    model = Tagger.fresh(config, V, 1, backend, outputs=LABELS)
    if backend is None:
        model.weights.flat[...] += 0.3 * rng.standard_normal(model.weights.flat.size)
    return model


def batch_of(rng):
    """Return ids, labels and which steps are labelled: some, but none of the padding."""
    ids, labels = rng.integers(0, V, (T, N)), rng.integers(0, LABELS, (T, N))
    mask = (rng.random((T, N)) < 0.7) & (np.arange(T)[:, None] < LENGTHS)
    mask[0] = LENGTHS > 0
    return ids, labels, mask


def loss_of(model, ids, labels, mask, lengths, dropped=None, symbols=None):
    window = model.window(*ids.shape)
    grads = model.weights.like(np.full_like(model.weights.flat, np.nan))
    how = {"mask": mask, "padding": Padding(lengths, len(ids), model.backend), "symbols": symbols}
    loss = model.loss_and_gradient(window, ids, labels, grads, dropped, **how)
    return float(loss), grads


@both
@pytest.mark.parametrize("more", [{}, {"embed": 3}, {"dropout": 0.4}])
@pytest.mark.parametrize("form", reference.FORMS)
def test_every_gradient_equals_the_differences(form, more, bidirectional, rng):
    model = tagger_of(rng, form, bidirectional=bidirectional, **more)
    ids, labels, mask = batch_of(rng)
    dropped = model.masks(T, N).draw(3, 0, T)
    _, grads = loss_of(model, ids, labels, mask, LENGTHS, dropped)

    def loss():
        return loss_of(model, ids, labels, mask, LENGTHS, dropped)[0]

    check(loss, dict(model.weights), dict(grads), rng)


@both
@pytest.mark.parametrize("form", reference.FORMS)
def test_a_batch_gives_what_its_sequences_give_one_by_one(form, bidirectional, rng):
    model = tagger_of(rng, form, embed=3, bidirectional=bidirectional)
    ids, labels, mask = batch_of(rng)
    loss, grads = loss_of(model, ids, labels, mask, LENGTHS)
    found, total = 0.0, np.zeros_like(grads.flat)
    tags = model.tags(model.window(T, N, backward=False), ids, padding(), labels)
    for n, length in enumerate(LENGTHS):
        if not length:
            continue
        part = (slice(0, length), slice(n, n + 1))
        how = (ids[part], labels[part], mask[part], LENGTHS[n : n + 1])
        one, each = loss_of(model, *how, symbols=int(mask.sum()))
        found, total = found + one, total + each.flat
        window, ends = model.window(length, 1, backward=False), padding(LENGTHS[n : n + 1], length)
        alone = model.tags(window, ids[part], ends, labels[part])
        np.testing.assert_array_equal(tags.best[part], alone.best)
        np.testing.assert_allclose(tags.log_p[part], alone.log_p, rtol=0, atol=1e-12)
        np.testing.assert_allclose(tags.nats[part], alone.nats, rtol=0, atol=1e-12)
    assert loss == pytest.approx(found, abs=1e-12)
    np.testing.assert_allclose(grads.flat, total, rtol=1e-12, atol=1e-12)
    assert loss == pytest.approx(tags.nats[mask].mean(), abs=1e-12)


def padding(lengths=LENGTHS, steps=T):
    return Padding(lengths, steps, numpy_backend())


@both
@pytest.mark.parametrize("form", ["lstm", "gru-after", "rnn-tanh"])
def test_it_equals_pytorch_with_packed_sequences(form, bidirectional, rng):
    torch = pytest.importorskip("torch")
    model = tagger_of(rng, form, bidirectional=bidirectional, embed=3)
    present = np.flatnonzero(LENGTHS)
    ids, labels, mask = (each[:, present] for each in batch_of(rng))
    lengths = LENGTHS[present]
    kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[model.config.cell]
    width = 2 * H if bidirectional else H
    parts = {
        "embedding": torch.nn.Embedding(V, 3),
        "rnn": kind(3, H, 2, bidirectional=bidirectional),
        "decoder": torch.nn.Linear(width, LABELS),
    }
    peer = torch.nn.ModuleDict(parts).double()
    named = {name: torch.tensor(array) for name, array in model.weights.items()}
    zeros = {name: torch.zeros_like(p) for name, p in peer.named_parameters() if "bias_hh" in name}
    peer.load_state_dict(zeros | named)
    pack, pad = torch.nn.utils.rnn.pack_padded_sequence, torch.nn.utils.rnn.pad_packed_sequence
    read = pack(peer["embedding"](torch.tensor(ids)), torch.tensor(lengths), enforce_sorted=False)
    top, _ = pad(peer["rnn"](read)[0], total_length=T)
    at = torch.tensor(mask)
    right = torch.tensor(labels)[at]
    theirs = torch.nn.functional.cross_entropy(peer["decoder"](top)[at], right)
    theirs.backward()
    loss, grads = loss_of(model, ids, labels, mask, lengths)
    assert loss == pytest.approx(theirs.item(), abs=1e-12)
    wanted = {name: p.grad.numpy() for name, p in peer.named_parameters()}
    for name, mine in grads.items():
        assert np.abs(mine - wanted[name]).max() <= 1e-8 * np.abs(wanted[name]).max(), name


@both
@pytest.mark.parametrize("form", ["lstm", "gru-after", "rnn-tanh"])
def test_the_compiled_core_computes_the_same(form, bidirectional, rng):
    backend = select("numpy")
    if backend.core is None:
        pytest.skip("the core is not compiled")
    more = {"embed": 3, "bidirectional": bidirectional, "dtype": "float32", "hidden": 9}
    fast = tagger_of(rng, form, backend, **more)
    assert fast.core is not None
    plain = Tagger(fast.config, V, numpy_backend(), fast.weights.flat, outputs=LABELS)
    ids, labels, mask = batch_of(rng)
    (loss, grads), (other, wanted) = (
        loss_of(model, ids, labels, mask, LENGTHS) for model in (fast, plain)
    )
    assert loss == pytest.approx(other, rel=1e-5)
    np.testing.assert_allclose(grads.flat, wanted.flat, rtol=1e-3, atol=1e-6)


def test_shards_give_the_gradient_of_one_window(rng, monkeypatch):
    model = tagger_of(rng, bidirectional=True, dropout=0.3)
    ids, labels, mask = batch_of(rng)
    found = []
    for count in (1, 3):
        monkeypatch.setattr("charrnn.model.shards.shards", lambda *_, count=count: count)
        grads = model.weights.like(np.full_like(model.weights.flat, np.nan))
        shards = Shards(model, T, N, Threads(model.backend))
        how = {"mask": mask, "padding": padding(), "symbols": int(mask.sum())}
        loss = shards.loss_and_gradient(ids, labels, grads, (1, 2), **how)
        found.append((float(loss), grads.flat))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-13)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-11, atol=1e-14)


def test_the_device_gives_the_same_bits(rng, device):
    here = tagger_of(rng, bidirectional=True, embed=3)
    there = Tagger(here.config, V, select("cupy"), here.weights.flat, outputs=LABELS)
    ids, labels, mask = batch_of(rng)
    loss, grads = loss_of(here, ids, labels, mask, LENGTHS)
    backend = there.backend
    put, ends = backend.put, Padding(LENGTHS, T, backend)
    other = Parameters.zeros(there.shapes(), backend.xp, np.dtype("float64"))
    window = there.window(T, N)
    found = there.loss_and_gradient(
        window, put(ids), put(labels), other, mask=put(mask), padding=ends
    )
    assert float(backend.get(found)) == loss
    np.testing.assert_array_equal(backend.get(other.flat), grads.flat)
    mine = here.tags(here.window(T, N, backward=False), ids, padding(), labels)
    theirs = there.tags(there.window(T, N, backward=False), put(ids), ends, labels)
    for one, two in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_batch_without_a_label_has_no_gradient(rng):
    model = tagger_of(rng)
    ids, labels, mask = batch_of(rng)
    loss, grads = loss_of(model, ids, labels, np.zeros_like(mask), LENGTHS)
    assert loss == 0.0
    assert not grads.flat.any()


def test_labels_are_chosen_some_steps_at_a_time(rng, monkeypatch):
    model = tagger_of(rng)
    ids, labels, _ = batch_of(rng)
    window = model.window(T, N, backward=False)
    whole = model.tags(window, ids, padding(), labels)
    monkeypatch.setattr("charrnn.model.sequences.tagger.SLAB_ELEMENTS", 2 * N * LABELS)
    for one, two in zip(whole, model.tags(window, ids, padding(), labels), strict=True):
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-13)
