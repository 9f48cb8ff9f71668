"""The output layer: softmax, cross-entropy and their limits."""

import numpy as np
import pytest
from helpers import reference
from helpers.differences import check

from charrnn.backend import numpy_backend
from charrnn.config import ModelConfig
from charrnn.model import head as head_module
from charrnn.model.head import Head, LanguageModelHead
from charrnn.model.parameters import Parameters
from charrnn.model.stack import Stack


def head_with(rng, H=4, V=6, scale=1.0, dtype="float64"):
    head = LanguageModelHead(H, V, numpy_backend(), "decoder.")
    weights = Parameters.zeros(head.shapes(), np, np.dtype(dtype))
    weights.flat[...] = scale * rng.standard_normal(weights.flat.size)
    return head, weights


def test_surprisal_equals_the_reference(rng):
    head, weights = head_with(rng)
    top, targets = rng.standard_normal((5, 4, 3)), rng.integers(0, 6, (5, 3))
    nats = head.surprisal(weights, top, targets)
    W, b = weights["decoder.weight"], weights["decoder.bias"]
    for t, n in np.ndindex(5, 3):
        expected = reference.cross_entropy(W @ top[t, :, n] + b, targets[t, n])
        assert nats[t, n] == pytest.approx(expected, abs=1e-13)


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


@pytest.mark.parametrize("slab", [1, 1 << 21])
def test_a_mask_that_counts_no_target_gives_a_loss_and_gradients_of_0(slab, rng, monkeypatch):
    monkeypatch.setattr(head_module, "SLAB_ELEMENTS", slab)
    head, weights = head_with(rng)
    top, targets = rng.standard_normal((7, 4, 3)), rng.integers(0, 6, (7, 3))
    grads, d_top = weights.like(np.full_like(weights.flat, np.nan)), np.full_like(top, np.nan)
    nothing = np.zeros((7, 3), np.bool_)
    assert float(head.loss(weights, top, targets, grads, d_top, {}, mask=nothing)) == 0.0
    assert not grads.flat.any()
    assert not d_top.any()


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


def test_targets_that_do_not_count_change_neither_loss_nor_gradients(rng):
    head, weights = head_with(rng)
    top, targets = rng.standard_normal((7, 4, 3)), rng.integers(0, 6, (7, 3))
    mask = rng.random((7, 3)) < 0.6
    assert mask.any()
    assert not mask.all()
    kept = [(t, n) for t, n in np.ndindex(7, 3) if mask[t, n]]
    alone = np.stack([top[t, :, n] for t, n in kept], axis=1)[None]
    wanted = np.array([[targets[t, n] for t, n in kept]])
    found = []
    for given, goals, more in ((top, targets, {"mask": mask}), (alone, wanted, {})):
        grads, d_top = weights.like(np.full_like(weights.flat, np.nan)), np.full_like(given, np.nan)
        loss = head.loss(weights, given, goals, grads, d_top, {}, **more)
        found.append((float(loss), grads.flat, d_top))
    (loss, gradient, d_top), (expected, other, d_alone) = found
    assert loss == pytest.approx(expected, abs=1e-14)
    np.testing.assert_allclose(gradient, other, atol=1e-14)
    for m, (t, n) in enumerate(kept):
        np.testing.assert_allclose(d_top[t, :, n], d_alone[0, :, m], atol=1e-14)
    np.testing.assert_array_equal(d_top.transpose(0, 2, 1)[~mask], 0.0)


@pytest.mark.parametrize("slab", [40, 1 << 21])
def test_parts_of_an_update_add_up_to_its_mean(slab, rng, monkeypatch):
    """With ``symbols`` and masks: what counts in one part and in the other, over all of them."""
    monkeypatch.setattr(head_module, "SLAB_ELEMENTS", slab)
    head, weights = head_with(rng)
    top, targets = rng.standard_normal((7, 4, 3)), rng.integers(0, 6, (7, 3))
    mask = rng.random((7, 3)) < 0.6
    masks = (None, mask, ~mask)
    losses, gradients = [], []
    for each in masks:
        grads, d_top = weights.like(np.full_like(weights.flat, np.nan)), np.full_like(top, np.nan)
        loss = head.loss(weights, top, targets, grads, d_top, {}, mask=each, symbols=21)
        losses.append(float(loss))
        gradients.append(np.concatenate((grads.flat, d_top.ravel())))
    assert losses[0] == pytest.approx(losses[1] + losses[2], abs=1e-14)
    np.testing.assert_allclose(gradients[0], gradients[1] + gradients[2], atol=1e-14)


class LastStep(Head):
    """Another head: squared error of a number that is read off the last step."""

    kind = "regression"

    def __init__(self, hidden):
        self.H = hidden

    def shapes(self):
        return {"last.weight": (1, self.H), "last.bias": (1,)}

    def draw(self, host, rng):
        host["last.weight"][...] = rng.standard_normal((1, self.H))
        host["last.bias"][...] = 0.0

    def loss(
        self, weights, top, targets, grads, d_top, buffers, *, mask=None, symbols=None
    ):  # targets (N,)
        kept = np.ones(targets.shape) if mask is None else mask
        count = symbols or kept.sum()
        error = (weights["last.weight"] @ top[-1] + weights["last.bias"])[0] - targets
        slope = 2 * kept * error / count
        grads["last.weight"][...] = slope @ top[-1].T
        grads["last.bias"][...] = slope.sum()
        d_top[...] = 0.0
        d_top[-1] = weights["last.weight"].T * slope
        return np.sum(kept * error**2) / count


def test_another_head_on_a_stack_is_trained_by_the_same_gradients(rng):
    T, D, N, H = 5, 3, 4, 6
    stack, head = (
        Stack(ModelConfig(cell="gru", layers=2, hidden=H, dtype="float64"), D),
        LastStep(H),
    )
    weights = Parameters.zeros(stack.shapes() | head.shapes(), np, np.float64)
    stack.draw(weights, seed=1)
    head.draw(weights, rng)
    x, targets, mask = (
        rng.standard_normal((T, D, N)),
        rng.standard_normal(N),
        np.array([1, 0, 1, 1]),
    )
    window = stack.workspace(T, N)
    grads = weights.like(np.full_like(weights.flat, np.nan))

    def loss():
        window.reset()
        top = stack.forward(weights, window, x)
        d_top = window.d_top
        return float(head.loss(weights, top, targets, grads, d_top, window.buffers, mask=mask))

    loss()
    stack.backward(window, window.d_top, grads)
    gradient = {name: array.copy() for name, array in grads.items()}
    check(loss, dict(weights), gradient, rng)
    start = loss()
    for _ in range(30):
        loss()
        stack.backward(window, window.d_top, grads)
        weights.flat[...] -= 0.05 * grads.flat
    assert loss() < 0.1 * start
