"""Files reach the disk in one order; whatever fails on the way, the old checkpoint is there."""

import errno
import os
import re
import subprocess
import sys
import tracemalloc
from itertools import count, groupby, pairwise

import numpy as np
import pytest
from helpers.faults import Disk, names
from helpers.running import SMALL, train

from charrnn import files
from charrnn.errors import CharRNNError
from charrnn.storage import container, runs

posix = pytest.mark.skipif(os.name == "nt", reason="folders cannot be flushed there")


def written(path, seed=1, size=3000):
    """Write a checkpoint's container with tensors of several kinds; return them."""
    rng = np.random.default_rng(seed)
    tensors = {"a": rng.standard_normal((3, size)), "b": rng.standard_normal(5).astype(np.float32)}
    container.write(path, tensors, {"seed": seed})
    return tensors


def same(path, tensors):
    found, _ = container.read(path)
    return found.keys() == tensors.keys() and all(
        np.array_equal(found[name], array) for name, array in tensors.items()
    )


@posix
def test_a_file_is_written_flushed_renamed_and_its_folder_flushed(tmp_path, slow_disk, monkeypatch):
    with monkeypatch.context() as patch:
        disk = Disk(patch, tmp_path)
        tensors = written(tmp_path / "file")
    assert same(tmp_path / "file", tensors)
    temporary = disk.calls[0][1]
    assert re.fullmatch(rf"\.file\.[0-9a-f]{{8}}\.{os.getpid()}\.tmp", temporary)
    assert files.is_temporary(temporary)
    assert [call for call, _ in groupby(disk.calls)] == [
        ("open", temporary),
        ("write", temporary),
        ("fsync", temporary),
        ("replace", temporary),
        ("open", tmp_path.name),
        ("fsync", tmp_path.name),
    ]


@posix
def test_in_training_the_metrics_are_on_the_disk_before_the_checkpoint_that_counts_on_them(
    text, home, slow_disk, monkeypatch
):
    with monkeypatch.context() as patch:
        disk = Disk(patch, runs.HOME)
        train(text, name="run", **SMALL | {"steps": 12}, eval_every=4, save_every=6, keep=1)
    calls, folder = disk.calls, "run"
    renamed = [n for n, (name, _) in enumerate(calls) if name == "replace"]
    saves = [n for n in renamed if ".safetensors." in calls[n][1]]
    assert len(renamed) == len(saves) + 1  # the validation text
    assert len(saves) >= 3 + 2 * 2 + 1  # best; last and numbered; the end
    for at in renamed:
        assert calls[at - 1] == ("fsync", calls[at][1])
        assert calls[at - 2] == ("write", calls[at][1])
        assert calls[at + 1 : at + 3] == [("open", folder), ("fsync", folder)]
    for at in saves:
        before = [name for name, file in calls[:at] if file == runs.METRICS]
        assert before[-1] == "fsync"
    for (name, file), (after, other) in pairwise(calls):
        if name == "write" and file.endswith(".tmp"):
            assert (after, other) in (("write", file), ("fsync", file))


@pytest.mark.parametrize("most", [1, 7, 1000])
def test_a_write_that_takes_only_some_bytes_is_continued(most, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        disk = Disk(patch, tmp_path, most=most)
        tensors = written(tmp_path / "file", size=20)
    assert same(tmp_path / "file", tensors)
    assert len(disk.calls) > 5 + (tmp_path / "file").stat().st_size // (most + 1) // 2


def test_a_write_that_takes_nothing_is_an_error_and_no_endless_loop(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "write", lambda handle, data: 0)
    with pytest.raises(CharRNNError, match="cannot write"):
        written(tmp_path / "file")
    assert names(tmp_path) == []


@posix
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("lasting", [False, True])
def test_each_call_of_a_save_may_fail(error, lasting, tmp_path, monkeypatch):
    path = tmp_path / "file"
    old = written(path)
    for number in count():
        with monkeypatch.context() as patch:
            disk = Disk(patch, tmp_path, number, error, lasting=lasting)
            new, problem = None, None
            try:
                new = written(path, seed=2)
            except CharRNNError as caught:
                problem = caught
        assert (problem is None) == (not disk.failed)
        assert names(tmp_path) == ["file"]
        if problem is None:
            break
        assert os.strerror(error) in problem.message
        assert "\n" not in str(problem)
        assert problem.exit_code == 1
        if isinstance(problem, files.UnflushedError):  # it says that the new one is there
            assert disk.calls[-1][1] == tmp_path.name
            assert "complete and new" in problem.remedy
            assert container.read(path)[1]["seed"] == 2
            old = written(path)
        else:
            assert "intact" in problem.remedy
            assert same(path, old)
    assert number >= 6
    assert same(path, new)


@posix
@pytest.mark.parametrize("error", [errno.EINVAL, errno.ENOTSUP, errno.EBADF])
def test_a_file_system_that_cannot_flush_a_folder_will_do(error, tmp_path, monkeypatch):
    whole = os.fsync

    def fsync(handle):
        if os.path.samestat(os.fstat(handle), tmp_path.stat()):
            raise OSError(error, os.strerror(error))
        whole(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        tensors = written(tmp_path / "file")
    assert same(tmp_path / "file", tensors)


def test_a_temporary_name_that_is_taken_is_neither_followed_nor_removed(tmp_path, monkeypatch):
    (tmp_path / "precious").write_text("kept")
    link = tmp_path / f".file.00000000.{os.getpid()}.tmp"
    link.symlink_to("precious")
    monkeypatch.setattr(os, "urandom", lambda count: bytes(count))
    with pytest.raises(CharRNNError, match="cannot write"):
        written(tmp_path / "file")
    assert link.is_symlink()
    assert names(tmp_path) == [link.name, "precious"]
    assert (tmp_path / "precious").read_text() == "kept"


def test_saving_does_not_double_the_memory(tmp_path):
    tensors = {f"t{n}": np.ones((1 << 20), np.float32) for n in range(8)}
    tracemalloc.start()
    try:
        container.write(tmp_path / "file", tensors, {})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (tmp_path / "file").stat().st_size > 1 << 25
    assert peak < 1 << 20


def test_litter_of_the_dead_is_swept_and_that_of_the_living_is_not(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    gone = [f".last.safetensors.{child.pid}.tmp", f".val.npy.{os.getpid()}.tmp"]
    kept = [f".best.safetensors.{os.getppid()}.tmp", ".hidden", "a.5.tmp", "notes", ".x.tmp"]
    for name in (*gone, *kept):
        (tmp_path / name).touch()
    files.sweep(tmp_path)
    assert names(tmp_path) == sorted(kept if os.name != "nt" else kept + gone[:1])
