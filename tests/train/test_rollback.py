"""After a divergence training goes back to a good state, and on at half the rate."""

import itertools
import math
import shlex
import shutil

import numpy as np
import pytest
from helpers.commands import inside
from helpers.planting import DEEP, PLANTS, planted, weight
from helpers.running import TEXT, assert_same_run, begin, metrics, of, train

import charrnn
from charrnn.config import TrainConfig
from charrnn.errors import UsageError
from charrnn.model.language import LanguageModel
from charrnn.storage import checkpoint as checkpoints
from charrnn.storage import runs
from charrnn.storage.metrics import read_metrics
from charrnn.train.divergence import DivergedError
from charrnn.train.loop import Loop

USUAL = ("rnn.weight_hh_l1", "optimizer.m.rnn.bias_ih_l0", "state.h_l1")
tensors = pytest.mark.parametrize("tensor", PLANTS)


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
