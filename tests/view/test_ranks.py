"""Areas under the ROC curve and rank correlations, against their definitions."""

from itertools import product

import numpy as np
import pytest

from charrnn.view.ranks import Held, centred_ranks, ranks


def test_equal_values_have_the_mean_of_their_ranks():
    assert ranks(np.array([3.0, 1.0, 3.0, 2.0, 3.0])).tolist() == [3, 0, 3, 1, 3]
    assert ranks(np.array([0.5, -1.0, 9.0])).tolist() == [1, 0, 2]


@pytest.mark.parametrize("ties", [False, True])
def test_an_area_is_the_share_of_pairs_in_order(ties):
    rng = np.random.default_rng(0)
    values, holds = rng.normal(size=(80, 3)), rng.random(80) < 0.3
    values = np.round(values) if ties else values
    found = Held.of(holds.astype(float), numeric=False).areas(centred_ranks(values))
    for column, area in zip(values.T, found, strict=True):
        pairs = list(product(column[holds], column[~holds]))
        expected = np.mean([(a > b) + (a == b) / 2 for a, b in pairs])
        assert area == pytest.approx(expected, rel=1e-12)


def test_a_number_is_told_by_spearmans_correlation():
    rng = np.random.default_rng(1)
    values, numbers = rng.normal(size=(60, 2)), np.round(rng.normal(size=60) * 2)
    values[:, 0] += numbers
    held = Held.of(numbers, numeric=True)
    found = held.areas(centred_ranks(values))
    for column, area in zip(values.T, found, strict=True):
        rho = np.corrcoef(ranks(column), ranks(numbers))[0, 1]
        assert area == pytest.approx((1 + rho) / 2, rel=1e-12)
    assert held.areas(centred_ranks(numbers[:, None]))[0] == pytest.approx(1.0)
    assert held.areas(centred_ranks(np.zeros((60, 1))))[0] == 0.5


@pytest.mark.parametrize("sign", [1, -1])
def test_chance_counts_the_shifts_that_are_told_as_well(sign):
    rng = np.random.default_rng(2)
    values = centred_ranks(np.cumsum(rng.normal(size=(50, 1)), axis=0))[:, 0]
    holds = (np.arange(50) % 20 < 7).astype(float)
    areas = [Held.of(np.roll(holds, s), numeric=False).area(values) for s in range(50)]
    expected = sum(sign * area >= sign * areas[0] - 1e-12 for area in areas) / 50
    assert Held.of(holds, numeric=False).chance(values, sign) == pytest.approx(expected)
