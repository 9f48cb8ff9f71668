"""The encoder-decoder: attention, the bridge, padding, and every gradient."""

import numpy as np
import pytest
from helpers import reference
from helpers.differences import check

from charrnn.backend import numpy_backend, select
from charrnn.config import ModelConfig
from charrnn.model.sequences.padding import Padding
from charrnn.model.shards import Shards
from charrnn.model.transducer import scores
from charrnn.model.transducer.model import Transducer
from charrnn.model.transducer.sources import aligned

S, T, H, SOURCE, TARGET = 6, 5, 4, 5, 6
SOURCES, TARGETS = np.array([4, 6, 1, 3]), np.array([5, 2, 4, 1])
N = len(SOURCES)
forms = pytest.mark.parametrize("form", reference.FORMS)
attentions = pytest.mark.parametrize("attention", ["none", "dot", "additive"])
both = pytest.mark.parametrize("bidirectional", [False, True])


def model_of(rng, form="lstm", backend=None, **more):
    own = {"task": "transduce", "hidden": H, "dtype": "float64"}
    config = ModelConfig(**own | reference.FORMS[form] | more)
    model = Transducer.fresh(config, SOURCE - 1, 1, backend, outputs=TARGET - 1)
    model.weights.flat[...] += 0.6 * rng.standard_normal(model.weights.flat.size)
    return model


def pairs_of(rng):
    """Return sources and targets, whatever stands in the padding."""
    return rng.integers(0, SOURCE, (S, N)), rng.integers(0, TARGET, (T, N))


def loss_of(model, pairs, sources=SOURCES, targets=TARGETS, masks=None, symbols=None):
    """Return loss and gradients of a batch."""
    source, wanted = pairs
    padding = Padding(sources, len(source), model.backend, first=True)
    put, mask = model.backend.put, np.arange(len(wanted))[:, None] < targets
    unset = np.full(model.weights.flat.size, np.nan)
    grads = model.weights.like(put(unset, model.weights.flat.dtype).copy())
    loss = model.loss_and_gradient(
        model.window(max(len(source), len(wanted)), len(sources)),
        put(aligned(source, sources)),
        put(wanted),
        grads,
        masks,
        mask=put(mask),
        padding=padding,
        symbols=symbols or int(mask.sum()),
    )
    return float(model.backend.get(loss)), grads


def surprisal_of(model, pairs, sources=SOURCES):
    source, wanted = pairs
    space = model.window(max(len(source), len(wanted)), len(sources), backward=False)
    return model.surprisal(space, model.sources(source, sources), wanted)


def one_of(pairs, n):
    source, targets = pairs
    return source[: SOURCES[n], [n]], targets[: TARGETS[n], [n]]


@both
@attentions
@forms
@pytest.mark.parametrize("layers", [1, 2])
def test_every_gradient_equals_the_differences(form, attention, bidirectional, layers, rng):
    model = model_of(rng, form, attention=attention, bidirectional=bidirectional, layers=layers)
    pairs = pairs_of(rng)
    _, grads = loss_of(model, pairs)
    check(lambda: loss_of(model, pairs)[0], dict(model.weights), dict(grads), rng)


@attentions
def test_the_gradient_of_each_part_equals_the_differences(attention, rng):
    more = {"layers": 2, "embed": 3, "dropout": 0.4}
    model = model_of(rng, attention=attention, bidirectional=True, **more)
    pairs = pairs_of(rng)
    masks = model.masks(S, N).draw(3, 0, S)
    _, grads = loss_of(model, pairs, masks=masks)
    parts = {}
    for name in model.weights:
        parts.setdefault(name.partition(".")[0], []).append(name)
    assert len(parts) == 6 + (attention != "none")
    for names in parts.values():
        check(
            lambda: loss_of(model, pairs, masks=masks)[0],
            dict(model.weights),
            dict(grads),
            rng,
            names,
        )


@both
@attentions
@pytest.mark.parametrize("form", ["lstm", "gru-after", "rnn-tanh"])
def test_a_batch_with_padding_gives_what_its_pairs_give_one_by_one(
    form, attention, bidirectional, rng
):
    model = model_of(rng, form, attention=attention, bidirectional=bidirectional, layers=2)
    pairs, symbols = pairs_of(rng), int(TARGETS.sum())
    loss, grads = loss_of(model, pairs)
    nats = surprisal_of(model, pairs)
    total, gradient = 0.0, np.zeros_like(grads.flat)
    for n in range(N):
        one, own = one_of(pairs, n), slice(n, n + 1)
        each, part = loss_of(model, one, SOURCES[own], TARGETS[own], symbols=symbols)
        total, gradient = total + each, gradient + part.flat
        alone = surprisal_of(model, one, SOURCES[own])
        np.testing.assert_allclose(nats[: TARGETS[n], [n]], alone, rtol=1e-12, atol=1e-12)
    assert loss == pytest.approx(total, rel=1e-12)
    np.testing.assert_allclose(grads.flat, gradient, rtol=1e-12, atol=1e-12)
    assert loss == pytest.approx(
        sum(nats[: TARGETS[n], n].sum() for n in range(N)) / symbols, rel=1e-12
    )


