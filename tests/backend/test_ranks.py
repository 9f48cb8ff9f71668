"""The ranks of MPI, over a communicator of threads; tests/promises runs real ones."""

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from doubles.fake_mpi import World
from helpers.teams import on_threads

from charrnn.backend import ranks as module
from charrnn.backend.launch import Launched, launched
from charrnn.backend.pulse import Pulse
from charrnn.backend.ranks import SMALL, Ranks, open_ranks
from charrnn.errors import BackendError

MPI = SimpleNamespace(THREAD_MULTIPLE=3, Query_thread=lambda: 3)


def run(size, member):
    """Return what ``member(team)`` returns on each rank."""
    world = World(size)
    return on_threads(size, lambda rank: member(team_of(world.member(rank))))


def team_of(comm, **pulse):
    return Ranks(comm, Pulse(MPI, comm.Dup(), **pulse))


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("count", [1, 2, SMALL, SMALL + 1, SMALL + 4])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_sum_is_taken_in_the_order_of_the_ranks(size, count, dtype, rng):
    parts = (rng.standard_normal((size, count)) * 10.0 ** rng.integers(-4, 5, (size, 1))).astype(
        dtype
    )
    expected = parts[0].copy()
    for part in parts[1:]:
        expected += part

    def member(team):
        found = []
        for _ in range(2):  # the second time in the same buffers
            flat = parts[team.rank].copy()
            team.sum(flat)
            found.append(flat)
        return found

    for found in run(size, member):
        for flat in found:
            assert flat.dtype == dtype
            np.testing.assert_array_equal(flat, expected)


def test_bytes_of_any_length_are_gathered(monkeypatch):
    monkeypatch.setattr(module, "_PART", 4)
    given = [b"", b"abcde", b"\0" * 8]
    assert run(3, lambda team: team.gather(given[team.rank])) == [given] * 3


def test_numbers_and_what_follows_from_them():
    def member(team):
        own = team.rank + 0.1
        return team.numbers(own), team.any(team.rank == 2), team.same(own), team.total(own)

    assert run(3, member) == [([0.1, 1.1, 2.1], True, 0.1, 0.1 + 1.1 + 2.1)] * 3


def test_ranks_of_one_host_divide_its_cores(monkeypatch):
    """Hosts a, b, a; on a both ranks may use cores 0 and 1, and the first one core 2 as well."""
    here = threading.local()
    hosts, cores = ["a", "b", "a"], [["0", "1", "2"], ["0", "1"], ["0", "1"]]
    monkeypatch.setattr(module.socket, "gethostname", lambda: hosts[here.rank])
    monkeypatch.setattr(module, "affinity", lambda: cores[here.rank])
    world = World(3)

    def member(rank):
        here.rank = rank
        team = team_of(world.member(rank))
        return team.hosts, team.local, team.leads, team.beside, team.cores()

    assert on_threads(3, member) == [
        (hosts, [0, 2], True, 2, 2),
        (hosts, [1], True, 1, 2),
        (hosts, [0, 2], False, 2, 1),
    ]


def test_ranks_of_one_container_divide_its_quota(monkeypatch):
    monkeypatch.setattr(module, "affinity", lambda: [str(core) for core in range(64)])
    monkeypatch.setattr(module, "quota", lambda: 6)
    assert run(3, lambda team: team.cores()) == [2, 2, 2]


@pytest.mark.parametrize("silent", [0, 1])
def test_a_rank_that_gives_no_sign_of_life_is_given_up(silent):
    world = World(3)

    def member(rank):
        found, heard = [], threading.Event()
        team = team_of(world.member(rank), every=0.01, silence=0.2)
        if rank != silent:
            team.watch(lambda lost: (found.append(lost), heard.set()))
            if silent == 0 or rank == 0:
                assert heard.wait(20)
        return found

    found = on_threads(3, member)
    if silent == 0:
        assert found == [[], [0], [0]]
    else:
        assert found[:2] == [[1], []]


def test_ranks_that_are_alive_are_not_given_up():
    world = World(2)

    def member(rank):
        found = []
        team = team_of(world.member(rank), every=0.01, silence=5.0)
        team.watch(found.append)
        time.sleep(0.1)
        team.end()
        return found, world.mail

    for found, mail in on_threads(2, member):
        assert found == []
        assert not any(mail.values())


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"PATH": "/bin", "SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, None),  # a batch script
        ({"PMI_RANK": "1", "PMI_SIZE": "2"}, (1, 2)),
        ({"PMI_RANK": "0", "PMI_SIZE": "1"}, None),
        ({"OMPI_COMM_WORLD_RANK": "3", "OMPI_COMM_WORLD_SIZE": "4", "PMIX_RANK": "3"}, (3, 4)),
        ({"PMIX_RANK": "2", "SLURM_STEP_NUM_TASKS": "8"}, (2, 8)),
        ({"PMIX_RANK": "0"}, (0, 0)),
        ({"PMI_RANK": "", "PMI_SIZE": "2"}, None),
    ],
)
def test_a_launcher_is_recognised_by_its_variables(environment, expected):
    assert launched(environment) == expected


def test_without_mpi4py_one_line_says_what_to_install(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError("No module named 'mpi4py'", name="mpi4py")

    monkeypatch.setattr(module, "import_module", missing)
    with pytest.raises(BackendError, match=r"mpi4py is not installed; pip install 'charrnn\[mpi"):
        open_ranks(Launched(0, 2))


def test_a_launcher_of_another_library_is_noticed(monkeypatch):
    world = World(1).member(0)
    found = SimpleNamespace(COMM_WORLD=world, Get_library_version=lambda: "Open MPI v5.0.7, ...")
    monkeypatch.setattr(module, "import_module", lambda name: found)
    with pytest.raises(BackendError, match=r"started 4 ranks, but mpi4py, with Open MPI v5\.0\.7"):
        open_ranks(Launched(0, 4))
