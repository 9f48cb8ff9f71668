"""The stack of cells equals a naive reference, in one window or in many, with dropout or not."""

import numpy as np
import pytest
from helpers import reference

from charrnn import cells
from charrnn.config import ModelConfig
from charrnn.errors import UsageError
from charrnn.model.language import LanguageModel
from charrnn.model.stack import Stack
from charrnn.registry import CELLS

forms = pytest.mark.parametrize("form", reference.FORMS)
depths = pytest.mark.parametrize("layers", [1, 2, 3])


def config_of(form, **options):
    return ModelConfig(**{"hidden": 5, "dtype": "float64"} | options | reference.FORMS[form])


def spread(weights, rng):
    weights.flat[...] += 0.4 * rng.standard_normal(weights.flat.size)
    return weights


def test_every_cell_has_a_reference():
    known = {cell for cell, _ in reference.CELLS}
    missing = set(CELLS.builtin()) - known
    assert not missing, f"tests/reference.py has no equations for {sorted(missing)}"
    covered = {reference.cell_of(options)[0] for options in reference.FORMS.values()}
    assert covered == {equations for equations, _, _ in reference.CELLS.values()}


@forms
@depths
def test_outputs_and_final_states_equal_the_reference(form, layers, rng):
    T, D, N = 6, 4, 3
    config = config_of(form, layers=layers)
    stack = Stack(config, D)
    weights = spread(stack.initialise(seed=3), rng)
    window = stack.workspace(T, N)
    x = rng.standard_normal((T, D, N))
    initial = {name: rng.standard_normal((5, N)) for name, _ in window.states()}
    for name, sequence in window.states():
        sequence[0] = initial[name]
    top = stack.forward(weights, window, x)
    expected, final = reference.stack(
        {"layers": layers} | reference.FORMS[form], weights, x, initial
    )
    np.testing.assert_allclose(top, expected, rtol=0, atol=1e-12)
    assert dict(window.states()).keys() == final.keys()
    for name, sequence in window.states():
        np.testing.assert_allclose(sequence[T], final[name], rtol=0, atol=1e-12)


@forms
@pytest.mark.parametrize("embed", [0, 3])
@pytest.mark.parametrize("layers", [1, 3])
def test_loss_equals_the_reference(form, embed, layers, rng):
    T, N, V = 5, 2, 9
    model = LanguageModel.fresh(config_of(form, layers=layers, embed=embed), V, seed=8)
    spread(model.weights, rng)
    ids, targets = rng.integers(0, V, (2, T, N))
    grads = model.weights.like(np.empty_like(model.weights.flat))
    window = model.window(T, N)
    initial = {name: rng.standard_normal((5, N)) for name, _ in window.states()}
    for name, sequence in window.states():
        sequence[0] = initial[name]
    loss = model.loss_and_gradient(window, ids, targets, grads)
    options = {"layers": layers} | reference.FORMS[form]
    nats, _ = reference.language_surprisal(options, model.weights, ids, targets, initial)
    assert float(loss) == pytest.approx(nats.mean(), abs=1e-12)
    for name, sequence in window.states():
        sequence[0] = initial[name]
    np.testing.assert_allclose(model.surprisal(window, ids, targets), nats, rtol=0, atol=1e-12)


@forms
def test_three_windows_with_carried_state_equal_a_long_one(form, rng):
    T, N, V = 12, 3, 6
    model = LanguageModel.fresh(config_of(form, layers=2, embed=3), V, seed=1)
    ids = rng.integers(0, V, (T, N))
    whole = model.forward(model.window(T, N), ids).copy()
    window = model.window(5, N)
    parts = []
    for start, stop in ((0, 5), (5, 9), (9, 12)):
        parts.append(model.forward(window, ids[start:stop]).copy())
        window.carry()
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=0, atol=1e-14)
    window.reset()
    assert not any(sequence[0].any() for _, sequence in window.states())
    np.testing.assert_allclose(model.forward(window, ids[:5]), whole[:5], rtol=0, atol=1e-14)