@attentions
def test_an_empty_place_of_a_batch_changes_nothing(attention, rng):
    model = model_of(rng, attention=attention, bidirectional=True)
    pairs = pairs_of(rng)
    loss, grads = loss_of(model, pairs)
    wider = tuple(np.concatenate([array, array[:, :1]], axis=1) for array in pairs)
    found, others = loss_of(model, wider, np.append(SOURCES, 0), np.append(TARGETS, 0))
    assert found == pytest.approx(loss, rel=1e-14)
    np.testing.assert_allclose(others.flat, grads.flat, rtol=1e-12, atol=1e-14)


@both
@pytest.mark.parametrize("attention", ["dot", "additive"])
def test_attention_is_a_distribution_over_the_source(attention, bidirectional, rng):
    model = model_of(rng, attention=attention, bidirectional=bidirectional)
    source, wanted = pairs_of(rng)
    space, sources = model.window(S, N, backward=False), model.sources(source, SOURCES)
    crossed, memory = model.encode(space.source, sources)
    model.decoder.begin(space.target, crossed.states)
    found = model.decoder.forward(model.weights, space.target, wanted, memory).attended.attention
    assert found.shape == (N, T, S)
    np.testing.assert_allclose(found.sum(axis=2), 1.0, rtol=1e-14)
    for n in range(N):
        assert not found[n, :, : S - SOURCES[n]].any()
        assert (found[n, :, S - SOURCES[n] :] > 0).all()


def test_additive_attention_in_slabs_is_the_same(rng, monkeypatch):
    model, pairs = model_of(rng, attention="additive", bidirectional=True), pairs_of(rng)
    loss, grads = loss_of(model, pairs)
    for elements in (1, 2 * S * H, 2 * T * S * H):
        monkeypatch.setattr(scores, "CACHED", elements)
        found, others = loss_of(model, pairs)
        assert found == pytest.approx(loss, rel=1e-14)
        np.testing.assert_allclose(others.flat, grads.flat, rtol=1e-11, atol=1e-14)


def test_without_attention_the_source_enters_by_the_initial_state_alone(rng):
    model, pairs = model_of(rng, attention="none", layers=2), pairs_of(rng)
    assert not any(name.startswith(("attention", "bridge")) for name in model.weights)
    _, grads = loss_of(model, pairs)
    assert all(grads[name].any() for name in model.weights if name.startswith("rnn."))


def peer_of(torch, model):
    """Return the same model written with PyTorch's modules, with the same weights."""
    config, both = model.config, 1 + model.config.bidirectional
    kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[config.cell]
    states = 2 if config.cell == "lstm" else 1

    class Peer(torch.nn.Module):
        def __init__(self):
            super().__init__()
            linear, layers = torch.nn.Linear, config.layers
            self.embedding = torch.nn.Embedding(SOURCE, config.embed)
            self.target_embedding = torch.nn.Embedding(TARGET, config.embed)
            self.rnn = kind(config.embed, H, layers, bidirectional=config.bidirectional)
            self.target_rnn = kind(config.embed, H, layers)
            self.decoder = linear(H, TARGET)
            self.attention = torch.nn.ModuleDict()
            if config.attention != "none":
                self.attention["combine"] = linear(H + both * H, H, bias=False)
            if config.attention == "additive":
                self.attention["query"] = linear(H, H)
                self.attention["key"] = linear(both * H, H, bias=False)
                self.attention["score"] = linear(H, 1, bias=False)
            elif config.attention == "dot" and config.bidirectional:
                self.attention["key"] = linear(2 * H, H, bias=False)
            names = [f"{s}_l{l}" for s in "hc"[:states] for l in range(layers)]
            crossing = {name: linear(2 * H, H) for name in names if config.bidirectional}
            self.bridge = torch.nn.ModuleDict(crossing)

        def initial(self, final, name):
            if not config.bidirectional:
                return final
            made = []
            for l, (ahead, back) in enumerate(final.reshape(config.layers, 2, N, H)):
                crossed = self.bridge[f"{name}_l{l}"](torch.cat([ahead, back], dim=1))
                made.append(torch.tanh(crossed) if name == "h" else crossed)
            return torch.stack(made)

        def forward(self, source, before):
            utils = torch.nn.utils.rnn
            lengths = torch.tensor(SOURCES)
            packed = utils.pack_padded_sequence(
                self.embedding(source), lengths, enforce_sorted=False
            )
            read, final = self.rnn(packed)
            memory = utils.pad_packed_sequence(read, total_length=S)[0].transpose(0, 1)
            final = final if states == 2 else (final,)
            start = tuple(self.initial(s, name) for s, name in zip(final, "hc", strict=False))
            top, _ = self.target_rnn(
                self.target_embedding(before), start if states == 2 else start[0]
            )
            if not len(self.attention):
                return self.decoder(top)
            query = top.transpose(0, 1)
            keys = self.attention["key"](memory) if "key" in self.attention else memory
            if "score" in self.attention:
                units = torch.tanh(self.attention["query"](query)[:, :, None] + keys[:, None])
                found = self.attention["score"](units)[..., 0]
            else:
                found = query @ keys.transpose(1, 2)
            left_out = torch.arange(S)[None, None] >= lengths[:, None, None]
            weights = torch.softmax(found.masked_fill(left_out, -torch.inf), dim=2)
            joined = torch.cat([weights @ memory, query], dim=2)
            return self.decoder(torch.tanh(self.attention["combine"](joined)).transpose(0, 1))

    peer = Peer().double()
    named = {name: torch.tensor(array) for name, array in model.weights.items()}
    zeros = {
        name: torch.zeros_like(p)
        for name, p in peer.named_parameters()
        if "bias_hh" in name and name not in named
    }
    peer.load_state_dict(zeros | named, strict=True)
    return peer


