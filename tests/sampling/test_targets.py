"""Targets of a transducer: exact if the beam holds all beginnings, greedy if it holds one."""

from itertools import product

import numpy as np
import pytest

from charrnn.backend import numpy_backend, select
from charrnn.config import ModelConfig
from charrnn.errors import CharRNNError
from charrnn.model.transducer.model import Transducer
from charrnn.model.transducer.stepping import Stepping
from charrnn.sampling import targets as searching
from charrnn.sampling.targets import targets

SOURCE, TARGET = 5, 4
END = TARGET - 1
LENGTHS = np.array([3, 1, 5])
N = len(LENGTHS)


def model_of(seed=3, backend=None, **more):
    own = {"task": "transduce", "hidden": 6, "dtype": "float64", "layers": 2}
    model = Transducer.fresh(ModelConfig(**own | more), SOURCE - 1, seed, backend, outputs=END)
    model.weights.flat[...] *= 4  # so that the choices differ
    model.weights["decoder.bias"][END] -= 3  # and targets are not empty
    return model


def sources_of(model, seed=0):
    ids = np.random.default_rng(seed).integers(0, SOURCE, (LENGTHS.max(), N))
    return model.sources(ids, LENGTHS)


def nats_of(model, sources, written):
    """Return -ln p of each symbol (T, N) of the same target for every source."""
    wanted = np.repeat(np.array(written)[:, None], N, axis=1)
    space = model.window(max(LENGTHS.max(), len(written)), N, backward=False)
    return model.surprisal(space, sources, wanted)


def everything(model, sources, longest):
    """Yield every target of at most ``longest`` symbols, its end included, with its nats."""
    for length in range(1, longest + 1):
        for text in product(range(END), repeat=length - 1):
            yield text, nats_of(model, sources, (*text, END))
    for text in product(range(END), repeat=longest):
        yield text, nats_of(model, sources, text)


@pytest.mark.parametrize("more", [{}, {"attention": "additive", "embed": 3}, {"attention": "none"}])
@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_a_beam_of_all_beginnings_is_exact(more, penalty, monkeypatch):
    monkeypatch.setattr(searching, "longest", lambda source: 3)
    model = model_of(**more)
    sources = sources_of(model)
    found = targets(model, sources, beam=40, count=5, penalty=penalty)
    every = list(everything(model, sources, 3))
    for n in range(N):
        scores = [-nats[:, n].sum() / ((5 + len(nats)) / 6) ** penalty for _, nats in every]
        order = np.argsort(scores)[::-1][:5]
        assert [one.ids for one in found[n]] == [every[i][0] for i in order]
        for one, i in zip(found[n], order, strict=True):
            np.testing.assert_allclose(one.nats, every[i][1][:, n], rtol=1e-9)
            assert one.score == pytest.approx(scores[i], rel=1e-9)
            assert one.log_p == pytest.approx(-every[i][1][:, n].sum(), rel=1e-9)


@pytest.mark.parametrize(
    ("cell", "attention"),
    [
        pytest.param(cell, attention, marks=() if usual else pytest.mark.slow)
        for c, cell in enumerate(["lstm", "gru", "rnn"])
        for a, attention in enumerate(["none", "dot", "additive"])
        for usual in [c == 0 or c == a]
    ],
)
def test_a_beam_of_one_takes_the_likeliest_symbol(cell, attention):
    model = model_of(cell=cell, attention=attention, bidirectional=True)
    sources = sources_of(model)
    for n, (found,) in enumerate(targets(model, sources)):
        written = list(found.ids)
        assert len(found.nats) <= 2 * LENGTHS[n] + 50
        for step in range(min(len(found.nats), 8)):
            nats = [nats_of(model, sources, (*written[:step], s))[-1, n] for s in range(TARGET)]
            chosen = written[step] if step < len(written) else END
            assert chosen == int(np.argmin(nats))
            assert found.nats[step] == pytest.approx(min(nats), rel=1e-9)


def test_a_wider_beam_finds_no_less_likely_targets():
    model = model_of(attention="additive")
    sources = sources_of(model)
    narrow, wide = (targets(model, sources, beam=k) for k in (1, 20))
    for (one,), (other,) in zip(narrow, wide, strict=True):
        assert other.score >= one.score - 1e-12


@pytest.mark.parametrize("beam", [1, 4])
def test_a_source_gets_alone_what_it_gets_in_a_batch(beam):
    model = model_of(bidirectional=True)
    ids = np.random.default_rng(0).integers(0, SOURCE, (LENGTHS.max(), N))
    together = targets(model, sources_of(model), beam=beam, attention=True)
    for n, length in enumerate(LENGTHS):
        source = model.sources(ids[:length, [n]], LENGTHS[[n]])
        ((alone,),) = targets(model, source, beam=beam, attention=True)
        assert alone.ids == together[n][0].ids
        np.testing.assert_allclose(alone.nats, together[n][0].nats, rtol=1e-10)
        np.testing.assert_allclose(alone.attention, together[n][0].attention, atol=1e-12)


@pytest.mark.parametrize("beam", [1, 4])
def test_the_attention_of_a_target_is_that_of_its_symbols(beam):
    model = model_of(attention="additive", bidirectional=True)
    sources = sources_of(model)
    for n, (found,) in enumerate(targets(model, sources, beam=beam, attention=True)):
        before = np.array([END, *found.ids])[: len(found.nats)]
        space = model.window(max(LENGTHS.max(), len(before)), N, backward=False)
        crossed, memory = model.encode(space.source, sources)
        model.decoder.begin(space.target, crossed.states)
        ids = np.repeat(before[:, None], N, axis=1)
        expected = model.decoder.forward(model.weights, space.target, ids, memory).attended
        wanted = expected.attention[n, :, LENGTHS.max() - LENGTHS[n] :]
        np.testing.assert_allclose(found.attention, wanted, rtol=0, atol=1e-12)
    plain = targets(model_of(attention="none"), sources, attention=True)
    assert all(one.attention is None for (one,) in plain)


def test_the_compiled_core_steps_as_numpy_does():
    backend = select("numpy")
    if backend.core is None:
        pytest.skip("the core is not compiled")
    for more in ({}, {"attention": "none", "embed": 3}, {"attention": "additive", "embed": 3}):
        fast = model_of(backend=backend, dtype="float32", bidirectional=True, **more)
        weights = fast.weights.flat
        plain = Transducer(fast.config, SOURCE - 1, numpy_backend(), weights, outputs=END)
        steps = [Stepping(model, sources_of(model), 2) for model in (fast, plain)]
        ids = np.full(2 * N, END)
        for rows in ([1, 1, 2, 3, 5, 4], [0, 0, 3, 3, 4, 5]):
            outlooks = [stepping.step(ids) for stepping in steps]
            np.testing.assert_allclose(outlooks[0].logits, outlooks[1].logits, rtol=0, atol=1e-4)
            for stepping in steps:
                stepping.follow(np.array(rows))
            ids = np.arange(2 * N) % TARGET


def test_weights_that_are_not_finite_are_named():
    model = model_of()
    model.weights.flat[...] = np.nan
    with pytest.raises(CharRNNError, match="not a finite number"):
        targets(model, sources_of(model))
