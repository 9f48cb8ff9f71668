"""Norms, clipping and updates against what training itself does with the same window."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import reference

from charrnn.backend import select
from charrnn.config import ModelConfig, TrainConfig
from charrnn.diagnosis.measures import gates, norms
from charrnn.diagnosis.measures.values import Spread, plain
from charrnn.model.language import LanguageModel
from charrnn.tasks.language import LanguageTask
from charrnn.train.loop import Loop

V = 7
PLAN = TrainConfig(batch=3, seq_len=6, lr=0.05, clip_norm=0.5, optimizer="sgd", momentum=0.0)


def model_of(form="lstm", backend=None, **options):
    shape = {"hidden": 5, "layers": 2, "dtype": "float64"} | reference.FORMS[form] | options
    return LanguageModel.fresh(ModelConfig(**shape), V, 8, backend)


def text(length=200, seed=0):
    return np.random.default_rng(seed).integers(0, V, length).astype(np.uint8)


@pytest.mark.parametrize("state", ["carry", "reset"])
@pytest.mark.parametrize("form", ["lstm", "gru-after", "rnn-relu"])
def test_the_norm_of_a_window_is_the_one_that_training_records(form, state):
    """One window after the first, which training reaches with a learning rate of nothing."""
    plan = replace(PLAN, state=state, lr=1e-300)
    found = norms.measure(model_of(form), text(), plan, windows=4)
    loop = Loop(
        LanguageTask(model_of(form), text(), text(0), replace(plan, steps=9, eval_every=0)),
        replace(plan, steps=9, eval_every=0),
    )
    trained = []
    for _ in range(5):
        loop.step()
        trained.append(float(loop._norm))
    skipped = 1 if state == "carry" else 0  # a first window that starts from zero
    np.testing.assert_allclose(found.series, trained[skipped : skipped + 4], rtol=1e-12)


def test_weights_are_left_alone_and_parts_add_up():
    model = model_of(embed=3)
    before = model.weights.flat.copy()
    found = norms.measure(model, text(), PLAN, windows=5)
    np.testing.assert_array_equal(model.weights.flat, before)
    assert set(found.parameters) == set(model.weights)
    assert set(found.layers) == {"embedding", "l0", "l1", "decoder"}
    for group in (found.parameters, found.layers):
        squares = sum(part.weight_norm**2 for part in group.values())
        assert squares == pytest.approx(found.all.weight_norm**2)
        assert sum(part.size for part in group.values()) == found.all.size == before.size
    assert found.all.grad.mean == pytest.approx(np.mean(found.series))
    assert found.all.grad.median == pytest.approx(np.median(found.series))


@pytest.mark.parametrize("limit", [0.0, 0.05, 0.2])
def test_an_update_of_plain_descent_is_the_clipped_gradient_times_the_rate(limit):
    found = norms.measure(model_of(), text(), replace(PLAN, clip_norm=limit), windows=7)
    series = np.array(found.series)[3:]  # the first half warms up the moments
    clipped = np.minimum(series, limit) if limit else series
    expected = PLAN.lr * clipped / found.all.weight_norm
    assert found.all.update_ratio.median == pytest.approx(np.median(expected), rel=1e-9)
    assert found.all.update_ratio.p95 == pytest.approx(np.percentile(expected, 95), rel=1e-9)


def test_clipping_is_counted():
    series = np.array(norms.measure(model_of(), text(), PLAN, windows=9).series)
    limit = float(np.sort(series)[5])  # three of nine are longer
    clip = norms.measure(model_of(), text(), replace(PLAN, clip_norm=limit), windows=9).clip
    assert clip.share == pytest.approx(3 / 9)
    assert clip.factor == pytest.approx(limit / np.median(series[series > limit]))
    assert clip.largest == pytest.approx(series.max())
    by_value = norms.measure(model_of(), text(), replace(PLAN, clip_value=1e-9), windows=3).clip
    assert by_value.value_share > 0.8
    assert by_value.share == 0.0


def test_moments_of_the_run_are_used():
    model = model_of()
    size = model.weights.flat.size
    plan = PLAN.changed(optimizer="adam", clip_norm=0.0)
    large = {"m": np.zeros(size), "v": np.full(size, 1e6)}
    held_back = norms.measure(model, text(), plan, 4, large, step=5000)
    alone = norms.measure(model, text(), plan, 4)
    assert held_back.moments
    assert not alone.moments
    assert held_back.all.update_ratio.median < 1e-3 * alone.all.update_ratio.median


def test_the_loss_after_the_update_is_measured_on_the_same_window():
    gentle = norms.measure(model_of(), text(), replace(PLAN, clip_norm=0.0), 4)
    assert gentle.loss_change < 0
    # To first order an update by -lr g changes the loss by -lr |g|².
    expected = -PLAN.lr * np.mean(np.square(gentle.series[:4]))
    assert gentle.loss_change == pytest.approx(expected, rel=0.2)
    wild = norms.measure(model_of(), text(), replace(PLAN, lr=500.0), 4)
    assert wild.loss_change > 1


def test_norms_and_gates_on_another_device(device):
    results = []
    for backend in (None, select("cupy")):
        model = model_of(embed=3, backend=backend)
        plan = PLAN.changed(optimizer="adam", clip_value=0.01)
        results.append(
            (
                norms.measure(model, text(), plan, 3),
                gates.measure(model, text(), plan, 3),
            )
        )
    assert plain(results[0]) == plain(results[1])


def test_spread():
    assert Spread.of([1.0, 2.0, 9.0]).median == 2.0
    assert np.isnan(Spread.of([]).mean)
    assert Spread.of([1.0, np.inf]).mean == np.inf
    assert plain({"a": np.float32(0.5), "b": [np.nan, np.array([1, 2])]}) == {
        "a": 0.5,
        "b": [None, [1, 2]],
    }


def constant(form, **biases):
    """Return a model whose gates do not depend on anything but their biases."""
    model = model_of(form, layers=1)
    cell = model.stack.cell
    for name, array in model.weights.items():
        if not name.startswith("decoder"):
            array[...] = 0.0
    for gate, value in biases.items():
        rows = slice(5 * cell.gates.index(gate), 5 * cell.gates.index(gate) + 5)
        model.weights["rnn." + model.stack.name("bias_ih", 0)][rows] = value
    return model


def test_saturation_is_seen_gate_by_gate():
    found = gates.measure(constant("lstm", i=-9.0, f=2.0, g=4.0, o=9.0), text(), PLAN, 3)[0]
    shares = {gate.gate: (gate.left, gate.right, gate.kind) for gate in found.gates}
    assert shares == {
        "i": (1.0, 0.0, "logistic"),
        "f": (0.0, 0.0, "logistic"),
        "g": (0.0, 1.0, "tanh"),
        "o": (0.0, 1.0, "logistic"),
    }
    assert found.samples == 3 * 18
    for gate in found.gates:
        assert sum(gate.histogram) == pytest.approx(1.0)
    assert found.gates[1].mean == pytest.approx(1 / (1 + np.exp(-2)))
    assert found.gates[0].histogram[0] == 1.0


@pytest.mark.parametrize(("form", "gate"), [("lstm", "f"), ("gru-after", "z"), ("gru-before", "z")])
def test_the_time_constant_of_a_constant_gate(form, gate):
    bias = 2.5
    tau = gates.measure(constant(form, **{gate: bias}), text(), PLAN, 3)[0].time_constants
    expected = -1.0 / np.log(1 / (1 + np.exp(-bias)))
    assert tau.gate == gate
    assert (tau.q25, tau.median, tau.longest) == pytest.approx((expected,) * 3)
    assert tau.beyond_window == (1.0 if expected > PLAN.seq_len else 0.0)


def test_units_that_are_dead_or_do_not_vary():
    relu = constant("rnn-relu", h=-1.0)
    units = gates.measure(relu, text(), PLAN, 2)[0].units
    assert (units.dead, units.still, units.saturated) == (1.0, 1.0, 0.0)
    tanh = constant("rnn-tanh", h=5.0)
    tanh.weights["rnn.weight_ih_l0"][0] = np.linspace(
        -5.5, -4.5, V
    )  # one unit that follows the text
    units = gates.measure(tanh, text(), PLAN, 2)[0].units
    assert units.dead is None
    assert units.still == pytest.approx(4 / 5)
    assert units.stuck == pytest.approx(4 / 5)
