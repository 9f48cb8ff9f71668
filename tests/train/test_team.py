"""Two loops in a team, on half of the streams each, train as one loop does on all of them."""

import itertools
import math

import numpy as np
import pytest
from helpers import teams
from helpers.running import TEXT

from charrnn.backend import numpy_backend
from charrnn.config import ModelConfig, TrainConfig
from charrnn.model.language import LanguageModel
from charrnn.tasks.language import LanguageTask
from charrnn.text import corpus_from_text
from charrnn.train.loop import Loop
from charrnn.train.records import Eval, Step
from charrnn.train.rollback import in_memory

CORPUS = corpus_from_text(TEXT, val_frac=0.2)
MODEL = {"layers": 2, "hidden": 5, "dtype": "float64"}
TRAIN = {"batch": 6, "seq_len": 8, "steps": 30, "log_every": 1, "eval_every": 5, "lr": 0.02}


class Clocked(Loop):
    """A loop whose time goes on by one tick whenever it is asked for."""

    ticks = itertools.count()

    @property
    def seconds(self):
        return float(next(self.ticks))


def loop_of(team=None, model=None, interrupted=lambda: False, kind=Loop, **options):
    config = TrainConfig(**TRAIN | options)
    network = LanguageModel.fresh(
        ModelConfig(**MODEL | (model or {})), len(CORPUS.vocabulary), 3, numpy_backend()
    )
    task = LanguageTask(network, CORPUS.train, CORPUS.val, config, team)
    return kind(task, config, team=team, interrupted=interrupted)


def numbers(records):
    """Return step, loss, norm and rate of each update, and the validation losses."""
    return [
        (r.step, r.loss, r.smoothed, r.grad_norm, r.lr) if isinstance(r, Step) else r.val_loss
        for r in records
        if isinstance(r, Step | Eval)
    ]


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize(
    ("model", "options"),
    [
        ({}, {}),
        ({"dropout": 0.4, "cell": "gru"}, {"restart": 0.3}),
        ({"cell": "rnn"}, {"state": "reset", "clip_value": 0.01, "optimizer": "sgd"}),
        ({"embed": 3}, {"patience": 1, "lr": 0.2, "schedule": "plateau", "watch": 4}),
    ],
)
def test_a_team_trains_like_one_loop(size, model, options):
    alone = loop_of(model=model, **options)
    expected = list(alone.records())

    def member(team):
        loop = loop_of(team, model, **options)
        records = list(loop.records())
        return loop.task.weights.flat, records

    found = teams.run(size, member)
    for weights, records in found:
        np.testing.assert_allclose(weights, alone.task.weights.flat, rtol=1e-8, atol=1e-10)
        np.testing.assert_array_equal(weights, found[0][0])
        assert records[-1].reason == expected[-1].reason
        assert records[-1].step == expected[-1].step
        for mine, theirs in zip(numbers(records), numbers(expected), strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-8)


def test_an_interruption_of_one_member_stops_all_at_the_same_step():
    def member(team):
        asked = itertools.count()
        loop = loop_of(team, interrupted=lambda: team.rank == 1 and next(asked) >= 7)
        return list(loop.records())[-1]

    ends = teams.run(2, member)
    assert [end.reason for end in ends] == ["interrupted"] * 2
    assert ends[0].step == ends[1].step
    assert 0 < ends[0].step < 8


def test_clocks_of_members_that_differ_give_one_rate_and_one_end():
    def member(team):
        loop = loop_of(team, kind=Clocked, steps=None, minutes=1.0, eval_every=0)
        loop.ticks = itertools.count(0, 1 if team.rank == 0 else 10)
        records = list(loop.records())
        return [r.lr for r in records if isinstance(r, Step)], records[-1]

    (rates, end), (others, other) = teams.run(2, member)
    assert rates == others
    assert (end.reason, end.step) == (other.reason, other.step) == ("minutes", len(rates))
    assert 5 < len(rates) < 60


def test_a_member_with_a_bad_state_takes_all_back():
    def member(team):
        loop = loop_of(team, eval_every=0, save_every=5, max_rollbacks=1)
        seen, planted = [], False
        for record in in_memory(loop):
            seen.append(record)
            if team.rank == 1 and record.step == 8 and not planted:
                dict(loop.task.window.states())["h_l0"][0][0, 0] = math.nan
                planted = True
        return seen, loop.task.weights.flat

    (one, weights), (two, others) = teams.run(2, member)
    found = [[r for r in seen if r.event == "rollback"] for seen in (one, two)]
    assert [(r.step, r.to_step) for (r,) in found] == [(9, 5), (9, 5)]
    assert found[1][0].tensor == "state.h_l0"
    np.testing.assert_array_equal(weights, others)
