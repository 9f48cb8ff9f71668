"""The gradient check passes on right gradients and fails on wrong ones."""

import numpy as np
import pytest
from helpers import reference

from charrnn.cells.lstm import LSTM
from charrnn.cells.rnn import RNN
from charrnn.config import ModelConfig
from charrnn.diagnosis.measures import gradcheck
from charrnn.model.head import LanguageModelHead
from charrnn.model.language import LanguageModel

V = 8
TEXT = np.random.default_rng(3).integers(0, V, 60).astype(np.uint8)


def model_of(form, **options):
    shape = {"hidden": 5, "layers": 2, "embed": 3} | reference.FORMS[form] | options
    return LanguageModel.fresh(ModelConfig(**shape), V, 1)


@pytest.mark.parametrize("form", reference.FORMS)
def test_every_form_passes(form):
    found = gradcheck.check(model_of(form), TEXT, seed=0)
    assert found.passed
    assert [part.name for part in found.parameters] == list(model_of(form).weights)
    assert [part.name for part in found.jacobians] == ["l0", "l1"]
    assert max(part.relative for part in found.parameters) < 1e-6
    assert max(part.difference for part in found.jacobians) < 1e-7


def test_the_model_itself_is_not_moved():
    model = model_of("lstm", dtype="float64")
    before = model.weights.flat.copy()
    gradcheck.check(model, TEXT, seed=0)
    np.testing.assert_array_equal(model.weights.flat, before)


def test_a_gradient_that_is_slightly_too_long_is_found(monkeypatch):
    right = LSTM.backward

    def wrong(self, xp, weights, s, dh, gradients, scratch):
        right(self, xp, weights, s, dh, gradients, scratch)
        gradients["h"] *= 1.0005

    monkeypatch.setattr(LSTM, "backward", wrong)
    found = gradcheck.check(model_of("lstm"), TEXT, seed=0)
    assert not found.passed
    assert not all(part.passed for part in found.jacobians)
    assert not all(part.passed for part in found.parameters)
    assert all(part.passed for part in found.parameters if part.name.startswith("decoder"))


def test_a_gradient_of_the_right_length_and_wrong_direction_is_found(monkeypatch):
    right = LanguageModelHead.loss

    def wrong(self, weights, top, targets, grads, *others, **more):
        loss = right(self, weights, top, targets, grads, *others, **more)
        grads["decoder.bias"][...] = np.roll(grads["decoder.bias"], 1)
        return loss

    monkeypatch.setattr(LanguageModelHead, "loss", wrong)
    found = gradcheck.check(model_of("rnn-tanh"), TEXT, seed=0)
    assert [part.name for part in found.parameters if not part.passed] == ["decoder.bias"]


def test_a_missing_slope_is_found_in_the_jacobian(monkeypatch):
    def wrong(self, xp, weights, s, dh, gradients, scratch):
        s.a[...] = dh
        xp.matmul(weights.hh_T, s.a, out=gradients["h"])

    monkeypatch.setattr(RNN, "backward", wrong)
    assert not gradcheck.check(model_of("rnn-tanh"), TEXT, seed=0).jacobians[0].passed


def test_both_backends_are_compared_where_both_work(device):
    found = gradcheck.check(model_of("gru-after"), TEXT, seed=0)
    assert found.backends == 0.0  # the double computes with NumPy
    assert found.passed


def test_the_reason_is_told_where_they_do_not(device):
    device.devices = 0
    found = gradcheck.check(model_of("gru-after"), TEXT, seed=0)
    assert found.backends is None
    assert "no GPU" in found.note
    assert found.passed
