"""``charrnn bench``: what it measures, what it proposes, and what it says."""

import json
import shlex
from itertools import count

import pytest
from helpers.commands import charrnn, inside

from charrnn.backend import numpy_backend
from charrnn.config import ModelConfig, TrainConfig

SMALL = ModelConfig(cell="gru", layers=2, hidden=6)


def trial(threads=1, batch=32, speed=100.0, backend="numpy"):
    from charrnn.train.bench import Trial

    return Trial(backend, threads, batch, batch / speed, speed)


@pytest.mark.parametrize(("most", "choices"), [(1, (1,)), (2, (1, 2)), (6, (1, 2, 4, 6)),
                                               (8, (1, 2, 4, 8))])  # fmt: skip
def test_thread_choices_end_with_all_cores(most, choices):
    from charrnn.train.bench import thread_choices

    assert thread_choices(most) == choices


def test_the_fewest_threads_near_the_best_are_proposed():
    from charrnn.train.bench import propose_threads

    assert propose_threads([trial(1, speed=98.0), trial(2, speed=100.0)]).threads == 1
    assert propose_threads([trial(1, speed=90.0), trial(2, speed=100.0)]).threads == 2
    assert propose_threads([trial(1, speed=100.0), trial(2, speed=40.0)]).threads == 1


def test_the_smallest_batch_near_the_best_is_proposed():
    from charrnn.train.bench import propose_batch

    rising = [trial(batch=16, speed=50.0), trial(batch=32, speed=85.0), trial(batch=64, speed=100)]
    assert propose_batch(rising).batch == 32
    assert propose_batch([*rising, trial(batch=128, speed=200.0)]).batch == 128
    assert propose_batch(rising[::-1]).batch == 32


@pytest.fixture
def ticking():
    """A clock that makes every measurement end after its least number of rounds."""
    ticks = count(step=1000.0)
    return lambda: next(ticks)


def test_every_setting_is_tried_once(ticking, monkeypatch):
    from charrnn.train import bench

    monkeypatch.setattr(bench, "cores", lambda: 2)
    monkeypatch.setattr(bench, "TURN", 0.0)
    found = bench.run(SMALL, [numpy_backend()], seq_len=5, clock=ticking)
    tried = [(t.threads, t.batch) for t in found.trials]
    winner = found.proposal.threads
    assert winner in (1, 2)
    assert sorted(tried) == sorted(
        [(3 - winner, TrainConfig.batch), *((winner, batch) for batch in bench.BATCHES["numpy"])]
    )
    assert found.proposal in found.trials
    for one in found.trials:
        assert one.chars_per_second == pytest.approx(one.batch * 5 / one.seconds)


def test_given_threads_are_the_only_ones(ticking, monkeypatch):
    from charrnn.train import bench

    monkeypatch.setattr(bench, "TURN", 0.0)
    found = bench.run(SMALL, [numpy_backend()], seq_len=4, threads=1, clock=ticking)
    assert {t.threads for t in found.trials} == {1}
    assert [t.batch for t in found.trials] == list(bench.BATCHES["numpy"])


def test_the_threads_are_given_back(ticking, monkeypatch):
    from threadpoolctl import threadpool_info

    from charrnn.train import bench

    def threads():
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    monkeypatch.setattr(bench, "TURN", 0.0)
    before = threads()
    assert before
    bench.run(SMALL, [numpy_backend()], seq_len=4, threads=before[0] + 1, clock=ticking)
    assert threads() == before


def test_on_a_device_only_the_batch_is_tried(device, ticking, monkeypatch):
    """With the double of CuPy: the faster backend is proposed, and threads do not matter there."""
    from charrnn.backend import select
    from charrnn.train import bench

    monkeypatch.setattr(bench, "TURN", 0.0)
    monkeypatch.setattr(bench, "cores", lambda: 1)
    monkeypatch.setattr(bench, "BATCHES", {"numpy": (2, 3), "cupy": (2, 4, 5)})
    found = bench.run(SMALL, [numpy_backend(), select("cupy")], seq_len=3, clock=ticking)
    shown = [(t.backend, t.threads, t.batch) for t in found.trials]
    assert shown[-3:] == [("cupy", None, 2), ("cupy", None, 4), ("cupy", None, 5)]
    assert {t.threads for t in found.trials if t.backend == "numpy"} == {1}
    by_backend = [
        bench.propose_batch([t for t in found.trials if t.backend == name])
        for name in ("numpy", "cupy")
    ]
    best = max(by_backend, key=lambda t: t.chars_per_second)
    assert found.proposal.backend == best.backend


def test_no_memory_is_one_clear_line(ticking, monkeypatch):
    from charrnn.errors import CharRNNError
    from charrnn.train import bench

    def full(*arguments, **keywords):
        raise MemoryError

    monkeypatch.setattr(bench, "language_loop", full)
    with pytest.raises(CharRNNError, match="not enough memory to train this model with a batch"):
        bench.run(SMALL, [numpy_backend()], clock=ticking)


