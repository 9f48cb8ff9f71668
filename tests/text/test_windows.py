"""Streams of truncated BPTT: every target in its place, and counted once."""

import tracemalloc

import numpy as np
import pytest

from charrnn.errors import CorpusError, UsageError
from charrnn.text import Streams, evaluation_streams, fit_window
from charrnn.text.windows import EvaluationStreams


def numbered(n):
    return np.arange(n, dtype=np.min_scalar_type(n))


@pytest.mark.parametrize(
    ("n", "batch", "seq_len"), [(101, 4, 5), (98, 3, 7), (33, 1, 32), (50, 7, 1)]
)
def test_each_stream_reads_its_piece_of_the_text_in_order(n, batch, seq_len):
    streams = Streams(numbered(n), batch, seq_len)
    length = (n - 1) // batch
    assert streams.length == length
    assert streams.windows_per_epoch == length // seq_len
    windows = [streams.batch_at(step) for step in range(streams.windows_per_epoch)]
    inputs = np.concatenate([w.inputs for w in windows])
    targets = np.concatenate([w.targets for w in windows])
    for i in range(batch):
        piece = numbered(n)[i * length : i * length + len(inputs)]
        np.testing.assert_array_equal(inputs[:, i], piece)
        np.testing.assert_array_equal(targets[:, i], piece + 1)
    assert length - len(inputs) < seq_len  # what is left over is less than a window
    assert windows[0].reset.all()
    assert all(window.reset is None for window in windows[1:])


def test_a_window_says_which_streams_start_afresh():
    def resets(**how):
        streams = Streams(numbered(101), 4, 5, **how)
        return [streams.batch_at(step).reset for step in range(40)]

    assert all(reset.all() for reset in resets(carry=False))
    some = resets(restart=0.3, seed=7)
    assert all(reset.all() for reset in some[::5])  # an epoch starts
    inner = [np.zeros(4, bool) if r is None else r for k, r in enumerate(some) if k % 5]
    assert 0.15 < np.mean(inner) < 0.45
    assert len({tuple(reset) for reset in inner}) > 4  # the streams restart one by one
    for one, two in zip(some, resets(restart=0.3, seed=7), strict=True):
        np.testing.assert_array_equal(one, two)
    assert any(not np.array_equal(*pair) for pair in zip(some, resets(restart=0.3), strict=True))
    assert all(reset.all() for reset in resets(restart=1 - 1e-12))


def test_the_streams_that_start_afresh_depend_on_the_step_alone():
    def reset(streams, step):
        found = streams.batch_at(step).reset
        return None if found is None else found.tolist()

    steps = [*range(150), 70, 3, 1000, 149]
    one = Streams(numbered(3001), 4, 5, restart=0.3)
    found = {step: reset(one, step) for step in steps}
    assert found == {step: reset(one, step) for step in reversed(steps)}
    for step in (0, 1, 63, 64, 70, 128, 1000):
        assert reset(Streams(numbered(3001), 4, 5, restart=0.3), step) == found[step]
    one.batch_at(3).reset[...] = True  # the caller's own
    assert reset(one, 3) == found[3]


def test_some_streams_of_a_window_have_memory_of_their_own():
    window = Streams(numbered(101), 4, 5).batch_at(0)
    some = window.of(slice(1, 3))
    np.testing.assert_array_equal(some.inputs, window.inputs[:, 1:3])
    np.testing.assert_array_equal(some.targets, window.targets[:, 1:3])
    assert some.reset.shape == (2,)
    assert some.inputs.flags.c_contiguous
    assert not np.shares_memory(some.inputs, window.inputs)