@both
@attentions
@pytest.mark.parametrize("form", ["lstm", "gru-after", "rnn-tanh"])
def test_it_equals_the_same_model_of_pytorch(form, attention, bidirectional, rng):
    torch = pytest.importorskip("torch")
    model = model_of(rng, form, attention=attention, bidirectional=bidirectional, layers=2, embed=3)
    pairs = pairs_of(rng)
    loss, grads = loss_of(model, pairs)
    peer = peer_of(torch, model)
    source, targets = (torch.tensor(array) for array in pairs)
    before = torch.cat([torch.full((1, N), TARGET - 1), targets[:-1]])
    counted = torch.arange(T)[:, None] < torch.tensor(TARGETS)
    logits = peer(source, before)
    theirs = torch.nn.functional.cross_entropy(logits[counted], targets[counted])
    theirs.backward()
    assert loss == pytest.approx(theirs.item(), rel=1e-10)
    for name, p in peer.named_parameters():
        if name in grads:
            wanted = p.grad.numpy()
            assert np.abs(grads[name] - wanted).max() <= 1e-8 * np.abs(wanted).max(), name


@both
@attentions
@pytest.mark.parametrize("form", ["lstm", "gru-after", "rnn-tanh"])
def test_the_compiled_core_computes_the_same(form, attention, bidirectional, rng):
    backend = select("numpy")
    if backend.core is None:
        pytest.skip("the core is not compiled")
    more = {"attention": attention, "bidirectional": bidirectional, "layers": 2}
    fast = model_of(rng, form, backend, dtype="float32", hidden=9, dropout=0.2, **more)
    assert fast.core is not None
    plain = Transducer(
        fast.config, SOURCE - 1, numpy_backend(), fast.weights.flat, outputs=TARGET - 1
    )
    assert plain.core is None
    pairs, results = pairs_of(rng), []
    for model in (fast, plain):
        masks = model.masks(S, N).draw(3, 0, S)
        results.append((*loss_of(model, pairs, masks=masks), surprisal_of(model, pairs)))
    (loss, grads, nats), (expected, wanted, others) = results
    assert loss == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(grads.flat, wanted.flat, rtol=1e-3, atol=1e-5)
    real = np.arange(T)[:, None] < TARGETS
    np.testing.assert_allclose(nats[real], others[real], rtol=1e-4)


@attentions
def test_on_the_device_it_gives_the_same_bits(attention, rng, device):
    here = model_of(rng, attention=attention, bidirectional=True, embed=3)
    there = Transducer(
        here.config, SOURCE - 1, select("cupy"), here.weights.flat, outputs=TARGET - 1
    )
    pairs = pairs_of(rng)
    loss, grads = loss_of(here, pairs)
    found, others = loss_of(there, pairs)
    assert found == loss
    np.testing.assert_array_equal(there.backend.get(others.flat), grads.flat)


def test_threads_that_share_the_pairs_give_the_same(rng):
    model, streams = model_of(rng, bidirectional=True, dropout=0.3), 40
    sources, targets = rng.integers(1, S + 1, streams), rng.integers(1, T + 1, streams)
    ids = rng.integers(0, SOURCE, (S, streams))
    wanted = rng.integers(0, TARGET, (T, streams))
    masks = model.masks(S, streams).draw(5, 2, S)
    loss, grads = loss_of(model, (ids, wanted), sources, targets, masks)

    class Two:
        compiled, count = False, 2

        def shares(self, streams, matrix):
            return 2

        def run(self, tasks):
            return [task() for task in tasks]

    shards = Shards(model, S, streams, threads=Two())
    assert shards.count == 2
    mask = np.arange(T)[:, None] < targets
    others = model.weights.like(np.full_like(model.weights.flat, np.nan))
    found = shards.loss_and_gradient(
        aligned(ids, sources),
        wanted,
        others,
        (5, 2),
        mask=mask,
        padding=Padding(sources, S, model.backend, first=True),
        symbols=int(mask.sum()),
    )
    assert float(found) == pytest.approx(loss, rel=1e-13)
    np.testing.assert_allclose(others.flat, grads.flat, rtol=1e-11, atol=1e-14)
