"""Non-finite values are detected in the step in which they occur, named, and never saved."""

import itertools
import json
import math
import shlex
import shutil

import numpy as np
import pytest
from helpers import reference
from helpers.commands import inside
from helpers.running import SMALL, TEXT, assert_same_run, begin, metrics, of, train

import charrnn
from charrnn.backend import numpy_backend, select
from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import UsageError
from charrnn.model.language import LanguageModel
from charrnn.storage import checkpoint as checkpoints
from charrnn.storage import runs
from charrnn.storage.metrics import read_metrics
from charrnn.tasks.language import LanguageTask
from charrnn.text import corpus_from_text
from charrnn.train.divergence import DivergedError
from charrnn.train.loop import Loop

DEEP = SMALL | {"layers": 2, "save_every": 5, "eval_every": 0}
SLOTS = {"adam": ("m", "v"), "adamw": ("m", "v"), "rmsprop": ("v",), "sgd": ("u",)}


def weight(loop, bad):
    loop.task.model.weights["rnn.weight_hh_l1"][3, 2] = bad


def unused_weight(loop, bad):
    """A column that no symbol of the next window chooses: the loss does not notice."""
    ids = loop.task.streams.batch_at(loop.progress.step).inputs
    absent = sorted(set(range(loop.task.model.V)) - set(ids.ravel().tolist()))
    loop.task.model.weights["rnn.weight_ih_l0"][1, absent[0]] = bad


def gradient(loop, bad):
    inner = loop.task.model.loss_and_gradient

    def spoilt(window, ids, targets, grads, *rest, **more):
        loss = inner(window, ids, targets, grads, *rest, **more)
        grads["decoder.weight"][0, 1] = bad
        loop.task.model.loss_and_gradient = inner
        return loss

    loop.task.model.loss_and_gradient = spoilt


def moment(name):
    def plant(loop, bad):
        loop.task.model.weights.like(loop.update.optimizer.moments[name])["rnn.bias_ih_l0"][2] = bad

    return plant


def state(loop, bad):
    dict(loop.task.window.states())["h_l1"][0][1, 2] = bad


def planted(loop, plant, at, bad, times=1):
    """Plant ``bad`` before the update after step ``at``, the first ``times`` that it is made."""
    inner, made = loop.step, itertools.count()

    def step():
        if loop.progress.step == at and next(made) < times:
            plant(loop, bad)
        inner()

    loop.step = step
    return loop


PLANTS = {
    "rnn.weight_hh_l1": weight,
    "rnn.weight_ih_l0": unused_weight,
    "gradient.decoder.weight": gradient,
    "optimizer.m.rnn.bias_ih_l0": moment("m"),
    "optimizer.v.rnn.bias_ih_l0": moment("v"),
    "state.h_l1": state,
}
USUAL = ("rnn.weight_hh_l1", "optimizer.m.rnn.bias_ih_l0", "state.h_l1")
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


@pytest.mark.parametrize(
    "tensor",
    [pytest.param(name, marks=() if name in USUAL else pytest.mark.slow) for name in PLANTS],
)
def test_training_goes_back_and_on_at_half_the_rate(tensor, text):
    options = DEEP | {"schedule": "constant"}
    session = begin(text, name="run", **options)
    planted(session.loop, PLANTS[tensor], 13, math.nan)
    records = list(session.records())
    (rollback,) = of(records, "rollback")
    assert rollback.to_json() == {
        "event": "rollback",
        "step": 14,
        "to_step": 10,
        "tensor": tensor,
        "value": None,
        "lr_factor": 0.5,
        "count": 1,
    }
    assert records[-1].reason == "steps"
    lines = [line for line in read_metrics(session.folder) if line["event"] == "step"]
    assert [line["step"] for line in lines] == list(range(1, 41))
    assert {line["lr"] for line in lines[:10]} == {0.02}
    assert {line["lr"] for line in lines[10:]} == {0.01}
    told = [line for line in read_metrics(session.folder) if line["event"] == "rollback"]
    assert told == [rollback.to_json()]
    _same_as_if_resumed(session, text, options)


def _same_as_if_resumed(session, text, options):
    """The run went on exactly as one does whose checkpoint of step 10 has half the rate."""
    list(begin(text, name="other", **options, stop=10).records())
    path = runs.HOME / "other" / runs.LAST
    good = checkpoints.load(path)
    good.progress.lr_factor, good.progress.rollbacks = 0.5, 1
    checkpoints.save(path, good)
    train(resume="other")
    assert metrics(session.folder) == metrics(path.parent)
    mine = checkpoints.load(session.folder / runs.LAST)
    theirs = checkpoints.load(path)
    np.testing.assert_array_equal(mine.weights, theirs.weights)
    assert mine.moments.keys() == theirs.moments.keys()
    for name in mine.moments:
        np.testing.assert_array_equal(mine.moments[name], theirs.moments[name])
    for name in mine.states:
        np.testing.assert_array_equal(mine.states[name], theirs.states[name])


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


