"""Learning-rate schedules."""

from itertools import pairwise

import numpy as np
import pytest

from charrnn.errors import UsageError
from charrnn.train import schedules
from charrnn.train.schedules import FLOOR, factor


def test_the_cosine_falls_from_one_to_the_floor_and_stays_there():
    rates = [factor("cosine", share, 0, 0) for share in np.linspace(0, 1, 101)]
    assert rates[0] == 1.0
    assert rates[-1] == pytest.approx(FLOOR)
    assert rates[50] == pytest.approx((1 + FLOOR) / 2)
    assert all(a > b for a, b in pairwise(rates))
    for share in (1.0, 1.5, 100.0):
        assert factor("cosine", share, 0, 0) == pytest.approx(FLOOR)


def test_steps_go_down_at_half_and_three_quarters():
    shares = (0.0, 0.49, 0.5, 0.74, 0.75, 1.0, 3.0)
    expected = [1.0, 1.0, 0.1, 0.1, FLOOR, FLOOR, FLOOR]
    assert [factor("step", share, 0, 0) for share in shares] == expected


@pytest.mark.parametrize("name", ["constant", "plateau"])
def test_constant_schedules_are_constant(name):
    assert {factor(name, share, 3, 0) for share in (0.0, 0.3, 1.0, 7.0)} == {1.0}


@pytest.mark.parametrize("name", schedules.NAMES)
def test_warmup_rises_linearly_and_ends(name):
    later = factor(name, 0.3, 10, 0)
    rates = [factor(name, 0.3, step, 5) / later for step in range(8)]
    assert rates == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 1.0, 1.0])


def test_the_plateau_is_lowered_after_every_second_evaluation_without_progress():
    factors, rate, stale = [], 1.0, 0
    for _ in range(20):
        rate, stale = schedules.plateau(rate, stale)
        factors.append(rate)
    assert factors[:6] == [1.0, 0.5, 0.5, 0.25, 0.25, 0.125]
    assert factors[-1] == FLOOR


def test_an_unknown_schedule_is_an_error():
    with pytest.raises(UsageError, match="cosine, constant, plateau, step"):
        factor("linear", 0.0, 0, 0)
