"""Whole sequences of unequal length: both directions, padding, pooling, and the classifier."""

import numpy as np
import pytest
from helpers import reference
from helpers.differences import check

from charrnn.backend import numpy_backend, select
from charrnn.config import ModelConfig
from charrnn.model.parameters import Parameters
from charrnn.model.sequences.classifier import Classifier
from charrnn.model.sequences.padding import Padding
from charrnn.model.sequences.pooling import POOLS
from charrnn.model.stack import Stack

T, D, H, LAYERS = 7, 3, 4, 2
LENGTHS = np.array([4, 7, 1, 0, 5])
N = len(LENGTHS)
forms = pytest.mark.parametrize("form", reference.FORMS)
pools = pytest.mark.parametrize("pool", POOLS)
both = pytest.mark.parametrize("bidirectional", [False, True])


def config_of(form="lstm", **more):
    own = {"layers": LAYERS, "hidden": H, "dtype": "float64", "task": "classify"}
    return ModelConfig(**own | reference.FORMS[form] | more)


def padding_of(lengths=LENGTHS, steps=T, backend=None):
    return Padding(lengths, steps, backend or numpy_backend())


def filled(shaped, rng):
    weights = shaped.initialise(seed=1) if isinstance(shaped, Stack) else shaped.weights
    weights.flat[...] += 0.3 * rng.standard_normal(weights.flat.size)
    return weights


def passes(stack, weights, x, slope, padding):
    """Return the output, and all gradients by name, from zero states."""
    window = stack.workspace(*slope.shape[::2])
    window.padding = padding
    top = stack.forward(weights, window, x).copy()
    grads = weights.like(np.full_like(weights.flat, np.nan))
    dx = stack.backward(window, slope, grads)
    return top, dict(grads) | {"x": dx}


def where_real(sequence, lengths=LENGTHS):
    """Return (T, F, N) with zeros in the padding."""
    return sequence * (np.arange(len(sequence))[:, None, None] < lengths)


@pytest.mark.parametrize("ids", [False, True])
def test_reversed_within_their_lengths(ids, rng):
    x = rng.integers(0, 9, (T, N)) if ids else rng.standard_normal((T, D, N))
    found = padding_of().reversed(x, np.empty_like(x))
    for n, length in enumerate(LENGTHS):
        np.testing.assert_array_equal(found[:length, ..., n], x[:length, ..., n][::-1])
        np.testing.assert_array_equal(found[length:, ..., n], x[length:, ..., n])
    np.testing.assert_array_equal(padding_of().reversed(found, np.empty_like(x)), x)


@pytest.mark.parametrize("first", [False, True])
def test_the_last_step_of_each_sequence_is_read_and_written(first, rng):
    lengths = np.array([4, 7, 1, 5])
    padding, x = Padding(lengths, T, numpy_backend(), first), rng.standard_normal((T, D, 4))
    ends = np.full(4, T - 1) if first else lengths - 1
    np.testing.assert_array_equal(padding.last(x), x[ends, :, np.arange(4)].T)
    added = np.zeros_like(x)
    padding.add_to_last(added, x[0])
    np.testing.assert_array_equal(added[ends, :, np.arange(4)].T, x[0])
    assert np.count_nonzero(added) == 4 * D


@forms
@pytest.mark.parametrize("symbols", [False, True])
def test_every_gradient_in_both_directions_equals_the_differences(form, symbols, rng):
    stack = Stack(config_of(form, bidirectional=True), D)
    weights, window = filled(stack, rng), stack.workspace(T, N)
    window.padding = padding_of()
    x = rng.integers(0, D, (T, N)) if symbols else rng.standard_normal((T, D, N))
    slope = where_real(rng.standard_normal((T, 2 * H, N)))

    def loss():
        return float(np.sum(slope * stack.forward(weights, window, x)))

    loss()
    grads = weights.like(np.full_like(weights.flat, np.nan))
    dx = stack.backward(window, slope, grads, dx=not symbols)
    point, gradient = dict(weights), dict(grads)
    if not symbols:
        point, gradient = point | {"x": x}, gradient | {"x": dx.copy()}
    for name in point:
        check(loss, point, gradient, rng, [name])


