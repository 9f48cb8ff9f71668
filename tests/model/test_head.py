"""The output layer: softmax, cross-entropy and their limits."""

import numpy as np
import pytest
from helpers import reference

from charrnn.backend import numpy_backend
from charrnn.model import head as head_module
from charrnn.model.head import LanguageModelHead
from charrnn.model.parameters import Parameters


def head_with(rng, H=4, V=6, scale=1.0, dtype="float64"):
    head = LanguageModelHead(H, V, numpy_backend(), "decoder.")
    weights = Parameters.zeros(head.shapes(), np, np.dtype(dtype))
    weights.flat[...] = scale * rng.standard_normal(weights.flat.size)
    return head, weights


def test_surprisal_and_log_probabilities_equal_the_reference(rng):
    head, weights = head_with(rng)
    top, targets = rng.standard_normal((5, 4, 3)), rng.integers(0, 6, (5, 3))
    nats, log_p = head.surprisal(weights, top, targets), head.log_probabilities(weights, top)
    np.testing.assert_allclose(np.exp(log_p).sum(axis=1), 1.0, rtol=1e-13)
    W, b = weights["decoder.weight"], weights["decoder.bias"]
    for t, n in np.ndindex(5, 3):
        expected = reference.cross_entropy(W @ top[t, :, n] + b, targets[t, n])
        assert nats[t, n] == pytest.approx(expected, abs=1e-13)
        assert log_p[t, targets[t, n], n] == pytest.approx(-expected, abs=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logits_of_any_size_neither_overflow_nor_vanish(dtype):
    head = LanguageModelHead(1, 3, numpy_backend(), "")
    weights = Parameters.zeros(head.shapes(), np, np.dtype(dtype))
    weights["bias"][...] = [2e4, -2e4, 0.0]
    top, targets = np.zeros((1, 1, 3), dtype), np.array([[0, 1, 2]])
    np.testing.assert_array_equal(head.surprisal(weights, top, targets), [[0.0, 4e4, 2e4]])
    grads, d_top = weights.like(np.empty_like(weights.flat)), np.empty_like(top)
    loss = head.loss(weights, top, targets, grads, d_top, {})
    assert float(loss) == pytest.approx(2e4)
    np.testing.assert_allclose(grads["bias"], [2 / 3, -1 / 3, -1 / 3], rtol=1e-6)


@pytest.mark.parametrize("slab", [1, 40, 1 << 21])
def test_the_loss_is_the_mean_surprisal_whatever_the_pieces(slab, rng, monkeypatch):
    monkeypatch.setattr(head_module, "SLAB_ELEMENTS", slab)
    head, weights = head_with(rng)
    top, targets = rng.standard_normal((7, 4, 3)), rng.integers(0, 6, (7, 3))
    grads, d_top = weights.like(np.full_like(weights.flat, np.nan)), np.full_like(top, np.nan)
    loss = head.loss(weights, top, targets, grads, d_top, {})
    W, b = weights["decoder.weight"], weights["decoder.bias"]
    nats, d_W, d_b, d_h = 0.0, np.zeros_like(W), np.zeros_like(b), np.zeros_like(top)
    for t, n in np.ndindex(7, 3):
        h, target = top[t, :, n], targets[t, n]
        logits = W @ h + b
        nats += reference.cross_entropy(logits, target) / 21
        d_logits = (np.exp(logits) / np.exp(logits).sum() - np.eye(6)[target]) / 21
        d_W, d_b = d_W + np.outer(d_logits, h), d_b + d_logits
        d_h[t, :, n] = W.T @ d_logits
    assert float(loss) == pytest.approx(nats, abs=1e-13)
    np.testing.assert_allclose(grads["decoder.weight"], d_W, atol=1e-14)
    np.testing.assert_allclose(grads["decoder.bias"], d_b, atol=1e-14)
    np.testing.assert_allclose(d_top, d_h, atol=1e-14)
    np.testing.assert_allclose(head.surprisal(weights, top, targets).mean(), nats, atol=1e-13)


def test_a_repeated_target_counts_each_time():
    """Streams that share a target at one step are different places of the gradient."""
    head = LanguageModelHead(1, 2, numpy_backend(), "")
    weights = Parameters.zeros(head.shapes(), np, np.float64)
    top, targets = np.zeros((2, 1, 3)), np.zeros((2, 3), np.uint8)
    grads = weights.like(np.empty_like(weights.flat))
    head.loss(weights, top, targets, grads, np.empty_like(top), {})
    np.testing.assert_allclose(grads["bias"], [-0.5, 0.5])


@pytest.mark.parametrize("ids", [np.uint8, np.uint16, np.uint32])
def test_small_id_types_do_not_wrap_around(ids, rng):
    """Places in (T, V, N) exceed what the ids' own type can hold."""
    V, shape = 200, (9, 11)
    head, weights = head_with(rng, H=2, V=V)
    top, targets = rng.standard_normal((9, 2, 11)), rng.integers(0, V, shape)
    expected = head.surprisal(weights, top, targets)
    np.testing.assert_array_equal(head.surprisal(weights, top, targets.astype(ids)), expected)


def test_parameters_are_views_of_one_vector():
    shapes = {"a": (2, 3), "b": (4,)}
    parameters = Parameters.zeros(shapes, np, np.float32)
    assert parameters.flat.shape == (10,)
    parameters["b"][...] = 2.0
    assert parameters.flat[6:].tolist() == [2.0] * 4
    parameters.flat[0] = 5.0
    assert parameters["a"][0, 0] == 5.0
    assert list(parameters) == ["a", "b"]
    for wrong in (9, 11):
        with pytest.raises(ValueError, match=r"11 elements for shapes that need 10|reshape"):
            Parameters(shapes, np.zeros(wrong))
