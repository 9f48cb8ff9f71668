"""The loop trains any task: here the parity of ragged sequences, by masks and resets."""

import numpy as np
import pytest
from doubles.parity import Parity
from helpers import teams

from charrnn.backend import numpy_backend
from charrnn.config import ModelConfig, TrainConfig
from charrnn.model.language import LanguageModel
from charrnn.storage.progress import State
from charrnn.tasks.base import Metric
from charrnn.train.loop import Loop
from charrnn.train.records import Eval

STEPS, STREAMS = 4, 6
TRAIN = {"batch": STREAMS, "seq_len": STEPS, "lr": 0.03, "schedule": "constant", "log_every": 1}


def loop_of(seed=0, model=None, streams=STREAMS, team=None, steps=20, eval_every=0, **more):
    config = ModelConfig(
        **{"cell": "gru", "layers": 1, "hidden": 8, "dtype": "float64"} | (model or {})
    )
    network = LanguageModel.fresh(config, 2, 5, numpy_backend())
    task = Parity(network, STEPS, streams, team=team, seed=seed)
    settings = TrainConfig(**TRAIN | {"batch": streams, "steps": steps, "eval_every": eval_every})
    return Loop(task, settings, team=team, **more)


def test_the_task_is_learnt_and_measured_by_its_own_metric():
    loop = loop_of(steps=60, streams=24, eval_every=5)
    found = [r for r in loop.records() if isinstance(r, Eval)]
    assert found[0].val_loss < 0.7
    assert loop.progress.best_scheduled_loss > 0.95  # higher is better
    assert loop.progress.best_scheduled_loss == max(r.val_loss for r in found)
    best = 0.0
    for record in found:
        assert record.best is (record.val_loss > best)
        best = max(best, record.val_loss)


def test_it_goes_on_from_a_state_exactly():
    whole = loop_of(model={"dropout": 0.3}, steps=30, eval_every=7)
    expected = list(whole.records())
    first = loop_of(model={"dropout": 0.3}, steps=30, eval_every=7)
    for record in first.records():
        if record.event == "step" and record.step == 17:
            break
    progress, weights, moments, states = first.state()
    second = loop_of(
        model={"dropout": 0.3},
        steps=30,
        eval_every=7,
        progress=progress,
        moments=moments,
        states=states,
    )
    second.task.weights.flat[...] = weights
    rest = list(second.records())
    np.testing.assert_array_equal(second.task.weights.flat, whole.task.weights.flat)
    losses = [(r.step, r.loss, r.smoothed) for r in rest if r.event == "step"]
    assert losses == [
        (r.step, r.loss, r.smoothed) for r in expected if r.event == "step" and r.step > 17
    ]
    assert isinstance(second.state(), State)


def test_padding_and_what_was_before_a_reset_have_no_influence():
    """Other bits where nothing counts, and in the sequence before, change nothing."""
    losses = []
    for other in (False, True):
        loop = loop_of()
        loop.step()
        task = loop.task
        batch = task.batch(1)
        assert batch.reset.any()
        assert not batch.reset.all()
        if other:
            inputs = batch.inputs.copy()
            for stream in np.flatnonzero(batch.mask.any(axis=0)):
                inputs[int(batch.mask[:, stream].argmax()) + 1 :, stream] ^= 1
            batch = batch._replace(inputs=inputs)
            for _, sequence in task.window.states():
                sequence[0][:, batch.reset] += 1.0
        task.window.start(batch.reset, task.backend)
        loss = task.loss_and_gradient(batch, 1, loop.update.grads)
        losses.append((float(loss), loop.update.grads.flat.copy()))
    assert losses[0][0] == pytest.approx(losses[1][0], rel=1e-14)
    np.testing.assert_allclose(losses[0][1], losses[1][1], rtol=1e-12, atol=1e-16)


def test_a_team_trains_it_like_one_loop():
    alone = loop_of(model={"dropout": 0.3})
    list(alone.records())

    def member(team):
        loop = loop_of(model={"dropout": 0.3}, team=team)
        list(loop.records())
        return loop.task.weights.flat

    for weights in teams.run(2, member):
        np.testing.assert_allclose(weights, alone.task.weights.flat, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(("lower", "better", "worse"), [(True, 1.0, 3.0), (False, 3.0, 1.0)])
def test_a_metric_knows_its_direction(lower, better, worse):
    metric = Metric("something", lower)
    assert metric.better(better, 2.0)
    assert not metric.better(worse, 2.0)
    assert not metric.better(2.0, 2.0)
    assert metric.better(worse, None)