def test_windows_repeat_with_the_epochs():
    streams = Streams(numbered(101), 4, 5)
    for step in (0, 3, 4, 5, 9, 10, 1_000_003):
        window, again = streams.batch_at(step), streams.batch_at(step % 5)
        np.testing.assert_array_equal(window.inputs, again.inputs)
        np.testing.assert_array_equal(window.targets, again.targets)
        assert window.epoch == step // 5
        assert (window.reset is not None) == (step % 5 == 0)
    with pytest.raises(ValueError, match="negative"):
        streams.batch_at(-1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_windows_are_contiguous_arrays_of_the_type_of_the_ids(dtype):
    ids = np.arange(100).astype(dtype)
    ids.flags.writeable = False
    streams = Streams(ids, 3, 8)
    window = streams.batch_at(1)
    for array in (window.inputs, window.targets):
        assert array.dtype == dtype
        assert array.shape == (8, 3)
        assert array.flags.c_contiguous
        array += 1  # the caller's own
    np.testing.assert_array_equal(streams.batch_at(1).inputs + 1, window.inputs)
    np.testing.assert_array_equal(streams.batch_at(1).targets + 1, window.targets)


def test_no_copy_of_the_text_is_made(tmp_path):
    path = tmp_path / "ids.bin"
    with path.open("wb") as file:
        file.truncate(1 << 28)  # sparse: takes no space
    ids = np.memmap(path, np.uint8, mode="r")
    tracemalloc.start()
    streams = Streams(ids, 32, 64)
    streams.batch_at(streams.windows_per_epoch - 1)
    next(iter(evaluation_streams(ids, 32, seq_len=64)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_a_text_shorter_than_one_window_is_an_error():
    Streams(numbered(33), 4, 8)
    with pytest.raises(CorpusError, match="32 symbols, one window needs 33"):
        Streams(numbered(32), 4, 8)
    for batch, seq_len in ((0, 8), (4, 0), (-1, 8)):
        with pytest.raises(UsageError, match="must be at least 1, not"):
            Streams(numbered(100), batch, seq_len)


@pytest.mark.parametrize(
    ("n", "batch", "seq_len", "fitted", "said"),
    [
        (2049, 32, 64, (32, 64), None),
        (2048, 32, 64, (31, 64), "; using 31 streams × 64 steps instead"),
        (65, 32, 64, (1, 64), "; using 1 stream × 64 steps instead"),
        (64, 32, 64, (1, 63), "; using 1 stream × 63 steps instead"),
        (64, 1, 64, (1, 63), "; using 1 stream × 63 steps instead"),
        (2, 32, 64, (1, 1), "; using 1 stream × 1 step instead"),
        (2, 1, 1, (1, 1), None),
    ],
)
def test_fit_window(n, batch, seq_len, fitted, said):
    *sizes, note = fit_window(n, batch, seq_len)
    assert tuple(sizes) == fitted
    assert (note is None) == (said is None)
    if said:
        assert note.endswith(said)
        assert "\n" not in note
    assert Streams(numbered(n), *fitted).windows_per_epoch >= 1


@pytest.mark.parametrize("n", [0, 1])
def test_nothing_can_be_learned_from_less_than_two_symbols(n):
    with pytest.raises(CorpusError, match="at least 2"):
        fit_window(n, 4, 8)
    with pytest.raises(CorpusError, match="at least 2"):
        evaluation_streams(numbered(n), 4)


@pytest.mark.parametrize("seed", range(30))
def test_evaluation_counts_every_target_once_in_order(seed):
    rng = np.random.default_rng(seed)
    batch, seq_len = rng.integers(1, 9), rng.integers(1, 12)
    n = int(rng.integers(batch + 1, 100))
    streams = EvaluationStreams(numbered(n), int(batch), int(seq_len))
    windows = list(streams)
    inputs = np.concatenate([w.inputs for w in windows])
    targets = np.concatenate([w.targets for w in windows])
    full = [np.ones(w.inputs.shape, bool) if w.mask is None else w.mask for w in windows]
    mask = np.concatenate(full)
    assert sorted(targets[mask].tolist()) == list(range(1, n))
    assert streams.targets == n - 1
    np.testing.assert_array_equal(inputs[mask] + 1, targets[mask])
    for i in range(batch):  # each stream reads on without a gap
        assert set(np.diff(inputs[mask[:, i], i]).tolist()) <= {1}
    assert all(len(w.inputs) == seq_len for w in windows[:-1])
    assert all(w.mask is None for w in windows[:-1])
    assert inputs.max() < n


def test_evaluation_has_a_mask_only_where_it_is_needed():
    assert all(w.mask is None for w in EvaluationStreams(numbered(41), 4, 3))
    *_, last = EvaluationStreams(numbered(43), 4, 3)
    assert last.mask.tolist() == [[True] * 4, [True, True, False, False]]


@pytest.mark.parametrize(
    ("n", "streams", "limit", "batch", "targets"),
    [
        (500, 32, None, 1, 499),
        (2049, 32, None, 2, 2048),
        (2048, 32, None, 1, 2047),
        (100_001, 32, None, 32, 100_000),
        (100_001, 32, 5000, 4, 5000),
        (100_001, 32, 100_000, 32, 100_000),
        (101, 1, 1000, 1, 100),
        (101, 8, 1, 1, 1),
    ],
)
def test_evaluation_streams_are_long_enough(n, streams, limit, batch, targets):
    chosen = evaluation_streams(numbered(n), streams, limit, seq_len=100)
    assert (chosen.batch, chosen.targets) == (batch, targets)
    count = sum(w.targets.size if w.mask is None else int(w.mask.sum()) for w in chosen)
    assert count == targets


def test_an_impossible_limit_is_a_usage_error():
    with pytest.raises(UsageError, match="limit"):
        evaluation_streams(numbered(100), 4, 0)
