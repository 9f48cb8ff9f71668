"""Use of context, on a model whose memory is known because it is built by hand."""

import numpy as np
import pytest

from charrnn.config import ModelConfig, TrainConfig
from charrnn.diagnosis.measures import context
from charrnn.model.language import LanguageModel

PLAN = TrainConfig(batch=4, seq_len=10)


def shift_register(lag):
    """A model that predicts of every bit the one ``lag`` before it, nine times in ten.

    Unit 0 takes the bit in, as ± a small value so that tanh is linear; each unit hands on to the
    next; the last one is read.
    """
    small = 1e-3
    config = ModelConfig(cell="rnn", hidden=lag, dtype="float64", init="uniform")
    model = LanguageModel(config, 2, None, np.zeros(2 * lag + lag * lag + lag + 2 * lag + 2))
    weights = model.weights
    weights["rnn.weight_ih_l0"][0] = (-small, small)
    weights["rnn.weight_hh_l0"][...] = np.eye(lag, k=-1)
    sure = np.log(9.0) / 2 / small
    weights["decoder.weight"][:, -1] = (-sure, sure)
    return model


def copying(lag, length, seed):
    """A text in which each bit is, nine times in ten, the one ``lag`` before it."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, length).astype(np.uint8)
    flips = rng.random(length) < 0.1
    for i in range(lag, length):
        bits[i] = bits[i - lag] ^ flips[i]
    return bits


@pytest.mark.parametrize("lag", [1, 3, 20, 37])
def test_a_copy_over_a_lag_uses_exactly_that_lag(lag):
    ids = copying(lag, 4000, seed=lag)
    targets = np.random.default_rng(1).choice(np.arange(100, 4000), 400, replace=False)
    cut = context.cut_context(shift_register(lag), ids, targets, 64, seq_len=32)
    assert cut.used == cut.used_99 == lag
    at = dict(zip(cut.lengths, cut.loss, strict=True))
    full = 0.1 * np.log(10) + 0.9 * np.log(10 / 9)
    assert at[64] == pytest.approx(full, abs=0.15)
    assert at[lag] == at[64]
    assert at[0] == pytest.approx(np.log(2))
    assert all(at[k] == pytest.approx(np.log(2)) for k in at if k < lag)
    assert lag in at
    assert cut.beyond_window == (pytest.approx(cut.gain, abs=0.3) if lag > 32 else 0.0)


def test_a_model_that_ignores_its_context_uses_none():
    model = shift_register(6)
    model.weights["decoder.weight"][...] = 0.0
    ids = copying(6, 1500, seed=2)
    targets = np.arange(100, 400)
    cut = context.cut_context(model, ids, targets, 40, seq_len=10)
    assert (cut.used, cut.used_99, cut.gain) == (0, 0, 0.0)


def test_a_useless_opinion_of_the_context_is_no_use_of_it():
    """The text is noise: a model that believes in the copy gains nothing by reading on."""
    ids = np.random.default_rng(5).integers(0, 2, 3000).astype(np.uint8)
    cut = context.cut_context(shift_register(6), ids, np.arange(100, 600), 40, seq_len=10)
    assert cut.used == 0


def test_losses_are_those_of_the_text_before_the_target():
    model = shift_register(3)
    ids = copying(3, 200, seed=3)
    targets = np.array([50, 120, 199])
    found = context.losses_at(model, ids, targets, 5)
    right = ids[targets] == ids[targets - 3]
    np.testing.assert_allclose(found, np.where(right, -np.log(0.9), -np.log(0.1)), rtol=1e-5)
    long = context.losses_at(model, ids, targets, 45)  # three pieces of steps
    np.testing.assert_allclose(found, long, rtol=1e-12)


def test_by_position_a_carried_state_saves_the_first_steps():
    lag = 4
    found = context.by_position(shift_register(lag), copying(lag, 3000, seed=4), PLAN, windows=30)
    known = lag - 1  # step t has read t + 1 symbols and predicts the next
    assert found.reset[:known] == pytest.approx([np.log(2)] * known)
    assert np.mean(found.carried[:known]) < 0.5
    assert found.carried[known:] == pytest.approx(found.reset[known:])
    expected = np.mean(np.array(found.reset) - np.array(found.carried))
    assert found.difference == pytest.approx(expected)


def test_the_lengths_that_are_tried():
    assert context.lengths_up_to(20, 7) == [0, 1, 2, 3, 4, 6, 7, 8, 12, 16, 20]
    assert context.lengths_up_to(1, 32) == [0, 1]


def test_the_entropy_of_symbol_frequencies():
    ids = np.array([0, 0, 0, 1] * 200, np.uint8)
    found = context.measure(shift_register(2), ids, PLAN, np.arange(60, 160), 20, 5)
    assert found.unigram == pytest.approx(0.25 * np.log(4) + 0.75 * np.log(4 / 3))