def test_the_table_marks_the_proposal_and_ends_with_its_command():
    from charrnn.report.bench import bench_text
    from charrnn.train.bench import Bench

    trials = (trial(2, 32, 70.0), trial(1, 32, 80.0), trial(1, 64, 90.0))
    text = bench_text(Bench(SMALL, 7, trials, trials[1], 1234.0))
    marked = [line.split() for line in text.splitlines() if line.startswith("→")]
    assert [row[1:4] for row in marked] == [["numpy", "1", "32"]]
    assert "sampling one stream: 1,234 char/s" in text
    assert text.splitlines()[-1].strip() == (
        "charrnn train CORPUS --cell gru --layers 2 --hidden 6 --seq-len 7 "
        "--batch 32 --backend numpy --threads 1"
    )
    assert max(map(len, text.splitlines()[:-1])) <= 80  # the command stays on one line


def test_defaults_are_left_out_of_the_command_and_threads_on_a_gpu():
    from charrnn.report.bench import command
    from charrnn.train.bench import Bench

    one = trial(None, 256, 9e5, "cupy")
    found = Bench(ModelConfig(), TrainConfig.seq_len, (one,), one, 10.0)
    assert command(found) == "charrnn train CORPUS --batch 256 --backend cupy"


@pytest.mark.parametrize(
    ("asked", "backend", "more"),
    [
        ({"matmul": "bf16"}, "numpy", " --matmul bf16"),
        ({"matmul": "tf32"}, "cupy", " --matmul tf32"),
        ({"matmul": "tf32", "core": "numpy"}, "numpy", " --core numpy"),
        ({"core": "numpy"}, "cupy", ""),
        ({"core": "native"}, "numpy", " --core native"),
    ],
)
def test_the_command_repeats_what_was_asked_for(asked, backend, more):
    from charrnn.report.bench import command
    from charrnn.train.bench import Bench

    one = trial(None, 256, 9e5, backend)
    model = ModelConfig(cell="gru", gru_reset="before")
    found = Bench(model, TrainConfig.seq_len, (one,), one, 10.0, **asked)
    assert command(found) == (
        f"charrnn train CORPUS --cell gru --gru-reset before --batch 256 --backend {backend}{more}"
    )


@pytest.mark.slow
def test_the_proposed_command_trains(tmp_path):
    options = ["--cell", "vanilla", "--hidden", "8", "--seq-len", "6", "--seconds", "0.2"]
    done = charrnn("bench", "--json", *options, "--threads", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["model"]["cell"] == "rnn"
    assert told["sampling_chars_per_second"] > 0
    assert {key: told["proposal"][key] for key in told["trials"][0]} in told["trials"]
    command = shlex.split(told["proposal"]["command"].replace("CORPUS", "hello"))
    trained = inside(*command[1:], "--steps", "2", "--quiet", cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr


@pytest.mark.slow
def test_nothing_but_the_result_is_on_stdout(tmp_path):
    done = charrnn("bench", "--hidden", "4", "--seq-len", "3", "--seconds", "0.1", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("training lstm 1×4, windows of 3 steps")
    assert done.stderr.startswith("charrnn: note: measuring for about 0.1 s")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--seconds", "0"], "--seconds"),
        (["--seconds", "nan"], "--seconds"),
        (["--cell", "elman"], "elman"),
        (["--hidden", "0"], "--hidden"),
        (["--seq-len", "-1"], "--seq-len"),
        (["--threads", "0"], "--threads"),
        (["--backend", "abacus"], "abacus"),
    ],
)
def test_wrong_options_get_one_line(arguments, says):
    done = inside("bench", *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert says in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("task", ["classify", "tag", "transduce", "generate"])
def test_every_task_is_measured_on_examples(task, ticking):
    from charrnn.report.bench import bench_json, bench_text
    from charrnn.train import bench

    model = ModelConfig(task=task, hidden=4)
    found = bench.run(model, [numpy_backend()], threads=1, clock=ticking)
    for one in found.trials:
        assert one.examples_per_second == pytest.approx(one.batch / one.seconds)
        length = bench.LENGTHS[task] + (task == "transduce")  # the end of a target counts
        assert one.chars_per_second == pytest.approx(length * one.examples_per_second, rel=0.02)
    told = bench_json(found)
    assert (told["seq_len"], told["sampling_chars_per_second"]) == (None, None)
    assert f"--task {task}" in told["proposal"]["command"]
    assert "examples/s" in bench_text(found)


def test_a_window_does_not_apply_to_examples(tmp_path):
    done = inside("bench", "--task", "classify", "--seq-len", "5", cwd=tmp_path)
    assert done.returncode == 2
    assert "--seq-len only applies to --task lm" in done.stderr
    done = inside("bench", "--pool", "last", cwd=tmp_path)
    assert "--pool only applies to --task classify" in done.stderr
