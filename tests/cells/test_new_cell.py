"""A cell is one file: what it declares is all that layers, stacks and gradients need."""

from dataclasses import replace

import numpy as np
import pytest
from doubles.min_gru import MinGRU
from doubles.peephole import PeepholeLSTM
from helpers import reference
from helpers.differences import check

from charrnn.backend import numpy_backend
from charrnn.cells.base import BiasGradient, MatrixGradient
from charrnn.cells.lstm import LSTM
from charrnn.config import ModelConfig
from charrnn.model.layer import Layer
from charrnn.model.stack import Stack

T, D, N, H = 5, 3, 2, 4


def stack_of(cell, layers=2):
    config = ModelConfig(layers=layers, hidden=H, dtype="float64")
    return Stack(
        config, D, layers=[Layer(cell, H if l else D, H, numpy_backend()) for l in range(layers)]
    )


def filled(stack, rng):
    weights, window = stack.initialise(seed=1), stack.workspace(T, N)
    weights.flat[...] += 0.4 * rng.standard_normal(weights.flat.size)
    states = {name: rng.standard_normal((H, N)) for name, _ in window.states()}
    return weights, window, states


def start(window, states):
    for name, sequence in window.states():
        sequence[0] = states[name]


@pytest.mark.parametrize("cell", [PeepholeLSTM(), MinGRU()], ids=lambda cell: cell.name)
class TestNewCell:
    def test_it_equals_its_reference(self, cell, rng):
        stack = stack_of(cell)
        weights, window, states = filled(stack, rng)
        x = rng.standard_normal((T, D, N))
        start(window, states)
        top = stack.forward(weights, window, x)
        expected, final = reference.stack({"cell": cell.name, "layers": 2}, weights, x, states)
        np.testing.assert_allclose(top, expected, rtol=0, atol=1e-12)
        for name, sequence in window.states():
            np.testing.assert_allclose(sequence[T], final[name], rtol=0, atol=1e-12)

    def test_every_gradient_equals_the_differences(self, cell, rng):
        stack = stack_of(cell)
        weights, window, states = filled(stack, rng)
        x, slope = rng.standard_normal((T, D, N)), rng.standard_normal((T, H, N))

        def loss():
            start(window, states)
            return float(np.sum(slope * stack.forward(weights, window, x)))

        loss()
        grads = weights.like(np.full_like(weights.flat, np.nan))
        dx = stack.backward(window, slope, grads)
        gradient = dict(grads) | {"x": dx} | window.state_gradients
        gradient = {name: array.copy() for name, array in gradient.items()}
        point = dict(weights) | {"x": x} | states
        for name in point:
            check(loss, point, gradient, rng, [name])


def test_complete_adds_every_path_from_the_cell_state_to_the_output(rng):
    """Of a peephole LSTM there are two: h = σ(a + p ⊙ c) ⊙ tanh(c)."""
    stack = stack_of(PeepholeLSTM(), layers=1)
    weights, window, states = filled(stack, rng)
    start(window, states)
    stack.forward(weights, window, rng.standard_normal((1, D, N)))
    ws, cell = window.layers[0], stack.cell
    slope, c, p = rng.standard_normal((H, N)), ws.states["c"][1], weights["peephole_o_l0"][:, None]
    o = ws.work[0, 3 * H :]
    a = np.log(o / (1 - o)) - p * c
    d_c = {"h": np.zeros((H, N)), "c": np.zeros((H, N))}
    cell.add_output_path(np, window.staged[0].cell, ws.steps[0], slope, d_c, ws.scratch)

    def output():
        return float(np.sum(slope * np.tanh(c) / (1 + np.exp(-(a + p * c)))))

    check(output, {"c": c}, d_c, rng)


def test_a_recurrent_parameter_needs_a_gradient_for_each_of_its_rows():
    rows = slice(0, 4 * H)
    whole = MatrixGradient("weight_hh", rows, rows, "h'")
    half = replace(whole, rows=slice(0, 2 * H))
    for terms, wrong in (
        ((), "weight_hh"),
        ((half,), "weight_hh"),
        ((whole, half), "weight_hh"),
        ((replace(whole, rows=slice(0, 4 * H + 1)),), "weight_hh"),
        ((whole, BiasGradient("bias_hh", rows, rows)), "unknown parameters: bias_hh"),
    ):

        class Wrong(LSTM):
            given = terms

            def gradient_terms(self, H):
                return self.given

        with pytest.raises(TypeError, match=wrong):
            Layer(Wrong(), D, H, numpy_backend())
    with pytest.raises(TypeError, match="peephole_o"):

        class Forgetful(PeepholeLSTM):
            def gradient_terms(self, H):
                return super().gradient_terms(H)[:-1]

        Layer(Forgetful(), D, H, numpy_backend())


def test_a_cell_may_compute_all_steps_of_a_window_at_once(rng):
    """As a compiled core does: the layer asks for a window, not for steps."""

    class Whole(LSTM):
        calls = 0

        def forward_steps(self, xp, weights, ws, start, stop):
            type(self).calls += 1
            super().forward_steps(xp, weights, ws, start, stop)

        def backward_steps(self, xp, weights, ws, d_out, start, stop):
            type(self).calls += 1
            super().backward_steps(xp, weights, ws, d_out, start, stop)

    found = []
    x, slope = rng.standard_normal((T, D, N)), rng.standard_normal((T, H, N))
    for cell in (LSTM(), Whole()):
        stack = stack_of(cell)
        weights, window = stack.initialise(seed=3), stack.workspace(T, N)
        top = stack.forward(weights, window, x).copy()
        grads = weights.like(np.full_like(weights.flat, np.nan))
        found.append((top, stack.backward(window, slope, grads), grads.flat))
    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert Whole.calls == 4