@both
@forms
def test_a_batch_with_padding_gives_what_its_sequences_give_one_by_one(form, bidirectional, rng):
    stack = Stack(config_of(form, bidirectional=bidirectional), D)
    weights = filled(stack, rng)
    x = rng.standard_normal((T, D, N))
    slope = where_real(rng.standard_normal((T, stack.layers[-1].width, N)))
    x = np.where(padding_of().real[:, None], x, 1e3)  # whatever stands there
    top, gradients = passes(stack, weights, x, slope, padding_of())
    total = weights.like(np.zeros_like(weights.flat))
    for n, length in enumerate(LENGTHS):
        if not length:
            continue
        one = (slice(0, length), slice(None), slice(n, n + 1))
        alone, expected = passes(stack, weights, x[one].copy(), slope[one].copy(), None)
        np.testing.assert_allclose(top[one], alone, rtol=0, atol=1e-12)
        np.testing.assert_allclose(gradients["x"][one], expected.pop("x"), rtol=0, atol=1e-12)
        assert not gradients["x"][length:, :, n].any()
        for name, gradient in expected.items():
            total[name][...] += gradient
    for name, gradient in total.items():
        np.testing.assert_allclose(gradients[name], gradient, rtol=1e-12, atol=1e-12)


@both
@pytest.mark.parametrize("form", ["lstm", "gru-after", "rnn-tanh"])
def test_it_equals_the_packed_sequences_of_pytorch(form, bidirectional, rng):
    torch = pytest.importorskip("torch")
    config = config_of(form, bidirectional=bidirectional)
    stack = Stack(config, D)
    weights = filled(stack, rng)
    kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[config.cell]
    peer = kind(D, H, LAYERS, bidirectional=bidirectional).double()
    second = {name.replace("bias_ih", "bias_hh"): array for name, array in weights.items()}
    zeros = {name: torch.zeros(array.shape) for name, array in second.items() if "bias" in name}
    named = {name: torch.tensor(array) for name, array in weights.items()}
    peer.load_state_dict(zeros | named, strict=True)
    lengths = LENGTHS[LENGTHS > 0]
    x = rng.standard_normal((T, D, len(lengths)))
    slope = where_real(rng.standard_normal((T, stack.layers[-1].width, len(lengths))), lengths)
    leaf = torch.tensor(np.ascontiguousarray(x.transpose(0, 2, 1)), requires_grad=True)
    pack, pad = torch.nn.utils.rnn.pack_padded_sequence, torch.nn.utils.rnn.pad_packed_sequence
    packed, ends = peer(pack(leaf, torch.tensor(lengths), enforce_sorted=False))
    theirs, _ = pad(packed, total_length=T)
    theirs.backward(torch.tensor(np.ascontiguousarray(slope.transpose(0, 2, 1))))
    padding = padding_of(lengths)
    top, gradients = passes(stack, weights, x, slope, padding)
    expected = theirs.detach().numpy().transpose(0, 2, 1)
    np.testing.assert_allclose(where_real(top, lengths), expected, rtol=0, atol=1e-10)
    h_n = (ends[0] if isinstance(ends, tuple) else ends).detach().numpy()
    both_ends = np.concatenate(list(h_n[-2:] if bidirectional else h_n[-1:]), axis=1).T
    last = POOLS["last"](H, numpy_backend()).forward(top, padding)
    np.testing.assert_allclose(last, both_ends, rtol=0, atol=1e-10)
    wanted = {name: p.grad.numpy() for name, p in peer.named_parameters()}
    wanted["x"] = leaf.grad.numpy().transpose(0, 2, 1)
    for name, mine in gradients.items():
        assert np.abs(mine - wanted[name]).max() <= 1e-8 * np.abs(wanted[name]).max(), name


@pools
@pytest.mark.parametrize("features", [H, 2 * H])
def test_pooling_takes_the_true_steps_and_its_gradient_equals_the_differences(pool, features, rng):
    top = rng.standard_normal((T, features, N))
    chosen = POOLS[pool](H, numpy_backend())
    found = chosen.forward(np.where(padding_of().real[:, None], top, np.nan), padding_of())
    for n, length in enumerate(LENGTHS):
        steps = top[:length, :, n]
        if not length:
            expected = np.zeros(features)
        elif pool == "last":
            expected = np.concatenate([steps[-1, :H], steps[0, H:]])
        else:
            expected = getattr(steps, pool)(axis=0)
        np.testing.assert_allclose(found[:, n], expected, rtol=0, atol=1e-14)
    slope = rng.standard_normal((features, N))
    d_top = np.full_like(top, np.nan)
    chosen.backward(top, padding_of(), slope, d_top)
    assert not d_top[~np.broadcast_to(padding_of().real[:, None], d_top.shape)].any()

    def loss():
        return float(np.sum(slope * chosen.forward(top, padding_of())))

    check(loss, {"top": top}, {"top": d_top}, rng)


def classifier_of(rng, form="lstm", labels=3, backend=None, **more):
    model = Classifier.fresh(config_of(form, **more), 5, 1, backend, outputs=labels)
    if backend is None:
        filled(model, rng)
    return model


