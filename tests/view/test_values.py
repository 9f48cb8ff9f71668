"""The values of units and gates over a text."""

import numpy as np
import pytest

from charrnn.config import ModelConfig
from charrnn.errors import UsageError
from charrnn.model.language import LanguageModel
from charrnn.view.passage import Passage
from charrnn.view.values import Unit, ends, values

V, H = 7, 5


def new_model(**options):
    settings = {"hidden": H, "layers": 2, "dtype": "float64"} | options
    model = LanguageModel.fresh(ModelConfig(**settings), V, 2)
    model.weights.flat[...] *= 2.0
    return model


def text(n):
    return np.random.default_rng(1).integers(0, V, n)


def naive(model, ids):
    """Return what a two-layer LSTM computes: by name, (L, H), of the upper layer."""
    h, c = np.zeros((2, H)), np.zeros((2, H))
    found = {name: [] for name in ("h", "c", "i", "f", "g", "o")}
    W = {name.removeprefix("rnn."): model.weights[name] for name in model.weights}
    for symbol in ids:
        x = np.eye(V)[symbol]
        for k in range(2):
            a = W[f"weight_ih_l{k}"] @ x + W[f"weight_hh_l{k}"] @ h[k] + W[f"bias_ih_l{k}"]
            i, f, g, o = a.reshape(4, H)
            i, f, o = (1 / (1 + np.exp(-v)) for v in (i, f, o))
            g = np.tanh(g)
            c[k] = f * c[k] + i * g
            x = h[k] = o * np.tanh(c[k])
        for name, value in zip(found, (h[1], c[1], i, f, g, o), strict=True):
            found[name].append(value.copy())
    return {name: np.array(rows) for name, rows in found.items()}


@pytest.mark.parametrize("what", ["h", "c", "i", "f", "g", "o"])
def test_values_are_those_of_the_equations(what):
    model, ids = new_model(), text(300)
    expected = naive(model, ids)[what][:, 3]
    found = values(model, Passage(ids), Unit(1, 3, what))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_each_example_begins_with_a_zero_state_and_the_symbol_before_it():
    model, ids = new_model(), text(40)
    found = values(model, Passage(ids, (0, 15), 2), Unit(1, 0, "c"))
    for part in (slice(0, 15), slice(15, 40)):
        expected = naive(model, [2, *ids[part]])["c"][1:, 0]
        np.testing.assert_allclose(found[part], expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("cell", "text", "expected"),
    [
        ("lstm", "0:4", Unit(0, 4, "h")),
        ("lstm", "1:0:c", Unit(1, 0, "c")),
        ("gru", "1:2:z", Unit(1, 2, "z")),
        ("rnn", "1:2:h", Unit(1, 2, "h")),
    ],
)
def test_a_unit_is_read(cell, text, expected):
    found = Unit.read(text, new_model(cell=cell))
    assert found == expected
    assert Unit.read(str(found), new_model(cell=cell)) == expected


@pytest.mark.parametrize(
    ("cell", "text", "said"),
    [
        ("lstm", "2:0", "no layer 2; its layers are 0 to 1"),
        ("lstm", "0:5", "no unit 5; its units are 0 to 4"),
        ("lstm", "0:1:z", "no 'z'; choose h, c, i, f, g or o"),
        ("rnn", "0:1:f", "no 'f'; choose h"),
        ("gru", "17", "LAYER:UNIT"),
        ("gru", "-1:2", "LAYER:UNIT"),
    ],
)
def test_a_unit_that_is_not_there_is_refused(cell, text, said):
    with pytest.raises(UsageError, match=said):
        Unit.read(text, new_model(cell=cell))


@pytest.mark.parametrize(
    ("layers", "hidden", "text", "said"),
    [
        (1, 2, "1:0", "its layer is 0"),
        (2, 1, "0:1", "its unit is 0"),
        (1, 2, "0:2", "its units are 0 to 1"),
        (3, 2, "3:0", "its layers are 0 to 2"),
    ],
)
def test_the_layers_and_units_that_there_are_are_said(layers, hidden, text, said):
    model = new_model(layers=layers, hidden=hidden)
    with pytest.raises(UsageError) as caught:
        Unit.read(text, model)
    assert caught.value.remedy == said
    last = f"{layers - 1}:{hidden - 1}"
    assert str(Unit.read(last, model)) == last


def test_a_scale_has_the_ends_of_a_gate_or_the_largest_value():
    model = new_model()
    assert ends(model, Unit(0, 0, "f"), np.array([0.2])) == (0.0, 1.0)
    assert ends(model, Unit(0, 0, "g"), np.array([0.2])) == (-1.0, 1.0)
    assert ends(model, Unit(0, 0, "c"), np.array([0.2, -3.0, np.nan])) == (-3.0, 3.0)
    assert ends(model, Unit(0, 0, "h"), np.zeros(3)) == (-1.0, 1.0)
