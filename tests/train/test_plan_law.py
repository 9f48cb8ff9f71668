"""The law of the plan: settings from the length of a text, its alphabet and what may be spent."""

import itertools

import numpy as np
import pytest

from charrnn.config import ModelConfig
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


def test_if_ngrams_make_scoring_slow_there_are_fewer_evaluations():
    def number(grams, V, minutes):
        plan = found(20_000_000, minutes, {"grams": grams, "hidden": 512}, V=V)
        steps = plan.reads / (plan.settings["batch"] * plan.settings["seq_len"])
        return steps / plan.settings["eval_every"]

    assert number(400_000, 9000, 240) < 0.6 * number(0, 9000, 240)
    assert 0.6 * number(0, 60, 30) < number(400_000, 60, 30) < number(0, 60, 30)


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


@pytest.mark.parametrize("n", [2, 300, 1_000, 8_192, 8_193, 100_000])
def test_streams_of_a_short_text_are_halved_until_an_epoch_has_enough_windows(n):
    streams = law.streams_of_short(n, 32, 32)
    enough = (n - 1) // (streams * 32) >= law.WINDOWS
    assert enough or streams == 1
    assert streams == 32 or (n - 1) // (2 * streams * 32) < law.WINDOWS
    assert law.streams_of_short(n, 32, 32, least=3) >= 3