@forms
@pytest.mark.parametrize("embed", [0, 3])
def test_no_gradient_crosses_the_edge_of_a_window(form, embed, rng):
    """The gradient of a window is that with its carried state as a constant."""
    T, N, V = 4, 2, 6
    model = LanguageModel.fresh(config_of(form, layers=2, embed=embed), V, seed=4)
    first, second = rng.integers(0, V, (2, 2, T, N))
    grads = model.weights.like(np.empty_like(model.weights.flat))
    window = model.window(T, N)
    model.loss_and_gradient(window, *first, grads)
    window.carry()
    states = {name: sequence[0].copy() for name, sequence in window.states()}
    assert all(state.any() for state in states.values())
    carried = float(model.loss_and_gradient(window, *second, grads))
    constant = model.weights.like(np.empty_like(model.weights.flat))
    alone = model.window(T, N)
    for name, sequence in alone.states():
        sequence[0] = states[name]
    assert float(model.loss_and_gradient(alone, *second, constant)) == carried
    np.testing.assert_array_equal(grads.flat, constant.flat)


@forms
def test_dropout_takes_only_the_way_up(form, rng):
    """Outputs equal the reference with masks between layers and none on the recurrent path."""
    T, D, N, rate, key = 5, 3, 4, 0.4, (9, 21)
    stack = Stack(config_of(form, layers=3, dropout=rate), D)
    weights, window = spread(stack.initialise(seed=6), rng), stack.workspace(T, N)
    x = rng.standard_normal((T, D, N))
    masks = stack.masks(T, N).draw(*key, T)
    options = {"layers": 3} | reference.FORMS[form]
    top = stack.forward(weights, window, x, masks=masks)
    expected, _ = reference.stack(options, weights, x, masks=masks)
    np.testing.assert_allclose(top, expected, rtol=0, atol=1e-12)
    window.reset()
    plain, _ = reference.stack(options, weights, x)
    np.testing.assert_allclose(stack.forward(weights, window, x), plain, rtol=0, atol=1e-12)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_single_precision_stays_single_and_near_double(cell, rng):
    ids, targets = rng.integers(0, 5, (2, 6, 3))
    losses = {}
    for dtype in ("float32", "float64"):
        config = ModelConfig(cell=cell, layers=2, hidden=7, embed=3, dropout=0.2, dtype=dtype)
        model = LanguageModel.fresh(config, 5, seed=2)
        grads = model.weights.like(np.empty_like(model.weights.flat))
        window = model.window(6, 3)
        losses[dtype] = model.loss_and_gradient(
            window, ids, targets, grads, model.stack.masks(6, 3).draw(1, 1, 6)
        )
        arrays = [grads.flat, losses[dtype], window.d_top, *dict(window.states()).values()]
        assert {array.dtype for array in arrays} == {np.dtype(dtype)}
    assert float(losses["float32"]) == pytest.approx(float(losses["float64"]), rel=1e-5)


def test_vanilla_is_another_name_of_rnn_and_an_unknown_cell_is_an_error():
    assert CELLS.canonical("vanilla") == "rnn"
    assert type(cells.create(ModelConfig(cell="vanilla"))) is type(
        cells.create(ModelConfig(cell="rnn"))
    )
    with pytest.raises(UsageError, match="gru, lstm, rnn"):
        cells.create(ModelConfig(cell="transformer"))
    with pytest.raises(UsageError, match="tanh, relu"):
        cells.create(ModelConfig(cell="rnn", activation="gelu"))
    with pytest.raises(UsageError, match="after, before"):
        cells.create(ModelConfig(cell="gru", gru_reset="never"))


def test_a_restart_zeroes_the_states_of_the_streams_it_names_and_no_others(rng):
    stack = Stack(ModelConfig(cell="lstm", layers=2, hidden=3, dtype="float64"), inputs=2)
    window = stack.workspace(steps=4, streams=3)
    stack.forward(stack.initialise(seed=0), window, rng.standard_normal((4, 2, 3)))
    window.carry()
    before = {name: sequence[0].copy() for name, sequence in window.states()}
    window.restart(np.array([1.0, 0.0, 1.0]))
    for name, sequence in window.states():
        assert not sequence[0][:, 1].any()
        np.testing.assert_array_equal(sequence[0][:, [0, 2]], before[name][:, [0, 2]])
        assert before[name][:, 1].all()
