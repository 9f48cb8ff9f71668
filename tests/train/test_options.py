"""Every option of training does what it says."""

import math

import numpy as np
import pytest
from helpers.running import SMALL, begin, of, train

from charrnn.errors import UsageError
from charrnn.storage import runs
from charrnn.train.schedules.base import FLOOR

EFFECTS = {
    "clip_norm": 0.05,
    "clip_value": 0.001,
    "warmup": 5,
    "weight_decay": 0.5,
    "schedule": "constant",
    "horizon": 4,
    "state": "reset",
    "seed": 1,
    "lr": 0.03,
    "seq_len": 9,
    "batch": 5,
    "init": "orthogonal",
    "forget_bias": 0.5,
    "dropout": 0.2,
    "restart": 0.5,
    "embed": 4,
    "layers": 2,
    "hidden": 7,
    "cell": "gru",
    "val_frac": 0.4,
    "min_count": 60,
    "level": "word",
}


@pytest.fixture(scope="module")
def learned():
    """The weights without any of the options, once they have been trained."""
    return []


@pytest.mark.parametrize("option", EFFECTS)
def test_an_option_changes_what_is_learned(option, text, learned):
    options = SMALL | {"steps": 8}
    if not learned:
        plain, again = (train(text, name=name, **options)[0] for name in ("plain", "again"))
        np.testing.assert_array_equal(plain.model.weights.flat, again.model.weights.flat)
        learned.append(plain.model.weights.flat)
    other, _ = train(text, name="other", **options | {option: EFFECTS[option]})
    one, two = learned[0], other.model.weights.flat
    if one.shape == two.shape:
        assert not np.allclose(one, two, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("base", "option", "value"),
    [
        ({"cell": "rnn"}, "activation", "relu"),
        ({"cell": "rnn"}, "init", "identity"),
        ({"cell": "gru"}, "gru_reset", "before"),
        ({"optimizer": "sgd"}, "momentum", 0.0),
        ({}, "optimizer", "sgd"),
        ({}, "optimizer", "rmsprop"),
        ({"weight_decay": 0.5}, "optimizer", "adamw"),
        ({}, "init", "xavier"),
        ({}, "schedule", "step"),
    ],
)
def test_an_option_of_a_choice_changes_what_is_learned(base, option, value, text):
    options = SMALL | {"steps": 8} | base
    plain, other = (
        train(text, name=name, **options | extra)[0]
        for name, extra in (("plain", {}), ("other", {option: value}))
    )
    one, two = plain.model.weights.flat, other.model.weights.flat
    assert one.shape != two.shape or not np.allclose(one, two, atol=1e-6)


def test_the_first_update_is_as_long_as_the_clipped_gradient(text):
    """Plain descent moves by rate times gradient, which clipping shortens to its limit."""
    plain = SMALL | {
        "optimizer": "sgd",
        "momentum": 0.0,
        "schedule": "constant",
        "dtype": "float64",
    }
    plain |= {"lr": 0.5}

    def moved(name, **limits):
        session = begin(text, name=name, **plain | {"steps": 1} | limits)
        before = session.model.weights.flat.copy()
        record = of(list(session.records()), "step")[0]
        return (before - session.model.weights.flat) / 0.5, record.grad_norm

    free, norm = moved("free", clip_norm=0.0)
    assert np.linalg.norm(free) == pytest.approx(norm)
    assert norm > 0.02
    loose, _ = moved("loose", clip_norm=1e3)
    np.testing.assert_allclose(loose, free)
    short, reported = moved("short", clip_norm=0.01)
    assert reported == norm
    np.testing.assert_allclose(short, free * 0.01 / norm, atol=1e-14)
    limit = float(np.abs(free).max() / 2)
    cut, reported = moved("cut", clip_norm=0.0, clip_value=limit)
    assert reported == norm
    np.testing.assert_allclose(cut, np.clip(free, -limit, limit), atol=1e-14)
    both, _ = moved("both", clip_norm=0.01, clip_value=limit)
    np.testing.assert_allclose(both, cut * 0.01 / np.linalg.norm(cut), atol=1e-14)


