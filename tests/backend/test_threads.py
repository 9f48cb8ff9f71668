"""Threads: how many get a share of the streams, and what BLAS may use meanwhile."""

import os
from threading import Thread

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import charrnn
from charrnn.backend import Backend, numpy_backend
from charrnn.backend import threads as module
from charrnn.backend.threads import MAX_MATRIX, MIN_STREAMS, Threads, limit_threads
from charrnn.config import ModelConfig
from charrnn.errors import UsageError
from charrnn.evaluate import Validation, score, score_lines
from charrnn.model.language import LanguageModel
from charrnn.sampling import most_likely, samples
from charrnn.text.vocabulary import Vocabulary


def test_threads_are_shared_out_where_each_gets_enough(monkeypatch):
    threads = Threads(numpy_backend())
    monkeypatch.setattr(Threads, "count", property(lambda self: 4))
    assert threads.shares(4 * MIN_STREAMS, MAX_MATRIX) == 4
    assert threads.shares(4 * MIN_STREAMS - 1, MAX_MATRIX) == 1
    assert threads.shares(4 * MIN_STREAMS, MAX_MATRIX + 1) == 1


def used():
    """Return how many threads BLAS uses now."""
    return min(library["num_threads"] for library in threadpool_info())


@pytest.fixture
def threads():
    with threadpool_limits(2, user_api="blas"):
        found = Threads(numpy_backend())
        if used() != 2:
            pytest.skip("BLAS has no threads here")
        yield found
        assert used() == 2


def test_blas_gets_its_threads_back(threads):
    with pytest.raises(ValueError, match="stop"), threads.serial_blas():
        assert (used(), threads.count) == (1, 2)
        raise ValueError("stop")
    assert (used(), threads.count) == (2, 2)


def test_blas_is_serial_until_the_last_one_that_needs_it(threads):
    """Whoever entered first may leave first."""
    first, other = threads.serial_blas(), Threads(numpy_backend()).serial_blas()
    first.__enter__()
    other.__enter__()
    first.__exit__(None, None, None)
    assert (used(), threads.count) == (1, 2)
    with first, first:
        assert used() == 1
    other.__exit__(None, None, None)
    assert used() == 2


def test_blas_keeps_its_threads_for_one_thread_of_the_process_alone(threads):
    seen = []

    def other():
        with threads.shared_blas():
            seen.append((used(), threads.count))

    with threads.shared_blas(), threads.shared_blas():
        assert used() == 2
        worker = Thread(target=other)
        worker.start()
        worker.join()
        assert used() == 2
    assert seen == [(1, 2)]


def test_a_device_has_no_such_threads(threads):
    there = Threads(Backend("cupy", None))
    with there.serial_blas(), there.shared_blas():
        assert (used(), there.count) == (2, 1)


@pytest.mark.parametrize(("hidden", "alone"), [(8, 1), (700, 2)])
def test_sampling_and_scoring_keep_blas_to_one_thread(threads, monkeypatch, hidden, alone):
    """Except if one stream reads weights that no cache holds."""
    vocabulary = Vocabulary("char", tuple("\nab"))
    model = LanguageModel(ModelConfig(hidden=hidden), 3)
    seen = []

    def forward(self, *arguments):
        seen.append(used())
        return original(self, *arguments)

    original = type(model.stack.cell).forward
    monkeypatch.setattr(type(model.stack.cell), "forward", forward)
    ids = vocabulary.encode("ab\n" * 9)
    monkeypatch.setattr("charrnn.text.windows.MIN_EVALUATION_LENGTH", 5)  # for several streams
    for expected, work in (
        (1, lambda: samples(model, vocabulary, count=2, length=3)),
        (1, lambda: most_likely(model, vocabulary, beam=2, length=3)),
        (alone, lambda: charrnn.Model(model, vocabulary).sample(3)),
        (alone, lambda: score(model, [ids])),
        (1, lambda: list(score_lines(model, [("ab", ids[:2])] * 3))),
        (1, lambda: Validation(model, ids).loss()),
    ):
        seen.clear()
        work()
        assert set(seen) == {expected}
        assert used() == 2


def test_trainings_in_threads_leave_blas_as_it_was_and_give_the_same(threads):
    def fit(seed, found):
        model = charrnn.fit("the cat sat\n" * 90, hidden=8, steps=4, batch=32, seed=seed)
        found[seed] = model.weights.flat

    alone, together = {}, {}
    for seed in (1, 2, 3):
        fit(seed, alone)
    workers = [Thread(target=fit, args=(seed, together)) for seed in (1, 2, 3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for seed, weights in alone.items():
        np.testing.assert_array_equal(together[seed], weights)


def test_threads_are_limited():
    def blas():
        return {p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"}

    before = blas()
    try:
        limit_threads(1)
        assert blas() == {1}
        limit_threads(None)
        assert blas() == {1}
    finally:
        threadpool_limits(limits=max(before), user_api="blas")
    with pytest.raises(UsageError, match="at least 1"):
        limit_threads(0)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "1000 100000\n"}, 1),
        ({"cpu.max": "900000000 100000\n"}, 64),
        ({"cpu.max": "max 100000\n"}, 64),
        ({"cpu.max": "what\n"}, 64),
        ({"cpu.max": "1 0\n"}, 64),
        ({"cpu/cpu.cfs_quota_us": "250000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 64),
        ({"cpu/cpu.cfs_quota_us": "250000\n"}, 64),
        ({}, 64),
    ],
)
def test_a_container_with_a_quota_has_as_many_threads(monkeypatch, tmp_path, files, expected):
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(module, "CGROUP", tmp_path)
    monkeypatch.setattr(module, "affinity", lambda: [str(core) for core in range(64)])
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert module.default_threads() == expected


def test_blas_has_no_more_threads_than_a_quota_allows(monkeypatch, tmp_path, threads):
    (tmp_path / "cpu.max").write_text("100000 100000")
    monkeypatch.setattr(module, "CGROUP", tmp_path)
    monkeypatch.setattr(module, "affinity", lambda: ["0", "1"])
    for name in [name for name in os.environ if name.endswith("_NUM_THREADS")]:
        monkeypatch.delenv(name)
    try:
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
        limit_threads(None)
        assert used() == 2
        monkeypatch.delenv("OPENBLAS_NUM_THREADS")
        limit_threads(None)
        assert used() == 1
    finally:
        threadpool_limits(limits=2, user_api="blas")


@pytest.mark.parametrize(("given", "expected"), [("4,2", 4), (" 3 ", 3), (",2", 2), ("0,2", 2)])
def test_the_first_number_of_a_list_of_threads_counts(monkeypatch, given, expected):
    monkeypatch.setattr(module, "affinity", lambda: ["0", "1"])
    monkeypatch.setattr(module, "quota", lambda: None)
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert module.default_threads() == expected
