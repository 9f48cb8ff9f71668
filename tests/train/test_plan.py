"""The plan of a run: what it keeps of what is given, what it is stored as, what is said of it."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.running import begin, of, train

import charrnn
from charrnn.backend import numpy_backend
from charrnn.config import ModelConfig
from charrnn.errors import OutOfMemoryError, UsageError
from charrnn.report.plan import enough, planned
from charrnn.report.training import conclusion, describe
from charrnn.storage import checkpoint as checkpoints
from charrnn.storage import runs
from charrnn.train.plan import law

GIVEN = {"hidden": 8, "batch": 2, "seq_len": 5}


@pytest.fixture
def prose(home):
    rng = np.random.default_rng(5)
    words = ["".join(rng.choice(list("aeinrst"), 4)) for _ in range(30)]
    (home / "prose.txt").write_text(" ".join(rng.choice(words, 40)))
    return "prose.txt"


def test_a_run_without_a_limit_follows_its_plan_and_stores_it(prose):
    session, records = train(prose, hidden=8, name="planned")
    (start,) = of(records, "start")
    plan = start.plan
    assert plan["by_passes"]
    assert plan["chars_per_second"] is None
    assert "hidden" not in plan["settings"]
    assert start.total_steps == plan["settings"]["steps"] == session.loop.config.steps
    assert session.model.config.dropout == plan["settings"]["dropout"] > 0
    saved = checkpoints.load(session.folder / runs.LAST)
    assert saved.train.plan == "auto"
    assert saved.train.eval_every == plan["settings"]["eval_every"] < 500
    line = json.loads((session.folder / "metrics.jsonl").read_text().splitlines()[0])
    assert line["plan"] == plan


@pytest.mark.slow
def test_the_same_plan_is_made_at_every_run_without_a_time_limit(prose):
    first, second = (train(prose, hidden=8, name=name)[0] for name in "ab")
    np.testing.assert_array_equal(first.model.weights.flat, second.model.weights.flat)


@pytest.mark.slow
def test_a_resumed_run_has_the_settings_of_its_plan(prose):
    whole, _ = train(prose, hidden=8, name="whole")
    cut, _ = train(prose, hidden=8, name="cut", stop=100)
    cut, records = train(resume="cut")
    (start,) = of(records, "start")
    assert start.plan["passes"] == pytest.approx(whole.loop.progress.planned_passes, abs=0.01)
    np.testing.assert_array_equal(cut.model.weights.flat, whole.model.weights.flat)


def test_a_resumed_run_ends_as_its_plan_says_unless_it_is_given_another_end(prose):
    session, _ = train(prose, hidden=8, name="run", stop=3)
    steps = session.loop.total_steps
    for end, by_passes in (({}, True), ({"steps": steps + 9}, False), ({"minutes": 9}, False)):
        goes_on = begin(resume="run", **end)
        start = next(goes_on.records())
        assert start.plan["by_passes"] is by_passes
        assert ("more would hardly pay" in enough(start, "steps")) is by_passes
        goes_on.close()


def test_a_time_limit_is_planned_from_a_measured_speed(prose):
    session, records = train(prose, hidden=8, minutes=0.005, name="timed")
    (start,) = of(records, "start")
    assert start.plan["chars_per_second"] > 1000
    assert records[-1].reason in ("minutes", "steps")
    assert session.loop.progress.planned_speed > 1000
    assert records[-1].seconds < 5


@pytest.mark.parametrize(
    "limit", [{"steps": 4}, {"epochs": 0.5}, {"minutes": 1e-4, "plan": "none"}]
)
def test_there_is_no_plan_with_steps_or_epochs_or_if_none_is_wanted(limit, prose):
    session = begin(prose, **GIVEN, **limit)
    assert session.loop.config.eval_every == 500
    assert (session.model.config.dropout, session.loop.config.lr) == (0, 0.008)
    assert next(session.records()).plan is None
    session.close()


@pytest.mark.parametrize("limit", [{"steps": 4}, {"epochs": 0.5}])
def test_a_short_text_without_a_plan_has_few_streams_that_carry_their_state(limit, prose):
    session = begin(prose, hidden=8, **limit)
    corpus, train_config = session.corpus, session.loop.config
    assert len(corpus.train) // (train_config.batch * train_config.seq_len) >= law.WINDOWS or (
        train_config.batch == 1
    )
    n, few = len(corpus.train), train_config.batch
    windows = [(n - 1) // (streams * train_config.seq_len) for streams in (few, 32)]
    assert any(
        f"the training text has {n} symbols: {few} stream{'s' * (few > 1)} instead of 32, so that "
        f"an epoch has {windows[0]} windows, not {windows[1]}; " in note
        for note in session.notes
    )
    session.close()
    for given in ({"batch": 4}, {"plan": "none"}):
        kept = begin(prose, hidden=8, **limit, **given)
        assert not any("instead of 32, so" in note for note in kept.notes)
        kept.close()


def test_steps_are_planned_for_if_it_is_asked_for(prose):
    few, many = (begin(prose, plan="auto", steps=steps, hidden=8) for steps in (1, 4000))
    assert few.model.config.dropout < many.model.config.dropout
    assert (few.loop.total_steps, many.loop.total_steps) == (1, 4000)
    for session in (few, many):
        session.close()


def test_a_note_says_what_stands_in_the_way(prose):
    session = begin(prose, hidden=1500, dropout=0.05, batch=2)
    assert any(note.startswith("\0hidden") or "1500 is far above" in note for note in session.notes)
    assert any("may be learned by heart" in note for note in session.notes)
    session.close()
    quiet = begin(prose, batch=8)
    assert not any("far above" in note or "by heart" in note for note in quiet.notes)
    quiet.close()


def test_a_size_is_far_above_the_planned_one_with_four_times_its_weights(prose):
    session = begin(prose)
    free, V = session.model.config.hidden, len(session.corpus.vocabulary)
    session.close()

    def share(H):
        return law.weights(ModelConfig(), V, H) / law.weights(ModelConfig(), V, free)

    largest = max(H for H in range(free, 4 * free) if share(H) <= 4)
    for hidden, said in ((largest, False), (largest + 1, True)):
        session = begin(prose, hidden=hidden)
        part = f"{hidden} is far above the {free} units that suit this text and time"
        assert any(part in note for note in session.notes) == said
        session.close()


@pytest.mark.parametrize("options", [{"task": "classify"}, {"init_from": "planned"}])
def test_a_plan_that_cannot_be_made_is_refused(options, prose):
    if "init_from" in options:
        train(prose, **GIVEN, steps=2, name="planned")
    else:
        Path(prose).write_text("a\tone\nb\ttwo\n" * 20)
    with pytest.raises(UsageError, match="plan auto"):
        begin(prose, **options, plan="auto", steps=3)


def test_training_in_memory_is_planned_too():
    text = "the cat sat on the mat. " * 9
    model = charrnn.fit(text, hidden=8, batch=2, backend=numpy_backend())
    assert model.training.plan == "auto"
    assert model.config.dropout > 0
    plain = charrnn.fit(text, steps=3, hidden=8)
    assert plain.training.plan == "none"
    assert plain.config.dropout == 0


def test_what_is_said_of_a_plan_and_of_an_end_by_it(prose):
    _, records = train(prose, hidden=8, name="said")
    (start,) = of(records, "start")
    said = planned(start)
    assert re.fullmatch(
        r"plan: dropout .*, optimizer adam, learning rate 0\.008, up to [0-9,]+ counted n-grams; "
        r"the text is read [0-9.]+ times: more would hardly pay",
        said,
    )
    assert said in describe(start)
    assert "more would hardly pay; ended at step" in conclusion(
        replace(records[-1], reason="steps"), start
    )
    ended = conclusion(replace(records[-1], reason="patience"), start)
    assert ended.startswith("15 evaluations found no better validation loss")
    assert conclusion(replace(records[-1], reason="patience")).startswith(
        "no better validation loss"
    )


def test_a_text_without_enough_for_validation_is_planned_without_evaluations(home):
    Path("short.txt").write_text("hello")
    session, records = train("short.txt", hidden=4)
    assert records[-1].reason == "steps"
    assert session.loop.config.patience == 0
    assert of(records, "start")[0].plan["passes"] == pytest.approx(records[-1].epoch + 1, rel=0.3)
    assert not any("window" in note for note in session.notes)


def test_a_model_that_does_not_fit_is_refused_before_it_is_measured(prose):
    with pytest.raises(OutOfMemoryError, match=r"this needs about .*most of it for"):
        begin(prose, hidden=100_000, minutes=1.0)


@pytest.mark.parametrize(
    ("optimizer", "planned"), [("adam", True), ("cautious", True), ("rmsprop", False)]
)
def test_a_given_optimizer_is_kept_and_the_learning_rate_planned_if_it_is_meant_for_it(
    optimizer, planned, prose
):
    session = begin(prose, hidden=8, optimizer=optimizer)
    start = next(session.records())
    session.close()
    assert start.settings["optimizer"] == optimizer
    assert "optimizer" not in start.plan["settings"]
    assert ("lr" in start.plan["settings"]) == planned


def test_what_does_not_apply_is_not_said_to_be_planned(prose):
    session = begin(prose, hidden=8, optimizer="sgd", eval_every=0)
    start = next(session.records())
    session.close()
    assert not {"lr", "patience", "eval_every", "hidden"} & set(start.plan["settings"])
    assert {name: start.settings[name] for name in start.plan["settings"]} == start.plan["settings"]
