"""The lag profile against autograd, and what its summaries must say of known curves."""

import numpy as np
import pytest
from helpers import reference

from charrnn.backend import select
from charrnn.config import ModelConfig
from charrnn.diagnosis.measures import curves, lag, totals
from charrnn.diagnosis.measures.values import in_float64
from charrnn.errors import CorpusError
from charrnn.model.language import LanguageModel

V, H = 9, 7


def model_of(form, layers=1, embed=0, seed=5, scale=1.6, **options):
    config = ModelConfig(
        hidden=H, layers=layers, embed=embed, init="uniform", **(reference.FORMS[form] | options)
    )
    model = LanguageModel.fresh(config, V, seed)
    model.weights.flat[...] *= scale  # away from the near-linear regime of small weights
    return in_float64(model)


def text(length, seed=11):
    return np.random.default_rng(seed).integers(0, V, length).astype(np.uint8)


def autograd(model, options, ids, anchor, context):
    """Return ‖∂ℓ/∂state‖ by state name, lag 0 first: an explicit loop in torch, retained grads."""
    torch = pytest.importorskip("torch")
    w = {n: torch.tensor(np.array(a), dtype=torch.float64) for n, a in model.weights.items()}
    rnn = {n.removeprefix("rnn."): a for n, a in w.items() if n.startswith("rnn.")}
    cell, form = options["cell"], options.get("activation", options.get("gru_reset", ""))
    before = "_before" if form == "before" else ""
    read = ids[anchor - context : anchor].astype(int)
    x = (
        w["embedding.weight"][read]
        if model.config.embed
        else torch.eye(V, dtype=torch.float64)[read]
    )
    kept = {}
    for layer in range(model.config.layers):
        ih, hh = (rnn[f"weight_{k}{before}_l{layer}"] for k in ("ih", "hh"))
        b = rnn[f"bias_ih{before}_l{layer}"]
        h = torch.zeros(H, dtype=torch.float64)
        c = torch.zeros(H, dtype=torch.float64)
        hs, cs = [], []
        for step in x:
            if cell == "rnn":
                a = ih @ step + b + hh @ h
                h = torch.tanh(a) if form == "tanh" else torch.relu(a)
            elif cell == "lstm":
                i, f, g, o = (ih @ step + b + hh @ h).chunk(4)
                c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
                c.requires_grad_().retain_grad()
                cs.append(c)
                h = torch.sigmoid(o) * torch.tanh(c)
            else:
                a_r, a_z, a_n = (ih @ step + b).chunk(3)
                u_r, u_z, u_n = hh.chunk(3)
                if form == "after":
                    c_r, c_z, c_n = rnn[f"bias_hh_l{layer}"].chunk(3)
                    r, z = torch.sigmoid(a_r + u_r @ h + c_r), torch.sigmoid(a_z + u_z @ h + c_z)
                    n = torch.tanh(a_n + r * (u_n @ h + c_n))
                else:
                    r, z = torch.sigmoid(a_r + u_r @ h), torch.sigmoid(a_z + u_z @ h)
                    n = torch.tanh(a_n + u_n @ (r * h))
                h = (1 - z) * n + z * h
            h.requires_grad_().retain_grad()
            hs.append(h)
        kept[f"h_l{layer}"] = hs
        if cs:
            kept[f"c_l{layer}"] = cs
        x = torch.stack(hs)
    logits = w["decoder.weight"] @ x[-1] + w["decoder.bias"]
    loss = torch.nn.functional.cross_entropy(logits[None], torch.tensor([int(ids[anchor])]))
    loss.backward()
    norms = {
        n: np.array([float(s.grad.norm()) for s in reversed(states)]) for n, states in kept.items()
    }
    return norms, float(loss.detach())


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("form", reference.FORMS)
def test_every_lag_equals_what_autograd_gives(form, layers):
    model, ids = model_of(form, layers, embed=3 * (layers - 1)), text(400)
    anchors = np.array([101, 137, 350])
    found, loss = lag.gradient_norms(model, ids, anchors, context=80, max_lag=64)
    expected = [autograd(model, reference.FORMS[form], ids, a, 80) for a in anchors.tolist()]
    assert loss == pytest.approx(np.mean([each for _, each in expected]), rel=1e-12)
    assert set(found) == set(expected[0][0])
    for name, norms in found.items():
        theirs = np.stack([each[name][:65] for each, _ in expected], axis=1)
        np.testing.assert_allclose(norms, theirs, rtol=1e-8, err_msg=name)


