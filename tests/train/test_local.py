"""Ranks that train apart for some updates, and then average their weights."""

import math
import threading

import numpy as np
import pytest
from helpers import teams
from helpers.running import SMALL, TEXT, ask, assert_same_run, metrics, of

import charrnn
from charrnn.backend import numpy_backend
from charrnn.backend.team import Alone
from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import CharRNNError, UsageError
from charrnn.model.language import LanguageModel
from charrnn.storage import checkpoint as checkpoints
from charrnn.storage import runs
from charrnn.tasks.language import LanguageTask
from charrnn.text import corpus_from_text
from charrnn.train import recipes
from charrnn.train.local.loop import LocalLoop, loop_of
from charrnn.train.loop import Loop
from charrnn.train.opening.sessions import open_session
from charrnn.train.plan import measure
from charrnn.train.records import Step

CORPUS = corpus_from_text(TEXT, val_frac=0.2)
PLAIN = {"optimizer": "sgd", "momentum": 0.0, "clip_norm": 0.0, "schedule": "constant"}
PLAIN |= {"outer_lr": 1.0, "outer_momentum": 0.0}
OFTEN = {"eval_every": 7, "save_every": 5, "dropout": 0.3, "dtype": "float64", "steps": 38}


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text(TEXT)


def task_of(team, **options):
    config = TrainConfig(**{"batch": 5, "seq_len": 8, "steps": 12, "lr": 0.1, **options})
    model = ModelConfig(hidden=5, dtype="float64", dropout=0.3)
    network = LanguageModel.fresh(model, len(CORPUS.vocabulary), 3, numpy_backend())
    return LanguageTask(network, CORPUS.train, CORPUS.val, config, team), config


def run(loop):
    """Return the weights after training, and the records of its steps."""
    records = list(loop.records())
    return loop.task.weights.flat, [(r.step, r.loss) for r in records if isinstance(r, Step)]


def nothing(team, session, record):
    """Look at a record."""


def train(size, name=None, *, stop=None, resume=None, look=nothing, **options):
    """Train a run in a team; return each member's records."""
    options = options if resume else SMALL | OFTEN | {"sync_every": 4} | options

    def member(team):
        found = []

        def interrupted():
            return bool(found) and stop is not None and found[0].loop.progress.step >= stop

        request = ask(None if resume else "text.txt", name, resume, **options)
        found.append(open_session(request, numpy_backend(), interrupted, team=team))
        records = []
        for record in found[0].records():
            records.append(record)
            look(team, found[0], record)
        return records

    return teams.run(size, member)


def last(name):
    return checkpoints.load(runs.HOME / name / runs.LAST)


@pytest.mark.parametrize(("rate", "momentum"), [(1.0, 0.0), (0.7, 0.9)])
def test_a_round_is_the_equations(rate, momentum):
    """Against gradient descent by hand, of members with 1, 2 and 2 of 5 streams."""
    lr, size, length = 0.1, 3, 4
    options = PLAIN | {"outer_lr": rate, "outer_momentum": momentum, "sync_every": length}

    def member(team):
        return run(loop_of(*task_of(team, **options), team))[0]

    found = teams.run(size, member)
    tasks = [task_of(teams.ThreadTeam(k, size, None, None))[0] for k in range(size)]
    shares = [1 / 5, 2 / 5, 2 / 5]
    common = tasks[0].weights.flat.copy()
    u = np.zeros_like(common)
    for start in (0, 4, 8):
        ends = []
        for task, share in zip(tasks, shares, strict=True):
            task.weights.flat[...] = common
            grads = task.weights.like(np.empty_like(common))
            for step in range(start, start + length):
                batch = task.batch(step)
                task.window.start(batch.reset, task.backend)
                task.loss_and_gradient(batch, step, grads)
                task.window.carry()
                task.weights.flat[...] -= lr * grads.flat / share
            ends.append(task.weights.flat.copy())
        change = common - sum(share * end for share, end in zip(shares, ends, strict=True))
        u = momentum * u + change
        common = common - rate * (change + momentum * u)
    for weights in found:
        np.testing.assert_allclose(weights, common, rtol=1e-10, atol=1e-13)
        np.testing.assert_array_equal(weights, found[0])


