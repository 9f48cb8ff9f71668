"""Dropout masks: their mean, their dependence on the key, and their memory."""

import numpy as np
import pytest

from charrnn.backend import numpy_backend
from charrnn.config import ModelConfig
from charrnn.model.dropout import Masks, RecurrentDropout
from charrnn.model.language import LanguageModel


def draw(rate, shape, seed=3, step=7, layer=0, dtype=np.float64):
    """Return the mask of one layer of ``layer`` + 1."""
    masks = Masks(numpy_backend(), rate, [np.empty(shape, dtype) for _ in range(layer + 1)])
    return masks.draw(seed, step, shape[0])[layer]


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.85])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_dropout_mask_keeps_the_mean(rate, dtype):
    shape = (40, 60, 50)
    mask = draw(rate, shape, layer=1, dtype=dtype)
    assert mask.shape == shape
    assert mask.dtype == dtype
    kept = np.dtype(dtype).type(1 / (1 - rate))
    assert set(np.unique(mask)) == {0, kept}
    deviation = np.sqrt(rate * (1 - rate) / mask.size)
    assert abs(np.mean(mask == 0) - rate) < 5 * deviation
    neighbours = np.mean((mask[1:] == 0) & (mask[:-1] == 0))
    assert abs(neighbours - rate**2) < 10 * deviation


def test_a_dropout_mask_depends_on_seed_step_and_layer_alone():
    def of(*key, dtype=np.float64):
        return draw(0.5, (3, 8, 5), *key, dtype=dtype)

    np.testing.assert_array_equal(of(1, 2, 0), of(1, 2, 0))
    np.testing.assert_array_equal(of(1, 2, 0), of(1, 2, 0, dtype=np.float32))
    drawn = [of(*key) for key in ((1, 2, 0), (2, 2, 0), (1, 3, 0), (1, 2, 1), (2, 1, 0))]
    for i, mask in enumerate(drawn):
        for other in drawn[:i]:
            assert np.mean(mask == other) < 0.75  # about a half for masks that are independent


def test_the_highest_dropout_rate_can_be_drawn():
    rate = np.nextafter(1.0, 0.0)
    mask = draw(rate, (4, 4, 4))
    assert not mask.any()


def test_masks_are_drawn_into_the_same_memory_and_a_short_window_has_the_first_steps():
    masks = Masks(numpy_backend(), 0.3, [np.empty((6, H, 3), np.float32) for H in (4, 5)])
    long = masks.draw(1, 2, 6)
    expected = [mask.copy() for mask in long]
    again = masks.draw(1, 3, 6)
    assert again is long
    assert not np.array_equal(again[0], expected[0])
    short = masks.draw(1, 2, 4)
    for mask, whole, before in zip(short, long, expected, strict=True):
        assert np.shares_memory(mask, whole)
        np.testing.assert_array_equal(mask, before[:4])


def test_masks_may_be_drawn_in_any_order():
    masks = Masks(numpy_backend(), 0.3, [np.empty((6, 4, 3), np.float32) for _ in range(3)])
    expected = [mask.copy() for mask in masks.draw(1, 2, 6)]
    masks.draw(1, 3, 6)
    backwards = masks.draw(1, 2, 6, run=lambda tasks: [task() for task in reversed(tasks)])
    np.testing.assert_array_equal(backwards, expected)


def test_there_are_no_masks_without_dropout():
    assert Masks(numpy_backend(), 0.0, []).draw(0, 0, 2) is None


def dropped_loss(model, dropout, grads, step=5):
    """Return the loss of one window of random symbols, and leave its gradient in ``grads``."""
    ids = np.random.default_rng(4).integers(0, model.V, (7, 3))
    with dropout.drawn(3, step, grads):
        return float(model.loss_and_gradient(model.window(6, 3), ids[:-1], ids[1:], grads))


@pytest.mark.parametrize(
    "shape",
    [{"cell": "lstm"}, {"cell": "gru", "gru_reset": "before"}, {"cell": "gru"}, {"cell": "rnn"}],
    ids=str,
)
def test_the_gradient_through_dropped_recurrent_weights_is_exact(shape):
    config = ModelConfig(hidden=5, layers=2, dtype="float64", recurrent_dropout=0.4, **shape)
    model = LanguageModel.fresh(config, 6, 1)
    grads = model.weights.like(np.empty_like(model.weights.flat))
    dropout = RecurrentDropout(model.weights, 0.4, model.backend)
    dropped_loss(model, dropout, grads)
    exact, flat, small = grads.flat.copy(), model.weights.flat, 1e-5
    before = flat.copy()
    for at in np.random.default_rng(2).choice(len(flat), 60, replace=False):
        losses = []
        for sign in (1, -1):
            flat[at] = before[at] + sign * small
            losses.append(dropped_loss(model, dropout, grads))
            flat[at] = before[at]
        assert (losses[0] - losses[1]) / (2 * small) == pytest.approx(exact[at], abs=1e-9)
    named = model.weights.like(exact).items()
    recurrent = np.concatenate([array.ravel() for name, array in named if "weight_hh" in name])
    assert 0.3 < np.mean(recurrent == 0) < 0.5


def test_weights_are_dropped_for_an_update_alone_and_others_in_the_next():
    config = ModelConfig(hidden=30, recurrent_dropout=0.25)
    model = LanguageModel.fresh(config, 6, 1)
    whole = model.weights.flat.copy()
    grads = model.weights.like(np.zeros_like(whole))
    dropout = RecurrentDropout(model.weights, 0.25, model.backend)
    seen = []
    for step in (0, 1, 0):
        with dropout.drawn(3, step, grads):
            seen.append(model.weights.flat.copy())
        np.testing.assert_array_equal(model.weights.flat, whole)
    np.testing.assert_array_equal(seen[0], seen[2])
    assert not np.array_equal(seen[0], seen[1])
    changed = model.weights.like(seen[0])
    for name, array in changed.items():
        if name != "rnn.weight_hh_l0":
            np.testing.assert_array_equal(array, model.weights[name])
    recurrent, before = changed["rnn.weight_hh_l0"], model.weights["rnn.weight_hh_l0"]
    kept = recurrent != 0
    np.testing.assert_allclose(recurrent[kept], before[kept] / 0.75, rtol=1e-6)
    assert abs(kept.mean() - 0.75) < 5 * np.sqrt(0.25 * 0.75 / kept.size)


def test_weights_are_whole_again_after_a_failure():
    model = LanguageModel.fresh(ModelConfig(hidden=4, recurrent_dropout=0.5), 6, 1)
    whole = model.weights.flat.copy()
    dropout = RecurrentDropout(model.weights, 0.5, model.backend)
    with pytest.raises(ZeroDivisionError), dropout.drawn(3, 0, model.weights):
        raise ZeroDivisionError
    np.testing.assert_array_equal(model.weights.flat, whole)
