"""Threads: how many get a share of the streams, and what BLAS may use meanwhile."""

import pytest
from threadpoolctl import threadpool_info

from charrnn.backend import numpy_backend
from charrnn.backend.threads import MAX_MATRIX, MIN_STREAMS, Threads


def test_threads_are_shared_out_where_each_gets_enough(monkeypatch):
    threads = Threads(numpy_backend())
    monkeypatch.setattr(Threads, "count", property(lambda self: 4))
    assert threads.shares(4 * MIN_STREAMS, MAX_MATRIX) == 4
    assert threads.shares(4 * MIN_STREAMS - 1, MAX_MATRIX) == 1
    assert threads.shares(4 * MIN_STREAMS, MAX_MATRIX + 1) == 1


def test_blas_gets_its_threads_back():
    threads = Threads(numpy_backend())
    before = [library["num_threads"] for library in threadpool_info()]
    with pytest.raises(ValueError, match="stop"), threads.serial_blas():
        assert threads.count == 1
        raise ValueError("stop")
    assert [library["num_threads"] for library in threadpool_info()] == before