def loss_of(model, ids, labels, lengths, masks=None):
    window = model.window(*ids.shape)
    grads = model.weights.like(np.full_like(model.weights.flat, np.nan))
    padding = padding_of(lengths, len(ids))
    loss = model.loss_and_gradient(window, ids, labels, grads, masks, padding=padding)
    return float(loss), grads


@pools
@both
@pytest.mark.parametrize("more", [{}, {"embed": 3}, {"dropout": 0.4}])
@pytest.mark.parametrize("form", ["lstm", "gru-before", "rnn-relu"])
def test_every_gradient_of_a_classifier_equals_the_differences(
    form, more, bidirectional, pool, rng
):
    model = classifier_of(rng, form, bidirectional=bidirectional, pool=pool, **more)
    ids, labels = rng.integers(0, 5, (T, N)), rng.integers(0, 3, N)
    masks = model.masks(T, N).draw(3, 0, T)
    _, grads = loss_of(model, ids, labels, LENGTHS, masks)
    check(
        lambda: loss_of(model, ids, labels, LENGTHS, masks)[0],
        dict(model.weights),
        dict(grads),
        rng,
    )


@pools
@both
def test_a_batch_of_a_classifier_is_the_mean_of_its_examples(bidirectional, pool, rng):
    shape = {"embed": 3, "ngrams": 2 if pool == "mean" else 0}
    model = classifier_of(rng, bidirectional=bidirectional, pool=pool, **shape)
    ids, labels = rng.integers(0, 5, (T, N)), rng.integers(0, 3, N)
    loss, grads = loss_of(model, ids, labels, LENGTHS)
    present = [n for n in range(N) if LENGTHS[n]]
    alone = [
        loss_of(model, ids[: LENGTHS[n], n : n + 1], labels[n : n + 1], LENGTHS[n : n + 1])
        for n in present
    ]
    assert loss == pytest.approx(np.mean([each for each, _ in alone]), abs=1e-12)
    expected = np.mean([each.flat for _, each in alone], axis=0)
    np.testing.assert_allclose(grads.flat, expected, rtol=1e-12, atol=1e-12)
    log_p = model.log_p(model.window(T, N, backward=False), ids, padding_of())
    for n in present:
        window = model.window(LENGTHS[n], 1, backward=False)
        one = model.log_p(
            window, ids[: LENGTHS[n], n : n + 1], padding_of(LENGTHS[n : n + 1], LENGTHS[n])
        )
        np.testing.assert_allclose(log_p[:, n], one[:, 0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(np.exp(log_p).sum(axis=0), 1.0, rtol=1e-12)
    nats = -np.mean([log_p[labels[n], n] for n in present])
    assert loss == pytest.approx(nats, abs=1e-12)


@both
@pytest.mark.parametrize("form", ["lstm", "gru-after", "rnn-tanh"])
def test_the_compiled_core_computes_the_same_classifier(form, bidirectional, rng):
    backend = select("numpy")
    if backend.core is None:
        pytest.skip("the core is not compiled")
    ids, labels = rng.integers(0, 5, (T, N)), rng.integers(0, 3, N)
    more = {"embed": 3, "bidirectional": bidirectional, "dtype": "float32", "hidden": 9}
    more |= {"ngrams": 3 if form == "lstm" else 0}
    fast = classifier_of(rng, form, backend=backend, **more)
    assert fast.core is not None
    plain = Classifier(fast.config, 5, numpy_backend(), fast.weights.flat, outputs=3)
    assert plain.core is None
    (loss, grads), (expected, wanted) = (loss_of(m, ids, labels, LENGTHS) for m in (fast, plain))
    assert loss == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(grads.flat, wanted.flat, rtol=1e-3, atol=1e-6)


@pools
def test_a_classifier_on_the_device_gives_the_same_bits(pool, rng, device):
    here = classifier_of(rng, bidirectional=True, pool=pool, embed=3, ngrams=3)
    there = Classifier(here.config, 5, select("cupy"), here.weights.flat, outputs=3)
    ids, labels = rng.integers(0, 5, (T, N)), rng.integers(0, 3, N)
    loss, grads = loss_of(here, ids, labels, LENGTHS)
    backend = there.backend
    padding, put = padding_of(backend=backend), backend.put
    other = Parameters.zeros(there.shapes(), backend.xp, np.dtype("float64"))
    found = there.loss_and_gradient(
        there.window(T, N), put(ids), put(labels), other, padding=padding
    )
    assert float(backend.get(found)) == loss
    np.testing.assert_array_equal(backend.get(other.flat), grads.flat)
    window = there.window(T, N, backward=False)
    mine = here.log_p(here.window(T, N, backward=False), ids, padding_of())
    np.testing.assert_array_equal(there.log_p(window, put(ids), padding), mine)