def test_before_the_first_save_training_begins_anew(text):
    whole = begin(text, name="whole", **DEEP)
    planted(whole.loop, weight, 3, math.nan)
    records = list(whole.records())
    (rollback,) = of(records, "rollback")
    assert (rollback.step, rollback.to_step) == (4, 0)
    saved = records[records.index(rollback) + 1]
    assert (saved.event, saved.step) == ("save", 0)
    half, _ = train(text, name="half", **DEEP | {"lr": DEEP["lr"] / 2})
    np.testing.assert_array_equal(whole.model.weights.flat, half.model.weights.flat)
    lines = list(read_metrics(whole.folder))
    assert [line["event"] for line in lines[:3]] == ["start", "rollback", "save"]
    assert metrics(whole.folder) == metrics(half.folder)


def test_before_the_first_save_a_fine_tuned_run_begins_anew_from_its_weights(text):
    first, _ = train(text, name="first", **DEEP)
    path = str(first.folder / runs.LAST)
    half, _ = train(text, name="half", init_from=path, **DEEP | {"lr": DEEP["lr"] / 2})
    session = begin(text, name="again", init_from=path, **DEEP)
    planted(session.loop, weight, 2, math.nan)
    (first.folder / runs.LAST).write_bytes(b"another by now")
    list(session.records())
    np.testing.assert_array_equal(session.model.weights.flat, half.model.weights.flat)


def test_before_its_first_save_a_resumed_run_goes_back_to_where_it_began(text):
    train(text, name="run", **DEEP, stop=7)
    session = begin(resume="run")
    planted(session.loop, weight, 8, math.nan)
    records = list(session.records())
    (rollback,) = of(records, "rollback")
    assert (rollback.step, rollback.to_step) == (9, 7)
    assert [line["step"] for line in metrics(session.folder, ("step",))] == list(range(1, 41))


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_it_stops_after_so_many_rollbacks_and_can_be_told_to_go_on(limit, text):
    session = begin(text, name="run", **DEEP, max_rollbacks=limit)
    planted(session.loop, weight, 13, math.nan, times=100)
    records = []
    with pytest.raises(DivergedError) as caught:
        records += session.records()
    times = {0: "", 1: ", after 1 rollback", 3: ", after 3 rollbacks"}[limit]
    assert f"is nan{times}; look at it with charrnn diagnose" in str(caught.value)
    told = [line for line in read_metrics(session.folder) if line["event"] == "rollback"]
    assert [(line["lr_factor"], line["count"]) for line in told] == [
        (0.5**n, n) for n in range(1, limit + 1)
    ]
    kept = checkpoints.load(session.folder / runs.LAST)
    assert (kept.step, kept.progress.rollbacks, kept.progress.lr_factor) == (10, limit, 0.5**limit)
    _, records = train(resume="run", max_rollbacks=limit)
    assert records[-1].reason == "steps"
    assert [line["step"] for line in metrics(session.folder, ("step",))] == list(range(1, 41))


def test_stopped_before_any_save_what_it_began_with_is_there_to_look_at(text):
    session = begin(text, name="run", **DEEP, max_rollbacks=0)
    planted(session.loop, weight, 2, math.nan)
    with pytest.raises(DivergedError):
        list(session.records())
    kept = checkpoints.load(session.folder / runs.LAST)
    assert kept.step == 0
    fresh = LanguageModel.fresh(kept.config, len(kept.vocabulary), 0).weights.flat
    np.testing.assert_array_equal(kept.weights, fresh)


def test_the_plateau_of_the_rate_and_its_factor_multiply(text):
    options = DEEP | {"schedule": "plateau", "lr": 0.4, "eval_every": 4, "steps": 60}
    session = begin(text, **options)
    planted(session.loop, weight, 33, math.nan)
    records = list(session.records())
    at = records.index(of(records, "rollback")[0])
    rates = [record.lr for record in of(records[at:], "step")]
    plateau = checkpoints.load(session.folder / runs.LAST).progress.plateau
    assert rates[-1] == 0.4 * plateau * 0.5
    before = next(record.lr for record in of(records[:at], "step") if record.step == 31)
    assert rates[0] == before / 2