def test_an_average_after_every_update_is_the_update_of_all():
    """Of plain gradient descent, whose updates are linear in the gradient."""
    whole, losses = run(Loop(*task_of(None, **PLAIN, log_every=1)))

    def member(team):
        task, config = task_of(team, **PLAIN, log_every=1)
        return run(LocalLoop(task, config, team=team))

    for weights, own in teams.run(2, member):
        np.testing.assert_allclose(weights, whole, rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(own, losses, rtol=1e-10)


def test_members_write_one_run_and_the_same_bytes_twice():
    first, *others = train(3, "a")
    train(3, "b")
    assert_same_run(runs.HOME / "a", runs.HOME / "b")
    for records in others:
        assert [(r.event, r.step) for r in records] == [(r.event, r.step) for r in first]
    steps = [r.step for r in of(first, "step")]
    assert steps == [4, 8, 12, 16, 20, 24, 28, 32, 36, 38]
    assert [r.step for r in of(first, "eval")] == [8, 16, 24, 28, 36, 38]
    assert [r.step for r in of(first, "save")][-1] == 38


def test_nothing_is_exchanged_within_a_round(monkeypatch):
    calls = []
    own = teams.ThreadTeam._all

    def counted(team, value):
        calls.append(team.rank)
        return own(team, value)

    monkeypatch.setattr(teams.ThreadTeam, "_all", counted)

    def exchanged(length):
        calls.clear()
        teams.run(2, lambda team: loop_of(*task_of(team, sync_every=length), team).step())
        return len(calls)

    assert exchanged(2) == exchanged(9)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_an_interrupted_run_goes_on_exactly(optimizer):
    train(2, "whole", optimizer=optimizer)
    train(2, "parts", optimizer=optimizer, stop=14)
    assert last("parts").step == 16  # the end of the round
    assert np.abs(last("parts").moments["outer"]).max() > 0
    train(2, resume="parts")
    assert metrics(runs.HOME / "whole") == metrics(runs.HOME / "parts")
    whole, parts = last("whole"), last("parts")
    assert whole.weights.tobytes() == parts.weights.tobytes()
    for name, moment in whole.moments.items():
        np.testing.assert_array_equal(moment, parts.moments[name])


def test_it_may_go_on_with_other_ranks_or_another_length():
    train(2, "run", stop=14)
    train(3, resume="run", stop=20)
    train(1, resume="run", sync_every=1, stop=24)
    assert "outer" not in last("run").moments
    train(2, resume="run", sync_every=4)
    assert last("run").step == OFTEN["steps"]
    assert set(last("run").moments) == {"m", "v", "outer"}


@pytest.mark.parametrize("rank", [0, 1])
def test_if_one_diverges_all_go_back(rank):
    planted = []

    def look(team, session, record):
        if (team.rank, record.event, record.step) == (rank, "save", 12) and not planted:
            planted.append(rank)
            dict(session.loop.task.window.states())["h_l0"][0][0, 0] = math.nan

    found = train(2, "run", look=look)
    for records in found:
        (back,) = of(records, "rollback")
        assert (back.step, back.to_step, back.tensor) == (13, 12, "state.h_l0")
    assert last("run").step == OFTEN["steps"]


def test_if_all_fail_all_say_so():
    with pytest.raises(CharRNNError, match="training diverged at step 2: "):
        train(2, "run", lr=1e300, max_rollbacks=0)
    assert last("run").step == 0


def test_a_time_limit_ends_all_after_a_round():
    (first, second) = train(2, "run", steps=None, minutes=1e-9)
    assert (first[-1].reason, first[-1].step) == (second[-1].reason, second[-1].step)
    assert first[-1].reason == "minutes"


def test_a_single_process_is_refused():
    line = "sync_every 4 averages the weights of several ranks, but this is a single process; "
    line += "start it with mpirun, or give sync_every 1"
    train(2, "run", stop=4)
    for request in (ask("text.txt", "one", **SMALL, sync_every=4), ask(resume="run")):
        with pytest.raises(UsageError) as caught:
            open_session(request, numpy_backend(), team=Alone())
        assert caught.value.line() == line
    with pytest.raises(UsageError, match="single process"):
        charrnn.fit(TEXT, hidden=3, steps=2, sync_every=2)
    with pytest.raises(UsageError, match="outer_lr only applies to averaging"):
        charrnn.fit(TEXT, hidden=3, steps=2, outer_lr=0.5)


@pytest.mark.parametrize("every", [1, 3, 1000])
def test_the_speed_that_a_plan_measures_is_that_of_updates(every, monkeypatch):
    """By a clock that an update moves by a quarter of a second."""
    made, step = threading.local(), Loop._step

    def counted(loop):
        step(loop)
        made.updates += 1

    monkeypatch.setattr(Loop, "_step", counted)
    monkeypatch.setattr(measure, "perf_counter", lambda: made.updates / 4)
    train = TrainConfig(batch=4, seq_len=8, minutes=1, sync_every=every)

    def member(team):
        made.updates = 0
        how = recipes.of("lm"), ModelConfig(hidden=4), CORPUS, train, numpy_backend(), team
        return measure.symbols_per_second(*how, 2.5), made.updates

    for speed, updates in teams.run(2, member):
        assert speed == 4 * 8 * 4
        assert 8 <= updates <= 12
