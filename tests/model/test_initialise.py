"""Initial weights."""

import numpy as np
import pytest

from charrnn.config import ModelConfig
from charrnn.model import initialise
from charrnn.model.language import LanguageModel
from charrnn.model.stack import Stack
from charrnn.randomness import Purpose, generator


@pytest.mark.parametrize("scheme", ["uniform", "xavier", "orthogonal", "identity"])
def test_initial_weights_are_what_their_scheme_says(scheme):
    H, D = 40, 30
    cell = "rnn" if scheme == "identity" else "lstm"
    options = {"forget_bias": 0.25} if cell == "lstm" else {}
    config = ModelConfig(cell=cell, hidden=H, init=scheme, dtype="float64", **options)
    weights = Stack(config, D).initialise(seed=5)
    gates = 1 if cell == "rnn" else 4
    ih, hh = (np.split(weights[f"weight_{kind}_l0"], gates) for kind in ("ih", "hh"))
    bias = weights["bias_ih_l0"]
    if cell == "lstm":
        np.testing.assert_array_equal(bias[H : 2 * H], 0.25)
        bias = np.delete(bias, np.s_[H : 2 * H])
    if scheme == "uniform":
        assert 0.9 * H**-0.5 < np.abs(hh[0]).max() <= H**-0.5
        assert 0.8 * H**-0.5 < np.abs(bias).max() <= H**-0.5
        return
    assert not bias.any()
    if scheme == "identity":
        np.testing.assert_array_equal(hh[0], np.eye(H))
        assert ih[0].std() == pytest.approx(1e-3, rel=0.1)
        return
    limit = np.sqrt(6 / (H + D))
    assert all(0.9 * limit < np.abs(block).max() <= limit for block in ih)
    for block in hh:
        if scheme == "orthogonal":
            np.testing.assert_allclose(block @ block.T, np.eye(H), atol=1e-12)
        else:
            assert 0.9 * np.sqrt(3 / H) < np.abs(block).max() <= np.sqrt(3 / H)
    assert not np.allclose(hh[0], hh[1])


def test_orthogonal_matrices_have_both_determinants():
    """Drawn from the whole group, not from the half that QR alone gives."""
    signs = set()
    for seed in range(12):
        weights = {"weight_hh": np.empty((3, 3))}
        initialise.recurrent(weights, 3, "orthogonal", generator(seed, Purpose.INIT))
        signs.add(round(float(np.linalg.det(weights["weight_hh"]))))
    assert signs == {-1, 1}


def test_initial_weights_depend_on_the_seed_and_differ_between_layers():
    config = ModelConfig(cell="gru", layers=3, hidden=6, embed=6)
    one, again, other = (LanguageModel.fresh(config, 6, seed).weights for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.flat, again.flat)
    assert not np.isclose(one.flat, other.flat).any()
    assert not np.allclose(one["rnn.weight_hh_l1"], one["rnn.weight_hh_l2"])
    assert not np.allclose(one["rnn.weight_hh_l0"], one["rnn.weight_hh_l1"])


def test_one_hot_inputs_are_heard_from_the_start():
    """A symbol moves the gates by about as much as the saturation of a gate allows."""
    model = LanguageModel.fresh(ModelConfig(hidden=64), 50, seed=3)
    columns = model.weights["rnn.weight_ih_l0"]
    assert 1.8 < columns.std() < 2.2
    assert abs(columns.mean()) < 0.1
    irnn = LanguageModel.fresh(ModelConfig(cell="rnn", init="identity", hidden=64), 50, seed=3)
    assert irnn.weights["rnn.weight_ih_l0"].std() < 0.002
