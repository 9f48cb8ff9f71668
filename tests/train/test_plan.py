"""The plan of a run: its law, what it keeps of what is given, and what it is stored as."""

import itertools
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

RATE = 3e10
SIZES = [500, 20_000, 50_000, 600_000, 1_000_000, 12_000_000, 50_000_000]


def found(n, minutes=None, given=None, V=65, rate=RATE, **means):
    """Return what the law gives for a text of n symbols, of which a ninth more is validation."""
    seconds = None if minutes is None else 60 * minutes
    known = {"seconds": seconds, "rate": rate if minutes else None, "validation": n // 9}
    config = ModelConfig(**given or {})
    return law.plan(config, law.Means(n, V, **known | means), given or {})


@pytest.mark.parametrize("n", SIZES)
def test_more_time_is_never_a_smaller_model_or_fewer_passes_of_the_same(n):
    plans = [found(n, minutes) for minutes in (0.1, 1, 3, 10, 30, 120, 480)]
    for less, more in itertools.pairwise(plans):
        assert more.settings["hidden"] >= less.settings["hidden"]
        if more.settings["hidden"] == less.settings["hidden"]:
            assert more.passes >= less.passes
    assert plans[-1].passes <= max(law.most_passes(n), law.LEAST_STEPS * 32 * 32 / n) + 1


@pytest.mark.parametrize("minutes", [1, 10])
def test_a_text_that_is_read_more_often_gets_more_dropout(minutes):
    plans = [found(n, minutes) for n in SIZES[1:]]
    for short, long in itertools.pairwise(plans):
        assert short.passes >= long.passes
        for name in ("dropout", "recurrent_dropout"):
            assert short.settings[name] >= long.settings[name]
    assert plans[0].settings["dropout"] == law.DROPOUT[-1]
    assert plans[-1].settings["dropout"] == plans[-1].settings["recurrent_dropout"] == 0


@pytest.mark.parametrize("n", SIZES)
def test_a_text_that_needs_no_dropout_is_learned_by_the_faster_optimizer(n):
    settings = found(n, 2).settings
    assert settings["optimizer"] == ("adam" if settings["dropout"] else "cautious")
    assert (n > 1_000_000) == (settings["optimizer"] == "cautious")


def test_what_is_given_is_kept_and_the_rest_planned_around_it():
    free = found(1_000_000, 3)
    assert 448 <= free.settings["hidden"] <= 1024
    small = found(1_000_000, 3, {"hidden": 128})
    assert small.settings["hidden"] == 128
    assert small.passes > 5 * free.passes
    assert small.settings["dropout"] < free.settings["dropout"]  # it cannot learn so much by heart
    deep = found(1_000_000, 3, {"layers": 3})
    assert deep.settings["hidden"] < free.settings["hidden"]
    wide = found(1_000_000, 3, streams=128, steps=64)
    assert (wide.settings["batch"], wide.settings["seq_len"]) == (128, 64)
    assert wide.settings["eval_every"] < free.settings["eval_every"]


def test_a_faster_machine_gets_a_larger_model_and_a_larger_alphabet_a_smaller_one():
    sizes = [found(5_000_000, 2, rate=rate).settings["hidden"] for rate in (1e9, 1e10, 1e11)]
    assert sizes == sorted(set(sizes))
    assert found(5_000_000, 2, V=20_000).settings["hidden"] < sizes[1]


@pytest.mark.parametrize("n", SIZES)
def test_evaluations_take_a_small_share_and_are_often_of_a_small_text(n):
    plan = found(n, 3)
    N, T = plan.settings["batch"], plan.settings["seq_len"]
    steps = max(law.LEAST_STEPS, plan.reads / (N * T))
    scored = min(n // 9, plan.settings["eval_chars"]) / law.FORWARD
    count = steps / plan.settings["eval_every"]
    assert count <= law.MOST_EVALUATIONS + 1
    assert count == pytest.approx(1, abs=0.5) or count * scored < 1.5 * law.EVALUATION * plan.reads
    if n <= 50_000:
        assert count > 20


def test_without_a_limit_training_ends_after_so_many_passes():
    plan = found(45_000)
    assert plan.by_passes
    assert plan.settings["steps"] * plan.settings["batch"] * 32 / 45_000 == pytest.approx(
        law.most_passes(45_000) / 2, rel=0.02
    )
    assert plan.settings["patience"] == law.PATIENCE
    short, night = found(45_000, 0.05), found(45_000, 480)
    assert not short.by_passes
    assert "patience" not in short.settings
    assert night.by_passes
    assert night.settings["patience"] == law.PATIENCE
    assert night.passes == pytest.approx(law.most_passes(45_000), rel=0.02)


def weights_of(plan, V=65):
    return law.weights(ModelConfig(), V, plan.settings["hidden"])


def nearest(best, V=65):
    """Return the size that has about so many weights."""
    every = {64 * k: law.weights(ModelConfig(), V, 64 * k) for k in range(1, 33)}
    return min(every, key=lambda H: abs(np.log(every[H] / best)))


@pytest.mark.parametrize(
    ("n", "minutes", "best"),
    [
        (10**9, 2, (RATE * 120 / law.SYMBOLS_PER_WEIGHT) ** 0.5),
        (45_000, 30, law.MOST_WEIGHTS[0]),
        (90_000, 30, law.MOST_WEIGHTS[0] * 2**0.82),
        (45_000, 0.2, RATE * 12 / (92 * 45_000)),  # else it is read too seldom
        (1_000_000, None, law.UNLIMITED[0][0]),
        (250_000, None, law.UNLIMITED[0][0] / 2),
        (10_000, None, law.MOST_WEIGHTS[0] * (10 / 45) ** 0.82),
        (10**12, 10**6, 10**12),  # the largest
    ],
)
def test_the_size_is_the_smallest_of_those_that_time_and_text_allow(n, minutes, best):
    assert found(n, minutes).settings["hidden"] == nearest(best)


def test_what_is_read_fills_the_time_or_is_what_was_asked_for():
    long = found(10**9, 2)
    read = (1 - law.EVALUATION) * RATE * 120 / weights_of(long)
    assert (long.reads, long.by_passes) == (pytest.approx(read, rel=1e-12), False)
    few = found(1_000_000, reads=500_000)
    assert few.settings["hidden"] == nearest(500_000 / law.SYMBOLS_PER_WEIGHT)
    assert (few.reads, few.by_passes) == (500_000, False)


def test_a_short_text_has_few_streams_and_each_a_whole_window():
    lengths = (9_999, 10_000, 19_999, 20_000, 199_999, 200_000)
    assert [found(n).settings["batch"] for n in lengths] == [4, 8, 8, 16, 16, 32]
    for n, shape in ((1, (1, 1)), (2, (1, 1)), (20, (1, 19)), (64, (1, 32)), (65, (2, 32))):
        settings = found(n).settings
        assert (settings["batch"], settings["seq_len"]) == shape


def test_dropout_grows_with_the_logarithm_of_what_is_learned_of_each_symbol():
    for n in (45_000, 100_000, 400_000):
        plan = found(n)
        x = plan.passes * weights_of(plan) / n
        for name, (begins, full, most) in (
            ("dropout", law.DROPOUT),
            ("recurrent_dropout", law.RECURRENT_DROPOUT),
        ):
            share = np.log(x / begins) / np.log(full / begins)
            assert plan.settings[name] == pytest.approx(most * min(1, max(0, share)), abs=0.0051)


def test_the_learning_rate_falls_as_one_over_the_root_of_a_large_size():
    rates = [found(10**6, 1, {"hidden": H}).settings["lr"] for H in (64, 512, 1024, 2048)]
    assert rates == [law.LR, law.LR, 0.0057, law.LR / 2]


def test_the_learning_rate_of_a_cell_without_gates_falls_from_a_smaller_size_on():
    def rate(cell, hidden):
        return found(10**6, 1, {"cell": cell, "hidden": hidden}).settings["lr"]

    assert [rate("rnn", H) for H in (64, 128, 256, 512)] == [law.LR, law.LR, 0.0057, law.LR / 2]
    assert rate("gru", 512) == rate("lstm", 512) == law.LR


@pytest.mark.parametrize(
    ("reads", "validation", "settings"),
    [
        (10_000, 10_000, {"eval_chars": 20_000, "eval_every": 150}),  # two at least
        (1_000_000, 5_000, {"eval_chars": 90_000, "eval_every": 41}),  # 24 of all of it
        (1_000_000, 200_000, {"eval_chars": 90_000, "eval_every": 489}),
        (10**8, 50_000, {"eval_chars": 500_000, "eval_every": 2_442}),  # 40 at most
    ],
)
def test_how_often_and_how_much_is_evaluated(reads, validation, settings):
    plan = found(10**6, reads=reads, validation=validation, streams=32, steps=32).settings
    assert {name: plan[name] for name in settings} == settings


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


@pytest.mark.parametrize("n", [2, 300, 1_000, 8_192, 8_193, 100_000])
def test_streams_of_a_short_text_are_halved_until_an_epoch_has_enough_windows(n):
    streams = law.streams_of_short(n, 32, 32)
    enough = (n - 1) // (streams * 32) >= law.WINDOWS
    assert enough or streams == 1
    assert streams == 32 or (n - 1) // (2 * streams * 32) < law.WINDOWS
    assert law.streams_of_short(n, 32, 32, least=3) >= 3


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
