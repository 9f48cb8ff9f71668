"""Learning-rate schedules."""

from itertools import pairwise

import numpy as np
import pytest

from charrnn.config import TrainConfig
from charrnn.errors import UsageError
from charrnn.registry import SCHEDULES
from charrnn.train import schedules
from charrnn.train.schedules.base import FLOOR


def factors(name, shares):
    schedule = schedules.create(TrainConfig(schedule=name))
    return [schedule.factor(share, 3) for share in shares]


def test_the_cosine_falls_from_one_to_the_floor_and_stays_there():
    rates = factors("cosine", np.linspace(0, 1, 101))
    assert rates[0] == 1.0
    assert rates[-1] == pytest.approx(FLOOR)
    assert rates[50] == pytest.approx((1 + FLOOR) / 2)
    assert all(a > b for a, b in pairwise(rates))
    assert factors("cosine", (1.0, 1.5, 100.0)) == pytest.approx([FLOOR] * 3)


def test_steps_go_down_at_half_and_three_quarters():
    shares = (0.0, 0.49, 0.5, 0.74, 0.75, 1.0, 3.0)
    assert factors("step", shares) == [1.0, 1.0, 0.1, 0.1, FLOOR, FLOOR, FLOOR]


@pytest.mark.parametrize("name", ["constant", "plateau"])
def test_constant_schedules_are_constant(name):
    assert set(factors(name, (0.0, 0.3, 1.0, 7.0))) == {1.0}


def test_warmup_rises_linearly_and_ends():
    rates = [schedules.warmup(step, 5) for step in range(8)]
    assert rates == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 1.0, 1.0])
    assert schedules.warmup(0, 0) == 1.0


def test_the_plateau_is_lowered_after_every_second_evaluation_without_a_better_loss():
    schedule = schedules.create(TrainConfig(schedule="plateau"))
    rates, rate, stale = [], 1.0, 0
    for _ in range(20):
        rate, stale = schedule.evaluated(rate, stale, better=False)
        rates.append(rate)
    assert rates[:6] == [1.0, 0.5, 0.5, 0.25, 0.25, 0.125]
    assert rates[-1] == FLOOR
    assert schedule.evaluated(0.5, 1, better=True) == (0.5, 0)


@pytest.mark.parametrize("name", sorted(set(SCHEDULES.builtin()) - {"plateau"}))
def test_the_other_schedules_do_not_react_to_evaluations(name):
    schedule = schedules.create(TrainConfig(schedule=name))
    assert schedule.evaluated(1.0, 0, better=False) == (1.0, 0)
    assert schedule.evaluated(1.0, 0, better=True) == (1.0, 0)


@pytest.mark.parametrize("name", SCHEDULES.builtin())
def test_a_schedule_that_ends_at_the_floor_stays_there(name):
    at_floor = factors(name, (1.0, 2.0)) == pytest.approx([FLOOR] * 2)
    assert SCHEDULES.get(name).ends_at_floor == at_floor


def test_an_unknown_schedule_is_an_error():
    with pytest.raises(UsageError, match="constant, cosine, plateau, step"):
        TrainConfig(schedule="linear")