@pytest.mark.slow
def test_a_run_that_went_back_and_is_killed_anywhere_goes_on_the_same(text, monkeypatch):
    """At the full rate step 13 always diverges, and at half of it step 22."""
    inner = Loop.step

    def step(self):
        if (self.progress.step, self.progress.lr_factor) in ((12, 1.0), (21, 0.5)):
            self.task.weights.flat[5] = math.nan
        inner(self)

    monkeypatch.setattr(Loop, "step", step)
    options = DEEP | {"eval_every": 3, "save_every": 5, "watch": 4}
    whole = begin(text, name="whole", **options)
    snapshots = []
    for number, _ in enumerate(whole.records()):
        folder = runs.HOME / f"killed-{number}"
        shutil.copytree(whole.folder, folder)
        snapshots.append(folder)
    told = [line for line in read_metrics(whole.folder) if line["event"] == "rollback"]
    assert [(line["step"], line["to_step"]) for line in told] == [(13, 12), (22, 21)]
    resumed = 0
    for folder in snapshots[::5]:
        if not (folder / runs.LAST).exists():
            continue
        _, records = train(resume=str(folder))
        if records:
            assert_same_run(whole.folder, folder)
            assert [x for x in read_metrics(folder) if x["event"] == "rollback"] == told
            resumed += 1
    assert resumed > 8


def test_the_rate_stays_low_after_a_stop(text):
    session = begin(text, name="run", **DEEP, stop=25)
    planted(session.loop, weight, 13, math.nan)
    list(session.records())
    whole = begin(text, name="whole", **DEEP)
    planted(whole.loop, weight, 13, math.nan)
    list(whole.records())
    train(resume="run")
    assert_same_run(whole.folder, session.folder)
    progress = checkpoints.load(session.folder / runs.LAST).progress
    assert (progress.lr_factor, progress.rollbacks) == (0.5, 1)


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


@tensors
def test_without_files_training_goes_back_to_a_copy(tensor, monkeypatch):
    inner = Loop.step
    made = itertools.count()

    def step(self):
        if self.progress.step == 13 and next(made) == 0:
            PLANTS[tensor](self, math.nan)
        inner(self)

    monkeypatch.setattr(Loop, "step", step)
    told = []
    options = {k: v for k, v in DEEP.items() if k != "eval_every"}
    model = charrnn.fit(TEXT, report=told.append, **options, eval_every=0)
    (rollback,) = of(told, "rollback")
    assert (rollback.step, rollback.to_step, rollback.tensor) == (14, 10, tensor)
    assert np.isfinite(model.network.weights.flat).all()
    assert told[-1].reason == "steps"
    with pytest.raises(DivergedError, match="lower lr"):
        made = itertools.count()
        charrnn.fit(TEXT, **options, eval_every=0, max_rollbacks=0)


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


def test_the_number_of_rollbacks_cannot_be_negative():
    with pytest.raises(UsageError, match="max_rollbacks must be at least 0"):
        TrainConfig(max_rollbacks=-1)


def test_the_command_that_a_resumed_run_proposes_works(text):
    options = DEEP | {"schedule": "constant", "optimizer": "sgd", "momentum": 0.5}
    list(begin(text, name="run", **options, stop=12).records())
    session = begin(resume="run", max_rollbacks=1)
    planted(session.loop, weight, 13, math.nan, times=2)
    with pytest.raises(DivergedError) as caught:
        list(session.records())
    assert caught.value.remedy.startswith(f"look at it with charrnn diagnose {session.folder}, or")
    command = shlex.split(caught.value.remedy.partition("run: ")[2])
    assert command[command.index("--lr") + 1] == f"{DEEP['lr'] / 4:.3g}"
    done = inside(*command[1:], "--name", "again")
    assert done.returncode == 0, done.stderr
    made, old = (checkpoints.load(runs.HOME / name / runs.LAST) for name in ("again", "run"))
    assert made.data == old.data
    assert made.train == old.train.changed(lr=DEEP["lr"] / 4, horizon=None)
    with pytest.raises(UsageError):
        begin(resume="run", lr=DEEP["lr"] / 4)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_a_run_does_not_end_with_an_exploded_validation_loss(activation, text):
    """Its states may be unbounded, and the loss of its last windows small."""
    options = SMALL | {"cell": "rnn", "activation": activation, "max_rollbacks": 0}
    for every, told in ((0, 20), (10, 10 if activation == "tanh" else 20)):
        session = begin(text, name=f"{every}", **options | {"eval_every": every, "steps": 20})
        session.loop.task.evaluate = lambda stop: 1e24
        with pytest.raises(DivergedError, match=f"at step {told}: validation loss is 1e.24"):
            list(session.records())
