"""The double of CUDA graphs finds what a GPU would not tell (see :mod:`fake_streams`)."""

import gc

import numpy as np
import pytest


@pytest.fixture
def double(compiling):
    return compiling


def test_nothing_runs_before_the_launch(double):
    x, stream = double.zeros(2), double.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        y = x + 1
        x += 5
        x[1] = 9
        graph = stream.end_capture()
    assert x.get().tolist() == [0, 0]
    assert np.isnan(y.get()).all()
    for expected in ([1, 1], [6, 10]):
        graph.launch()
        assert y.get().tolist() == expected
        assert x.get()[1] == 9


@pytest.mark.parametrize("what", ["up", "down", "product", "operator", "sort", "many", "wait"])
def test_what_cannot_be_recorded_is_refused(what, double):
    x, stream = double.ones((2, 2)), double.cuda.Stream(non_blocking=True)
    refused = {
        "up": lambda: double.asarray(np.ones(2)),
        "down": x.get,
        "product": lambda: double.matmul(x, x),
        "operator": lambda: x @ x,
        "sort": lambda: double.argsort(x),
        "many": lambda: double.concatenate([x] * 9),
        "wait": stream.synchronize,
    }
    with stream:
        stream.begin_capture()
        with pytest.raises((RuntimeError, NotImplementedError)):
            refused[what]()
        stream.end_capture()


def test_a_stream_from_outside_is_refused(double):
    x, stream = double.ones(2), double.cuda.Stream(non_blocking=True)
    stream.begin_capture()
    with pytest.raises(RuntimeError, match="does not take part"):
        x += 1
    stream.end_capture()


def test_memory_that_was_given_back_is_found(double):
    x, stream = double.ones(2), double.cuda.Stream(non_blocking=True)
    kept = double.zeros(2)
    with stream:
        stream.begin_capture()
        kept += x
        graph = stream.end_capture()
    graph.launch()
    del x
    gc.collect()
    with pytest.raises(AssertionError, match="given back"):
        graph.launch()


def test_memory_of_the_recordings_own_pool_stays(double):
    pool, stream = double.cuda.MemoryPool(), double.cuda.Stream(non_blocking=True)
    x, kept = double.ones(2), double.zeros(2)
    with double.cuda.using_allocator(pool.malloc), stream:
        stream.begin_capture()
        kept += x * 2
        graph = stream.end_capture()
    graph.launch()
    assert kept.get().tolist() == [2, 2]
    del pool
    gc.collect()
    with pytest.raises(AssertionError, match="given back"):
        graph.launch()


@pytest.mark.parametrize("waits", [True, False])
def test_an_access_that_no_event_puts_in_order_is_found(waits, double):
    x, y = double.ones(2), double.zeros(2)
    one, two = (double.cuda.Stream(non_blocking=True) for _ in range(2))
    begun, made, over = (double.cuda.Event(disable_timing=True) for _ in range(3))
    one.begin_capture()
    two.wait_event(one.record(begun))
    with one:
        x += 1
    if waits:
        two.wait_event(one.record(made))
        with two:
            y += x
    else:
        with two, pytest.raises(AssertionError, match="does not wait for"):
            y += x
    with pytest.raises(RuntimeError, match="Unjoined"):
        one.end_capture()
    one.begin_capture()
    two.wait_event(one.record(begun))
    with two:
        y += x
    one.wait_event(two.record(over))
    one.end_capture().launch()
    assert y.get().tolist() == [1, 1]
