"""Non-finite values are detected in the step in which they occur, named, and never saved."""

import itertools
import json
import math

import numpy as np
import pytest
from helpers import reference
from helpers.planting import DEEP, PLANTS, moment, planted, state, unused_weight
from helpers.running import SMALL, TEXT, begin, metrics, of, train

from charrnn.backend import numpy_backend, select
from charrnn.config import ModelConfig, TrainConfig
from charrnn.model.language import LanguageModel
from charrnn.storage import checkpoint as checkpoints
from charrnn.storage import runs
from charrnn.tasks.language import LanguageTask
from charrnn.text import corpus_from_text
from charrnn.train.divergence import DivergedError
from charrnn.train.loop import Loop
from charrnn.train.optimizers import OPTIMIZERS

SLOTS = {name: OPTIMIZERS.get(name).slots for name in OPTIMIZERS.names()}
tensors = pytest.mark.parametrize("tensor", PLANTS)
bads = pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])


@tensors
@bads
def test_it_is_noticed_in_that_step_and_named(tensor, bad, text):
    session = begin(text, name="run", **DEEP | {"log_every": 1000}, max_rollbacks=0)
    planted(session.loop, PLANTS[tensor], 13, bad)
    with pytest.raises(DivergedError) as caught:
        list(session.records())
    assert (caught.value.step, caught.value.tensor) == (14, tensor)
    assert not math.isfinite(caught.value.value)
    assert str(caught.value) == (
        f"training diverged at step 14: {tensor} is {caught.value.value:g}; "
        f"look at it with charrnn diagnose {session.folder}, or lower lr"
    )
    kept = checkpoints.load(session.folder / runs.LAST)
    assert kept.step == 10
    begun = begin(text, name="other", **DEEP, max_rollbacks=0, stop=10)
    list(begun.records())
    np.testing.assert_array_equal(kept.weights, begun.model.weights.flat)


@pytest.mark.parametrize("restart", [0.0, 0.999])
@pytest.mark.parametrize("mode", ["carry", "reset"])
@pytest.mark.parametrize("at", [12, 21, 0])
def test_a_stream_that_begins_anew_hides_no_nan(restart, mode, at, text):
    options = DEEP | {"state": mode, "max_rollbacks": 0}
    if mode == "carry":
        options["restart"] = restart
    loop = begin(text, name="run", **options).loop
    if at == 21:  # where the text begins again and every state is zeroed
        at = loop.task.streams.windows_per_epoch
    planted(loop, state, at, math.nan)
    with pytest.raises(DivergedError, match=f"step {at + 1}: state.h_l1 is nan"):
        list(loop.records())


@pytest.mark.parametrize("optimizer", SLOTS)
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_the_moments_of_every_optimizer_are_looked_at(optimizer, decay, text):
    for slot in SLOTS[optimizer]:
        options = DEEP | {"optimizer": optimizer, "weight_decay": decay, "max_rollbacks": 0}
        loop = begin(text, **options).loop
        planted(loop, moment(slot), 6, math.nan)
        with pytest.raises(DivergedError, match=rf"step 7: optimizer\.{slot}\.rnn\.bias_ih_l0 is"):
            list(loop.records())
        loop = begin(text, **options, backend=numpy_backend()).loop
        planted(loop, unused_weight, 6, math.nan)
        with pytest.raises(DivergedError, match=r"step 7: rnn\.weight_ih_l0 is"):
            list(loop.records())


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e9])
def test_a_validation_loss_that_is_no_loss_is_divergence(bad, text, monkeypatch):
    session = begin(text, **DEEP | {"eval_every": 8})
    inner, made = session.loop.task.validation.loss, itertools.count()
    monkeypatch.setattr(
        session.loop.task.validation, "loss", lambda *a: bad if next(made) == 1 else inner(*a)
    )
    records = list(session.records())
    (rollback,) = of(records, "rollback")
    assert (rollback.step, rollback.to_step, rollback.tensor) == (16, 15, "validation loss")
    assert rollback.value == (bad if math.isfinite(bad) else None)
    assert [line["step"] for line in metrics(session.folder, ("eval",))] == [8, 16, 24, 32, 40]


def test_a_loss_that_exploded_is_divergence_though_finite(text):
    def far(loop, scale):
        loop.task.model.weights["decoder.bias"][...] = scale * np.arange(loop.task.model.V)

    session = begin(text, name="run", **DEEP, max_rollbacks=0)
    planted(session.loop, far, 8, 2000.0)
    with pytest.raises(DivergedError, match=r"step 9: loss is \d{4}"):
        list(session.records())
    session = begin(text, name="near", **DEEP, max_rollbacks=0)
    planted(session.loop, far, 8, 0.2)
    assert list(session.records())[-1].reason == "steps"


def test_a_run_does_not_end_well_with_a_model_that_is_worse_than_a_guess(text):
    def far(loop, scale):
        loop.task.model.weights["decoder.bias"][...] = scale * np.arange(loop.task.model.V)
        loop._smoothed = np.float32(50.0)

    session = begin(text, name="run", **DEEP)
    planted(session.loop, far, 38, 10.0)
    records = list(session.records())
    (rollback,) = of(records, "rollback")
    assert (rollback.step, rollback.to_step, rollback.tensor) == (40, 35, "smoothed loss")
    assert records[-1].reason == "steps"


