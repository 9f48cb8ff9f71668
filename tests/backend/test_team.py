"""The interface of a team, on the team of one member and on one over threads."""

import numpy as np
import pytest
from helpers import teams

from charrnn.backend.team import Alone
from charrnn.errors import CharRNNError, UsageError


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


@sizes
def test_bytes_are_gathered_by_rank_and_numbers_added_in_that_order(size):
    given = [b"x" * rank for rank in range(size)]
    assert run(size, lambda team: team.gather(given[team.rank])) == [given] * size
    numbers = [1e16, 1.0, -1e16][:size]
    assert run(size, lambda team: team.total(numbers[team.rank])) == [sum(numbers)] * size


@sizes
def test_streams_are_shared_out_and_joined_again(size, rng):
    whole = rng.standard_normal((4, 7)).astype(np.float32)

    def member(team):
        mine = team.shares({"h": whole, "other": whole[:, :3]}, 7)
        assert mine["other"].shape == (4, 3)
        return mine["h"].shape[1], team.joined(mine["h"])

    found = run(size, member)
    assert sum(streams for streams, _ in found) == 7
    for _, joined in found:
        np.testing.assert_array_equal(joined, whole)
        assert joined.dtype == whole.dtype


@sizes
def test_what_the_first_member_produces_all_have(size):
    def member(team):
        return team.of_first(lambda: b"found" if team.rank == 0 else b"wrong")

    assert run(size, member) == [b"found"] * size


def failing(act, size):
    """Return the errors that the members of a team raise."""

    def member(team):
        with pytest.raises(CharRNNError) as caught:
            act(team)
        return caught.value.line(), caught.value.exit_code

    return run(size, member)


def raising(rank, kind=UsageError):
    def act(team):
        if team.rank == rank:
            raise kind(f"setting {chr(0x130)} is wrong", "change it")
        return team.rank

    return act


def test_what_fails_on_one_member_fails_on_all_and_says_on_which():
    def together(team):
        return team.together(lambda: raising(1)(team))

    line = "rank 1: setting \u0130 is wrong; change it"
    assert failing(together, 3) == [(line, 2)] * 3
    first = "setting \u0130 is wrong; change it"
    assert failing(lambda team: team.in_turn(lambda: raising(0)(team)), 2) == [(first, 2)] * 2
    assert failing(lambda team: team.of_first(lambda: raising(0)(team)), 2) == [(first, 2)] * 2
    assert run(3, lambda team: team.together(lambda: raising(7)(team))) == [0, 1, 2]


def test_the_first_member_of_a_machine_goes_first():
    order = []

    def member(team):
        team.place = team.rank % 2
        return team.in_turn(lambda: order.append(team.rank) or team.rank)

    assert run(4, member) == [0, 1, 2, 3]
    assert set(order[:2]) == {0, 2}


def test_other_facts_are_named():
    def member(team):
        return team.require_same({"version": "1", "text": "b" if team.rank == 2 else "a"})

    (line, code), *others = failing(member, 3)
    assert line.startswith("rank 2 has another text than rank 0; start all ranks with the same")
    assert (code, others) == (1, [(line, code)] * 2)
    assert run(2, lambda team: team.require_same({"text": "a"})) == [None, None]