def test_the_learning_rate_follows_warmup_and_cosine_to_the_horizon(text):
    _, records = train(text, **SMALL, warmup=4, horizon=20)
    rates = [record.lr / SMALL["lr"] for record in of(records, "step")]
    expected = [
        min(1, (i + 1) / 4) * (FLOOR + (1 - FLOOR) * (1 + math.cos(math.pi * min(1, i / 20))) / 2)
        for i in range(40)
    ]
    assert rates == pytest.approx(expected)


def test_every_step_drops_out_by_its_own_key(text):
    session = begin(text, **SMALL | {"steps": 5}, dropout=0.2, seed=11)
    model = session.loop.task.model
    gradient, surprisal, seen, scored = model.loss_and_gradient, model.surprisal, [], []

    def spy(window, ids, targets, grads, masks, **kwargs):
        seen.append([mask.copy() for mask in masks])
        return gradient(window, ids, targets, grads, masks, **kwargs)

    def spy_on_scores(window, *args):
        scored.append(window)
        return surprisal(window, *args)

    model.loss_and_gradient, model.surprisal = spy, spy_on_scores
    list(session.records())
    T, _, N = seen[0][0].shape
    masks = model.stack.masks(T, N)
    assert len(seen) == 5
    for step in range(5):
        np.testing.assert_array_equal(seen[step], masks.draw(11, step, T))
    assert scored  # the evaluation at the end
    assert not any(window.masks for window in scored)


def test_state_is_carried_within_an_epoch_and_zeroed_at_its_start(text):
    for state in ("carry", "reset"):
        session = begin(text, name=state, **SMALL, state=state)
        loop, starts = session.loop, []
        model = loop.task.model

        def spy(window, *args, starts=starts, gradient=model.loss_and_gradient, **kwargs):
            starts.append(any(sequence[0].any() for _, sequence in window.states()))
            return gradient(window, *args, **kwargs)

        model.loss_and_gradient = spy
        for _ in range(40):
            loop.step()
        period = loop.task.streams.windows_per_epoch
        expected = [state == "carry" and step % period != 0 for step in range(40)]
        assert starts == expected


def test_requests_that_cannot_be_are_usage_errors(text):
    train(text, name="run", stop=1, **SMALL)
    for request, match in (
        ({"resume": "run", "init_from": "run"}, "exclude each other"),
        ({"resume": "run", "name": "other"}, "own folder"),
        ({}, "no text"),
        ({"text": text, "name": "run"}, "already contains a run"),
        ({"text": text, "momentum": 0.5}, "momentum only applies to optimizer sgd, not adam"),
        ({"text": text, "activation": "relu"}, "activation only applies to cell rnn, not lstm"),
        ({"text": text, "gru_reset": "after"}, "gru_reset only applies to cell gru, not lstm"),
        (
            {"text": text, "cell": "rnn", "forget_bias": 2.0},
            "forget_bias only applies to cell lstm",
        ),
        ({"text": text, "init": "identity"}, "init identity only applies to cell rnn"),
        ({"text": text, "cell": "mamba"}, "unknown cell"),
        ({"text": text, "optimizer": "lion"}, "unknown optimizer"),
        ({"text": text, "schedule": "linear"}, "unknown schedule"),
        ({"text": text, "lr": 0.0}, "lr must be"),
        ({"text": text, "lr": math.nan}, "lr must be"),
        ({"text": text, "dropout": 1.0}, "dropout must be"),
        ({"text": text, "batch": 0}, "batch must be"),
        ({"text": text, "minutes": -1.0}, "minutes must be"),
        ({"text": text, "clip_norm": -1.0}, "clip_norm must be"),
    ):
        with pytest.raises(UsageError, match=match):
            begin(**request)
    assert {path.name for path in runs.HOME.iterdir()} == {"run"}
