"""Layers that read a window backwards, alone and combined with forward layers."""

import numpy as np
import pytest
from doubles.bidirectional import Bidirectional
from helpers import reference
from helpers.differences import check

from charrnn import cells
from charrnn.backend import numpy_backend
from charrnn.config import ModelConfig
from charrnn.model.layer import Layer
from charrnn.model.stack import Stack

T, D, N, H, LAYERS = 6, 3, 2, 4, 2
forms = pytest.mark.parametrize("form", reference.FORMS)


def config_of(form):
    return ModelConfig(layers=LAYERS, hidden=H, dtype="float64", **reference.FORMS[form])


def reverse_stack(config):
    cell, backend = cells.create(config), numpy_backend()
    layers = [Layer(cell, H if l else D, H, backend, reverse=True) for l in range(LAYERS)]
    return Stack(config, D, layers=layers)


def bidirectional_stack(config):
    cell, backend = cells.create(config), numpy_backend()
    layers = [Bidirectional(cell, 2 * H if l else D, H, backend) for l in range(LAYERS)]
    return Stack(config, D, layers=layers)


def filled(stack, rng):
    weights = stack.initialise(seed=1)
    weights.flat[...] += 0.3 * rng.standard_normal(weights.flat.size)
    return weights


def passes(stack, weights, x, slope, rng):
    """Return the output, and all gradients by name, of a window with random initial states."""
    window = stack.workspace(T, N)
    states = {name: rng.standard_normal((H, N)) for name, _ in window.states()}
    for name, sequence in window.states():
        sequence[0] = states[name]
    top = stack.forward(weights, window, x).copy()
    grads = weights.like(np.full_like(weights.flat, np.nan))
    dx = stack.backward(window, slope, grads)
    return top, {"x": dx} | dict(grads) | window.state_gradients


@forms
@pytest.mark.parametrize("symbols", [False, True])
def test_a_layer_in_reverse_is_a_layer_on_the_reversed_sequence(form, symbols, rng):
    config = config_of(form)
    backwards, forwards = reverse_stack(config), Stack(config, D)
    weights = filled(backwards, rng)
    assert all(name.endswith("_reverse") for name in weights)
    x = rng.integers(0, D, (T, N)) if symbols else rng.standard_normal((T, D, N))
    slope, seed = rng.standard_normal((T, H, N)), rng.integers(1000)
    found = passes(backwards, weights, x, slope, np.random.default_rng(seed))
    plain = forwards.initialise(seed=0).like(weights.flat)
    expected = passes(forwards, plain, x[::-1], slope[::-1], np.random.default_rng(seed))
    np.testing.assert_allclose(found[0], expected[0][::-1], rtol=0, atol=1e-14)
    np.testing.assert_allclose(found[1].pop("x"), expected[1].pop("x")[::-1], rtol=0, atol=1e-13)
    for name, gradient in expected[1].items():
        np.testing.assert_allclose(found[1][f"{name}_reverse"], gradient, rtol=0, atol=1e-13)


def test_the_next_window_of_a_layer_in_reverse_starts_from_zero_states(rng):
    stack = bidirectional_stack(config_of("lstm"))
    weights, window = filled(stack, rng), stack.workspace(T, N)
    stack.forward(weights, window, rng.standard_normal((T, D, N)))
    ends = {name: sequence[T].copy() for name, sequence in window.states()}
    window.carry()
    for name, sequence in window.states():
        expected = 0.0 if name.endswith("_reverse") else ends[name]
        np.testing.assert_array_equal(sequence[0], np.broadcast_to(expected, (H, N)))
        assert ends[name].all()


@forms
def test_every_gradient_of_a_bidirectional_stack_equals_the_differences(form, rng):
    stack = bidirectional_stack(config_of(form))
    weights, window = filled(stack, rng), stack.workspace(T, N)
    x, slope = rng.standard_normal((T, D, N)), rng.standard_normal((T, 2 * H, N))

    def loss():
        window.reset()
        return float(np.sum(slope * stack.forward(weights, window, x)))

    loss()
    grads = weights.like(np.full_like(weights.flat, np.nan))
    dx = stack.backward(window, slope, grads).copy()
    point, gradient = dict(weights) | {"x": x}, dict(grads) | {"x": dx}
    for name in point:
        check(loss, point, gradient, rng, [name])


@pytest.mark.parametrize("form", ["lstm", "gru-after", "rnn-tanh"])
def test_a_bidirectional_stack_equals_that_of_pytorch(form, rng):
    torch = pytest.importorskip("torch")
    config = config_of(form)
    stack = bidirectional_stack(config)
    weights = filled(stack, rng)
    kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[config.cell]
    peer = kind(D, H, LAYERS, bidirectional=True).double()
    second = {name.replace("bias_ih", "bias_hh"): array for name, array in weights.items()}
    zeros = {name: torch.zeros(array.shape) for name, array in second.items() if "bias" in name}
    named = {name: torch.tensor(array) for name, array in weights.items()}
    peer.load_state_dict(zeros | named, strict=True)
    x, slope = rng.standard_normal((T, D, N)), rng.standard_normal((T, 2 * H, N))
    leaf = torch.tensor(np.ascontiguousarray(x.transpose(0, 2, 1)), requires_grad=True)
    theirs, _ = peer(leaf)
    theirs.backward(torch.tensor(np.ascontiguousarray(slope.transpose(0, 2, 1))))
    window = stack.workspace(T, N)
    top = stack.forward(weights, window, x)
    np.testing.assert_allclose(top, theirs.detach().numpy().transpose(0, 2, 1), rtol=0, atol=1e-10)
    grads = weights.like(np.full_like(weights.flat, np.nan))
    dx = stack.backward(window, slope, grads)
    expected = {name: p.grad.numpy() for name, p in peer.named_parameters()}
    expected["x"] = leaf.grad.numpy().transpose(0, 2, 1)
    for name, mine in (dict(grads) | {"x": dx}).items():
        assert np.abs(mine - expected[name]).max() <= 1e-8 * np.abs(expected[name]).max(), name