def test_nor_does_one_that_runs_out_of_patience(text):
    def far(loop, scale):
        loop.task.model.weights["decoder.bias"][...] = scale * np.arange(loop.task.model.V)
        loop._smoothed = np.float32(50.0)

    values = iter([1.0, 2.0, 3.0, *([1.0] * 9)])
    session = begin(text, name="run", **DEEP | {"eval_every": 10}, patience=2)
    session.loop.task.evaluate = lambda stop: next(values)
    planted(session.loop, far, 28, 10.0)
    records = list(session.records())
    (rollback,) = of(records, "rollback")
    assert (rollback.step, rollback.tensor) == (30, "smoothed loss")
    assert 3.0 not in [record.val_loss for record in of(records, "eval")]


def test_nor_one_whose_last_evaluation_ends_it_and_exploded(text):
    """A rectifier's loss may be large on the way, but not at the end."""
    values = iter([1.0, 1e5, 1e5])
    options = SMALL | {"cell": "rnn", "activation": "relu", "max_rollbacks": 0, "steps": 90}
    session = begin(text, name="run", **options | {"eval_every": 10}, patience=2)
    session.loop.task.evaluate = lambda stop: next(values)
    with pytest.raises(DivergedError, match="at step 30: validation loss is 100000"):
        list(session.records())


def absurd(optimizer, form, lr):
    """By default one of the three varies, and the others are the usual ones."""
    usual = ((optimizer == "adam") + (form == "lstm") + (lr == 1e30)) >= 2
    return pytest.param(optimizer, form, lr, marks=() if usual else pytest.mark.slow)


@pytest.mark.parametrize(
    ("optimizer", "form", "lr"),
    list(itertools.starmap(absurd, itertools.product(SLOTS, reference.FORMS, (1e3, 1e30, 1e308)))),
)
def test_an_absurd_learning_rate_ends_as_described(optimizer, form, lr, text):
    """Never a traceback, never a file with what is not finite, never a model that is garbage."""
    options = DEEP | {"clip_norm": 0.0, "optimizer": optimizer, "lr": lr, "eval_every": 3}
    try:
        _, records = train(text, name="run", **options | reference.FORMS[form])
        assert records[-1].val_loss < 20
    except DivergedError as problem:
        assert "after 3 rollbacks; look at it with charrnn diagnose" in str(problem)
    files = list((runs.HOME / "run").glob("*.safetensors"))
    assert files
    for path in files:
        found = checkpoints.load(path)
        for array in (found.weights, *found.moments.values(), *found.states.values()):
            assert np.isfinite(array).all()
    for line in (runs.HOME / "run" / runs.METRICS).read_text().splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(name))


@pytest.mark.parametrize("part", ["weights", "moments", "states"])
def test_a_device_is_not_waited_for_but_notices_at_the_next_record(part, device):
    corpus = corpus_from_text(TEXT)
    config = ModelConfig(hidden=6, layers=2)
    model = LanguageModel.fresh(config, len(corpus.vocabulary), 0, select("cupy"))
    plan = TrainConfig(steps=40, batch=4, seq_len=8, log_every=5, eval_every=0, save_every=9)
    loop = Loop(LanguageTask(model, corpus.train, corpus.val, plan), plan)
    inner, waited = loop.step, []

    def step():
        if loop.progress.step == 12:
            arrays = {
                "weights": loop.task.model.weights.flat,
                "moments": loop.update.optimizer.moments["v"],
                "states": dict(loop.task.window.states())["h_l1"][0],
            }
            arrays[part][0] = math.nan
        device.clear()
        inner()
        waited.append(len(device.downloads))

    loop.step = step
    with pytest.raises(DivergedError) as caught:
        list(loop.records())
    assert caught.value.step == 15
    assert set(waited) == {0}


def test_what_a_checkpoint_gets_is_looked_at_even_between_steps(text):
    loop = begin(text, **DEEP).loop
    loop.step()
    loop.state()
    for tensor, plant in PLANTS.items():
        if tensor.startswith("gradient"):
            continue
        loop = begin(text, **DEEP).loop
        loop.step()
        plant(loop, math.nan)
        with pytest.raises(DivergedError) as caught:
            loop.state()
        assert caught.value.tensor == tensor


def test_a_reader_that_leaves_a_run_that_has_diverged_spoils_nothing(text):
    session = begin(text, name="run", **DEEP)
    records = session.records()
    while next(records).step < 7:
        pass
    session.model.weights.flat[0] = math.nan
    records.close()
    assert checkpoints.load(session.folder / runs.LAST).step == 5


def test_the_overflow_of_a_sum_is_no_divergence(text):
    loop = begin(text, **DEEP).loop
    for _ in range(3):
        loop.step()
    loop.task.model.weights.like(loop.update.optimizer.moments["v"])["decoder.bias"][...] = 3e38
    for _ in range(3):
        loop.step()
    loop.state()


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_a_run_does_not_end_with_an_exploded_validation_loss(activation, text):
    """Its states may be unbounded, and the loss of its last windows small."""
    options = SMALL | {"cell": "rnn", "activation": activation, "max_rollbacks": 0}
    for every, told in ((0, 20), (10, 10 if activation == "tanh" else 20)):
        session = begin(text, name=f"{every}", **options | {"eval_every": every, "steps": 20})
        session.loop.task.evaluate = lambda stop: 1e24
        with pytest.raises(DivergedError, match=f"at step {told}: validation loss is 1e.24"):
            list(session.records())
