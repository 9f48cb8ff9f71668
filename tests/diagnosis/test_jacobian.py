"""State Jacobians against differences; exponents and products against theorems."""

import numpy as np
import pytest
from helpers import reference

from charrnn.config import ModelConfig
from charrnn.diagnosis.measures import jacobian, spectra
from charrnn.diagnosis.measures.values import in_float64
from charrnn.model.language import LanguageModel

V = 6


def model_of(form, hidden=6, layers=1, seed=3, scale=1.0, **options):
    shape = (
        {"hidden": hidden, "layers": layers, "init": "uniform"} | reference.FORMS[form] | options
    )
    model = LanguageModel.fresh(ModelConfig(**shape), V, seed)
    model.weights.flat[...] *= scale
    return in_float64(model)


def text(length, seed=1):
    return np.random.default_rng(seed).integers(0, V, length).astype(np.uint8)


def window_of(model, ids):
    window = model.window(len(ids), 1)
    model.forward(window, ids[:, None], backward=True)
    return window


def recurrent(model, matrix=None, layer=0):
    weight = model.weights[f"rnn.weight_hh_l{layer}"]
    if matrix is not None:
        weight[...] = matrix
    return weight


@pytest.mark.parametrize("embed", [0, 4])
@pytest.mark.parametrize("form", reference.FORMS)
def test_the_jacobian_equals_central_differences(form, embed):
    model = model_of(form, layers=2, scale=1.9, embed=embed)
    window = window_of(model, text(15))
    for layer in (0, 1):
        for t in (0, 8, 14):
            exact = jacobian.exact(model, window, layer, t)
            near = jacobian.differences(model, window, layer, t)
            assert np.abs(exact).max() > 1e-3
            assert np.abs(exact - near).max() < 1e-9


def test_a_jacobian_of_another_step_is_told_apart():
    """The comparison above is sharp enough to notice the step next to the right one."""
    model = model_of("lstm", scale=1.9)
    window = window_of(model, text(15))
    wrong = jacobian.exact(model, window, 0, 7) - jacobian.differences(model, window, 0, 8)
    assert np.abs(wrong).max() > 1e-4


def test_the_full_state_of_an_lstm_has_both_halves():
    model = model_of("lstm", hidden=4)
    window = window_of(model, text(9))
    found = jacobian.exact(model, window, 0, 5)
    assert found.shape == (8, 8)
    # ∂c_t/∂c_{t-1} with h_{t-1} fixed is the forget gate, on the diagonal.
    np.testing.assert_allclose(found[4:, 4:], np.diag(window.layers[0].work[5, 4:8, 0]), atol=1e-15)


@pytest.mark.parametrize("seed", [0, 5])
def test_the_exponents_of_a_linear_rnn_are_those_of_its_matrix(seed):
    """Every unit of the rectifier active: J = W at every step."""
    model = model_of("rnn-relu", hidden=24)
    rng = np.random.default_rng(seed)
    W = rng.standard_normal((24, 24))
    W = recurrent(model, W * 0.93 / np.abs(np.linalg.eigvals(W)).max())  # a stable fixed point
    model.weights["rnn.bias_ih_l0"][...] = (np.eye(24) - W) @ np.full(24, 50.0)
    found = jacobian.dynamics(model, text(3100), 3000, exponents=24).layers[0]
    moduli = np.sort(np.log(np.abs(np.linalg.eigvals(W))))[::-1]
    assert found.exponents[0] == pytest.approx(moduli[0], abs=1e-3)
    np.testing.assert_allclose(found.exponents[:8], moduli[:8], atol=5e-3)
    assert sum(found.exponents) == pytest.approx(np.linalg.slogdet(W)[1], abs=1e-6)
    assert found.memory_time == pytest.approx(1 / abs(moduli[0]), rel=0.05)


def test_tanh_with_tiny_states_is_linear_too():
    model = model_of("rnn-tanh", hidden=16)
    model.weights.flat[...] *= 1e-4
    W = recurrent(model, np.random.default_rng(2).standard_normal((16, 16)) * 0.7 / 4)
    found = jacobian.dynamics(model, text(500), 3000)  # the text is read six times
    assert found.steps == 3000
    expected = np.log(np.abs(np.linalg.eigvals(W)).max())
    assert found.layers[0].exponents[0] == pytest.approx(expected, abs=1e-3)


