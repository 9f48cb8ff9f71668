"""The interface of a team, on the team of one member and on one over threads."""

import numpy as np
import pytest
from helpers import teams

from charrnn.backend.team import Alone


def run(size, member):
    """Run a member alone, or several on threads."""
    return [member(Alone())] if size == 1 else teams.run(size, member)


sizes = pytest.mark.parametrize("size", [1, 2, 3])


@sizes
def test_members_are_numbered(size):
    assert run(size, lambda team: (team.rank, team.size)) == [(k, size) for k in range(size)]


@sizes
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_sum_is_over_all_members_and_the_same_for_each(size, dtype, rng):
    parts = rng.standard_normal((size, 1000)).astype(dtype)

    def member(team):
        flat = parts[team.rank].copy()
        team.sum(flat)
        return flat

    found = run(size, member)
    np.testing.assert_allclose(found[0], parts.sum(axis=0), rtol=1e-5, atol=1e-6)
    assert len({flat.tobytes() for flat in found}) == 1
    assert found[0].dtype == dtype


@sizes
def test_a_flag_is_raised_for_all_if_one_member_raises_it(size):
    for raising in range(size):
        assert run(size, lambda team, r=raising: team.any(team.rank == r)) == [True] * size
    assert run(size, lambda team: team.any(False)) == [False] * size


@sizes
def test_a_number_is_that_of_the_first_member(size):
    assert run(size, lambda team: team.same(7.25 + team.rank)) == [7.25] * size


@sizes
def test_calls_follow_each_other_without_mixing(size):
    def member(team):
        return [team.same(n * (team.rank + 1)) for n in range(50)]

    assert run(size, member) == [[float(n) for n in range(50)]] * size


def test_a_member_that_fails_is_heard():
    def member(team):
        if team.rank:
            raise ZeroDivisionError
        return team.any(False)

    with pytest.raises(ZeroDivisionError):
        teams.run(2, member)
