"""The guarantees of the functions that write and open files, one by one.

The order of the system calls and failures of each of them: tests/promises/test_durability.py.
"""

import os
import stat
import subprocess
import sys

import pytest
from helpers.faults import Disk, names

from charrnn import files
from charrnn.errors import CharRNNError

pytestmark = pytest.mark.usefixtures("slow_disk")
posix = pytest.mark.skipif(os.name == "nt", reason="POSIX only")


def calls(disk):
    return [name for name, _ in disk.calls]


@posix
@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (files.write, ["open", "write", "write", "fsync", "replace", "open", "fsync"]),
        (files.replace, ["open", "write", "write", "replace"]),
    ],
)
def test_what_is_durable_is_flushed_before_and_after_the_rename(
    write, expected, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        disk = Disk(patch, tmp_path)
        write(tmp_path / "file", [b"one ", memoryview(b"two")])
    assert calls(disk) == expected
    assert (tmp_path / "file").read_bytes() == b"one two"


@pytest.mark.parametrize("write", [files.write, files.replace])
def test_parts_that_fail_leave_the_old_file_and_nothing_else(write, tmp_path):
    def parts():
        yield b"half"
        raise KeyboardInterrupt

    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        write(path, parts())
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_a_reader_of_the_old_file_is_not_disturbed(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with path.open("rb") as file:
        if os.name != "nt":
            files.replace(path, [b"new"])
        assert file.read() == b"old"


def test_two_writers_of_one_process_do_not_mix(tmp_path):
    def parts():
        yield b"outer "
        files.replace(tmp_path / "file", [b"inner"])
        assert (tmp_path / "file").read_bytes() == b"inner"
        yield b"file"

    files.replace(tmp_path / "file", parts())
    assert (tmp_path / "file").read_bytes() == b"outer file"
    assert names(tmp_path) == ["file"]


@posix
@pytest.mark.parametrize(("private", "mode"), [(False, 0o640), (True, 0o600)])
def test_a_private_file_is_for_its_user_alone(private, mode, tmp_path):
    before = os.umask(0o027)
    try:
        files.replace(tmp_path / "file", [b"x"], private=private)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


@pytest.mark.parametrize("name", ["x" * 255, "\U0001f600" * 63, "文" * 85])
def test_a_name_of_any_length_can_be_written(name, tmp_path):
    files.write(tmp_path / name, [b"x"])
    assert names(tmp_path) == [name]


def test_a_folder_that_is_missing_is_an_error_with_a_remedy(tmp_path):
    with pytest.raises(CharRNNError, match=r"cannot write .*; .*free space"):
        files.write(tmp_path / "gone" / "file", [b"x"])


@posix
def test_only_a_regular_file_is_opened_and_a_fifo_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo", tmp_path / "no", "/dev/null"):
        for flags in (os.O_RDONLY, os.O_RDWR | os.O_APPEND):
            with pytest.raises(OSError) as caught:
                files.open_regular(tmp_path / path, flags, follow=True)
            assert isinstance(caught.value, files.NotRegularError) == (path != tmp_path / "no")
    assert names(tmp_path) == ["fifo"]


@posix
def test_what_is_exchanged_for_a_fifo_while_it_is_opened_is_refused(tmp_path, monkeypatch):
    path, whole = tmp_path / "file", os.open
    path.touch()

    def exchange(target, *rest):
        path.unlink()
        os.mkfifo(path)
        return whole(target, *rest)

    monkeypatch.setattr(os, "open", exchange)
    with pytest.raises(files.NotRegularError):
        files.open_regular(path)


@posix
def test_a_link_is_followed_only_if_it_may_be(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("file")
    with pytest.raises(files.NotRegularError):
        files.open_regular(tmp_path / "link")
    with os.fdopen(files.open_regular(tmp_path / "link", follow=True), "rb") as file:
        assert file.read() == b"x"
    (tmp_path / "loose").symlink_to("nothing")
    with pytest.raises(files.NotRegularError):
        files.open_regular(tmp_path / "loose", os.O_RDWR | os.O_CREAT)
    assert not (tmp_path / "nothing").exists()


@posix
def test_a_file_of_another_user_is_refused_where_it_must_be_mine(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    os.close(files.open_regular(tmp_path / "file", mine=True))
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(PermissionError, match="another user"):
        files.open_regular(tmp_path / "file", mine=True)
    os.close(files.open_regular(tmp_path / "file"))


def test_a_missing_file_is_made_where_that_is_asked_for(tmp_path):
    os.close(files.open_regular(tmp_path / "file", os.O_RDWR | os.O_CREAT))
    assert names(tmp_path) == ["file"]


@posix
def test_a_process_is_running_until_it_has_ended():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert files.is_running(child.pid)
    child.communicate(b"\n")
    assert not files.is_running(child.pid)
    assert files.is_running(os.getpid())
    assert files.is_running(1)
    assert not any(map(files.is_running, (0, -1, 1 << 80)))


def test_missing_folders_are_made_and_what_names_them_is_flushed(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(files, "flush_folder", flushed.append)
    files.make_folder(tmp_path / "a" / "b")
    assert set(flushed) == {tmp_path, tmp_path / "a"}
    with pytest.raises(FileExistsError):
        files.make_folder(tmp_path / "a" / "b")


@posix
def test_a_file_that_a_user_named_is_replaced_whole_and_a_link_or_pipe_stays(tmp_path):
    path, link, pipe = (tmp_path / name for name in ("file", "link", "pipe"))
    path.write_bytes(b"old")
    link.symlink_to(path)
    files.save(link, [b"new ", b"text"])
    assert link.is_symlink()
    assert path.read_bytes() == b"new text"

    def parts():
        yield b"half"
        raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        files.save(path, parts())
    assert path.read_bytes() == b"new text"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE)
    files.save(pipe, [b"through it"])
    assert reader.communicate(timeout=30)[0] == b"through it"
    assert names(tmp_path) == ["file", "link", "pipe"]
    with pytest.raises(IsADirectoryError):
        files.save(tmp_path, [b""])
