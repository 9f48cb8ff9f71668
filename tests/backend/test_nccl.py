"""Ranks with a GPU each, on doubles of CuPy and NCCL that refuse what is wrong."""

import sys
import types
from collections import Counter

import numpy as np
import pytest
from doubles import fake_cupy
from doubles.fake_nccl import Fabric
from helpers import teams
from helpers.running import TEXT

from charrnn.backend import numpy_backend, select
from charrnn.backend.gpu.nccl import GpuTeam
from charrnn.backend.threads import limit_threads
from charrnn.cli.process.ranks import Command
from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import BackendError, CharRNNError
from charrnn.model.language import LanguageModel
from charrnn.tasks.language import LanguageTask
from charrnn.text import corpus_from_text
from charrnn.train.loop import Loop
from charrnn.train.records import Eval, Step

CORPUS = corpus_from_text(TEXT, val_frac=0.2)
TRAIN = {"batch": 5, "seq_len": 7, "steps": 20, "log_every": 4, "eval_every": 10, "save_every": 10}


@pytest.fixture(autouse=True)
def one_thread():
    limit_threads(1)


def device(monkeypatch, place=0, of=1, devices=1):
    """Return the double of a member's CuPy, and its backend."""
    cupy = fake_cupy.create()
    cupy.devices = devices
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    return cupy, select("cupy", place=(place, of))


def train(backend, team=None, **model):
    shape = {"layers": 2, "hidden": 5, "dropout": 0.3, "dtype": "float64"} | model
    network = LanguageModel.fresh(ModelConfig(**shape), len(CORPUS.vocabulary), 3, backend)
    config = TrainConfig(**TRAIN)
    task = LanguageTask(network, CORPUS.train, CORPUS.val, config, team)
    loop = Loop(task, config, team=team)
    records = [(r.step, r.to_json()) for r in loop.records() if isinstance(r, Step | Eval)]
    return records, loop.state()


@pytest.mark.slow
@pytest.mark.parametrize(
    "cell", ["lstm", *(pytest.param(cell, marks=pytest.mark.slow) for cell in ("gru", "rnn"))]
)
def test_ranks_with_a_gpu_each_train_like_one_process(cell, monkeypatch):
    records, state = train(numpy_backend(), cell=cell)
    fabric = Fabric(3)
    made = [device(monkeypatch) for _ in range(3)]

    def member(team):
        cupy, backend = made[team.rank]
        cupy.cuda.nccl = fabric.module(cupy)
        return train(backend, GpuTeam(team, backend.xp), cell=cell)

    found = teams.run(3, member)
    for theirs, other in found:
        for (step, line), (at, expected) in zip(theirs, records, strict=True):
            assert step == at
            for key in ("loss", "val_loss", "smoothed", "grad_norm"):
                if key in expected:
                    assert line[key] == pytest.approx(expected[key], rel=1e-9)
        np.testing.assert_allclose(other.weights, state.weights, rtol=1e-8, atol=1e-10)
        np.testing.assert_array_equal(other.weights, found[0][1].weights)
        for name, array in other.states.items():
            np.testing.assert_allclose(array, state.states[name], rtol=1e-8, atol=1e-10)
    size = state.weights.size
    expected = Counter({("allReduce", size, "float64"): 20, ("allReduce", 1, "float64"): 20})
    assert [Counter(calls) for calls in fabric.calls] == [expected] * 3
    for cupy, _ in made:
        crossed = Counter(shape for shape, _ in cupy.downloads)
        assert crossed[(size,)] == 1 + 2  # the state asked for above: weights and two moments


def members(size, monkeypatch, act):
    """Run ``act(team, gpus, cupy)`` on members with doubles."""
    fabric = Fabric(size)
    made = [device(monkeypatch) for _ in range(size)]

    def member(team):
        cupy, backend = made[team.rank]
        cupy.cuda.nccl = fabric.module(cupy)
        return act(team, GpuTeam(team, backend.xp), cupy)

    return teams.run(size, member)


def test_the_double_refuses_arrays_of_the_host(monkeypatch):
    def act(team, gpus, cupy):
        host = np.ones(4)
        address = types.SimpleNamespace(ptr=host.__array_interface__["data"][0])
        wrong = types.SimpleNamespace(data=address, dtype=host.dtype, size=4)
        with pytest.raises(TypeError, match="not in this device's memory"):
            gpus.sum(wrong)

    members(2, monkeypatch, act)


def test_the_double_refuses_another_order_and_another_stream(monkeypatch):
    def unordered(team, gpus, cupy):
        sizes = (2, 3) if team.rank else (3, 2)
        for size in sizes:
            gpus.sum(cupy.ones(size))

    with pytest.raises(AssertionError, match="the members called"):
        members(2, monkeypatch, unordered)

    def elsewhere(team, gpus, cupy):
        other = types.SimpleNamespace(ptr=99)
        cupy.cuda.get_current_stream = lambda: other
        with pytest.raises(AssertionError, match="does not wait"):
            gpus.sum(cupy.ones(2))

    members(2, monkeypatch, elsewhere)


def test_each_rank_of_a_machine_takes_its_own_gpu(monkeypatch):
    for place in range(3):
        cupy, _ = device(monkeypatch, place, 3, devices=4)
        assert cupy.device == place
    with pytest.raises(BackendError, match=r"fewer GPUs \(2\) than ranks \(3\); start one rank"):
        device(monkeypatch, 0, 3, devices=2)


def test_what_nccl_lacks_or_says_is_an_error_on_all(monkeypatch):
    made = [device(monkeypatch) for _ in range(2)]

    def error(team, nccl):
        cupy, backend = made[team.rank]
        cupy.cuda.nccl = nccl(team, cupy)
        with pytest.raises(CharRNNError) as caught:
            GpuTeam(team, backend.xp)
        return caught.value.line()

    missing = types.SimpleNamespace(available=False)
    for line in teams.run(2, lambda team: error(team, lambda *_: missing)):
        assert line.startswith("CuPy finds no NCCL, which connects the GPUs of several ranks; ")

    fabric = Fabric(2)

    def unconnected(team, cupy):
        module = fabric.module(cupy)
        if team.rank == 1:

            def fail(*rest):
                raise RuntimeError("NCCL_ERROR_SYSTEM_ERROR: unhandled system error")

            module.NcclCommunicator = fail
        return module

    for line in teams.run(2, lambda team: error(team, unconnected)):
        assert line.startswith("rank 1: NCCL cannot connect the GPUs: NCCL_ERROR_SYSTEM_ERROR")


def test_a_command_takes_a_gpu_for_each_rank_and_adds_there(monkeypatch):
    cupy, fabric = fake_cupy.create(), Fabric(2)
    cupy.devices, cupy.cuda.nccl = 2, fabric.module(cupy)
    monkeypatch.setitem(sys.modules, "cupy", cupy)

    def member(team):
        team.place, team.beside = team.rank, 2
        command = Command(team)
        backend = command.open_backend("cupy", None)
        ones = backend.xp.ones(3)
        command.team.sum(ones)
        return backend.name, command.team.any(team.rank == 1), backend.get(ones).tolist()

    assert teams.run(2, member) == [("cupy", True, [2.0] * 3)] * 2

    def alone(team):
        command = Command(team)
        return command.open_backend("numpy", 1).name, command.team is team

    assert teams.run(2, alone) == [("numpy", True)] * 2