def test_the_profile_is_the_ratio_of_means():
    model, ids = model_of("lstm", 2), text(300)
    anchors = lag.choose_anchors(300, 40, 50, seed=2)
    profile = lag.profile(model, ids, anchors, 50, 30, seq_len=20)
    norms, _ = lag.gradient_norms(model, ids, anchors, 50, 30)
    told = profile.to_json()
    assert told["anchors"] == anchors.tolist()
    assert (told["context"], len(told["layers"])) == (50, 2)
    for layer, record in enumerate(told["layers"]):
        assert record["lags"] == list(range(31))
        for state in "hc":
            mine = norms[f"{state}_l{layer}"]
            np.testing.assert_allclose(record[state], mine.mean(axis=1) / mine[0].mean())
            np.testing.assert_allclose(
                record[f"{state}_q75"], np.quantile(mine, 0.75, axis=1) / mine[0].mean()
            )
        assert record["at_seq_len"] == record["h"][20]
        assert record["c_at_seq_len"] == record["c"][20]


def test_chunks_of_anchors_and_of_context_change_nothing(monkeypatch):
    model, ids = model_of("gru-after", 2), text(260)
    anchors = lag.choose_anchors(260, 20, 45, seed=0)
    whole, _ = lag.gradient_norms(model, ids, anchors, 45, 44)
    monkeypatch.setattr(lag, "CHUNK", 7)
    parts, _ = lag.gradient_norms(model, ids, anchors, 45, 6)  # 45 = 6 whole windows of 7, and 3
    for name, norms in parts.items():
        np.testing.assert_allclose(norms, whole[name][:7], rtol=1e-12)


def test_the_context_starts_from_zero_and_matters():
    model, ids = model_of("lstm"), text(200)
    other = ids.copy()
    other[:100] = (other[:100] + 1) % V
    at = np.array([150])
    same = lag.gradient_norms(model, ids, at, 50, 10)[0]["h_l0"]
    np.testing.assert_array_equal(same, lag.gradient_norms(model, other, at, 50, 10)[0]["h_l0"])
    assert (same != lag.gradient_norms(model, other, at, 80, 10)[0]["h_l0"]).all()


@pytest.mark.parametrize("tau", [0.7, 6.0, 55.0])
def test_half_life_and_efold_of_an_exponential(tau):
    mean = np.exp(-np.arange(80) / tau)
    curve = curves.Curve.of(np.stack([mean, mean], axis=1))
    assert curve.half_life == pytest.approx(tau * np.log(2), rel=1e-9)
    assert curve.efold == pytest.approx(tau, rel=1e-9)
    assert curve.r2 == pytest.approx(1.0)


def test_a_profile_that_does_not_fall_has_no_horizon():
    grows = curves.Curve.of(np.exp(np.arange(20) / 5.0)[:, None])
    assert (grows.half_life, grows.efold) == (None, None)
    assert grows.slope == pytest.approx(0.2)
    dead = curves.Curve.of(np.zeros((20, 3)))
    assert (dead.half_life, dead.efold, dead.slope) == (None, None, None)
    gone = curves.Curve.of(np.array([[1.0], [0.0], [0.0]]))
    assert (gone.half_life, gone.efold) == (1.0, None)


def test_tiny_gradients_do_not_underflow():
    """‖x‖ of elements whose squares are below the smallest number."""
    norms = totals.column_norms(np, np.array([[3e-200, 0.0], [4e-200, 0.0]]))
    np.testing.assert_allclose(norms, [5e-200, 0.0], rtol=1e-12)


def test_anchors_are_different_seeded_and_have_their_context():
    anchors = lag.choose_anchors(500, 100, 90, seed=4)
    assert len(set(anchors.tolist())) == 100
    assert anchors.min() >= 90
    assert anchors.max() < 500
    assert (anchors == lag.choose_anchors(500, 100, 90, seed=4)).all()
    assert (anchors != lag.choose_anchors(500, 100, 90, seed=5)).any()
    assert len(lag.choose_anchors(100, 256, 95, seed=0)) == 5
    with pytest.raises(CorpusError, match="96"):
        lag.choose_anchors(95, 10, 95, seed=0)


def test_another_device_gives_the_same_numbers(device):
    ids, anchors = text(200), np.array([60, 99, 180])
    here = model_of("lstm", 2, embed=4)
    there = LanguageModel(here.config, V, select("cupy"), here.weights.flat)
    mine = lag.gradient_norms(here, ids, anchors, 40, 12)
    theirs = lag.gradient_norms(there, ids, anchors, 40, 12)
    assert mine[1] == theirs[1]
    for name, norms in mine[0].items():
        np.testing.assert_array_equal(norms, theirs[0][name])