def test_contraction_and_chaos_have_their_signs():
    calm, wild = (model_of("rnn-tanh", hidden=48, layers=2, seed=s) for s in (1, 2))
    q = np.linalg.qr(np.random.default_rng(3).standard_normal((48, 48)))[0]
    for layer in (0, 1):
        recurrent(calm, 0.5 * q, layer)
        recurrent(wild, 3.0 * q, layer)
    for model, sign in ((calm, -1), (wild, 1)):
        for layer in jacobian.dynamics(model, text(3000), 3000).layers:
            assert sign * layer.exponents[0] > 0.1
            assert layer.drift < 0.1
            assert sign * np.log(layer.products.norm[-1]) > 0


@pytest.mark.parametrize("form", ["lstm", "gru-after", "gru-before"])
def test_the_exponents_add_up_to_the_mean_log_determinant(form):
    model = model_of(form, hidden=3, layers=2, scale=1.5)
    ids = text(400)
    found = jacobian.dynamics(model, ids, 400, exponents=99)
    window = window_of(model, ids)
    u = (np.arange(400) + 0.5) / 400
    weight = np.exp(-1 / (u * (1 - u)))
    for layer in (0, 1):
        logs = [np.linalg.slogdet(jacobian.exact(model, window, layer, t))[1] for t in range(400)]
        assert sum(found.layers[layer].exponents) == pytest.approx(
            np.average(logs, weights=weight), abs=1e-9
        )


def test_products_are_those_of_the_jacobians():
    model = model_of("lstm", hidden=4, layers=2, scale=1.4)
    ids = text(30)
    found = jacobian.dynamics(model, ids, 30, max_lag=11, places=1)
    window = window_of(model, ids)
    for layer in (0, 1):
        products = found.layers[layer].products
        assert products.lags == [1, 2, 4, 8, 11]
        for k, norm in zip(products.lags, products.norm, strict=True):
            product = np.eye(8)
            for t in range(29, 29 - k, -1):
                product = product @ jacobian.exact(model, window, layer, t)
            assert norm == pytest.approx(np.linalg.norm(product, 2), rel=1e-9)


def test_a_state_that_overflows_is_reported_not_averaged():
    model = model_of("rnn-relu", hidden=8)
    recurrent(model, 3.0 * np.eye(8))
    found = jacobian.dynamics(model, text(2000), 2000)
    assert 500 < found.overflow < 1000
    assert found.steps == found.overflow
    assert found.layers[0].exponents[0] == pytest.approx(np.log(3), abs=1e-6)


def test_a_dead_network_has_very_negative_finite_exponents():
    model = model_of("rnn-relu", hidden=5)
    model.weights["rnn.bias_ih_l0"][...] = -100.0
    found = jacobian.dynamics(model, text(50), 50)
    assert found.layers[0].exponents[0] < -100
    assert np.isfinite(found.layers[0].exponents).all()


def test_radius_and_singular_value_and_the_sufficient_condition():
    model = model_of("rnn-tanh", hidden=12, layers=2)
    jordan = 0.5 * np.eye(12) + 2.0 * np.eye(12, k=1)  # ρ = 0.5, σ₁ well above 1
    recurrent(model, jordan, 0)
    recurrent(model, 0.9 * np.eye(12), 1)
    first, second = spectra.recurrent(model)
    assert first.spectral_radius == pytest.approx(0.5, abs=0.06)
    assert first.sigma_max == pytest.approx(np.linalg.svd(jordan)[1][0])
    assert (first.vanishing_sufficient, second.vanishing_sufficient) == (False, True)
    gates = spectra.recurrent(model_of("gru-after"))
    assert [part.gate for part in gates] == ["r", "z", "n"]
    assert {part.vanishing_sufficient for part in gates} == {None}


def test_an_orthogonal_matrix_in_float32_does_not_count_as_contracting():
    config = ModelConfig(cell="rnn", hidden=64, init="orthogonal")
    for seed in range(4):
        model = LanguageModel.fresh(config, V, seed)
        assert spectra.recurrent(model)[0].vanishing_sufficient is False
