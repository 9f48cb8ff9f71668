"""Files that are there whole or not at all, also after a crash: the one order of system calls.

A temporary file beside the target is written, flushed to disk and renamed over the target, and the
folder is flushed, which makes the rename itself last. A process that is killed on the way leaves
the old file and a temporary one, ``.NAME.PID.tmp``, which :func:`sweep` removes later.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterable
from pathlib import Path

from charrnn.errors import CharRNNError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

Bytes = bytes | bytearray | memoryview
"""Of a view, one dimension and one byte an element."""

_TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?P<pid>[0-9]{1,10})\.tmp", re.DOTALL)
_MOST = 1 << 26  # bytes of one call: some systems refuse 2³¹, and signals are heard in between
_NO_FLUSH = {errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES, errno.EPERM}
_NEW_FILE = (
    os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
)


class UnflushedError(CharRNNError):
    """A file was written and renamed, but its folder could not be flushed."""


def write(path: Path, parts: Iterable[Bytes]) -> None:
    """Write a file from its parts, whole or not at all.

    Raises
    ------
    CharRNNError
        If the disk is full or fails, or the folder cannot be written; the old file is intact.
    UnflushedError
        If the new file is there, but a power failure may bring the old one back.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        try:
            temporary.unlink(missing_ok=True)
            handle = os.open(temporary, _NEW_FILE, 0o666)
            try:
                for part in parts:
                    write_all(handle, part)
                flush(handle)
            finally:
                os.close(handle)
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
    except OSError as problem:
        raise CharRNNError(
            f"cannot write {str(path)!r}: {problem.strerror or problem}",
            "what was there before is intact; make room or choose another folder",
        ) from None
    try:
        flush_folder(path.parent)
    except OSError as problem:
        raise UnflushedError(
            f"cannot flush folder {str(path.parent)!r}: {problem.strerror or problem}",
            f"{path.name!r} there is the new one and whole, but a power failure may undo it; "
            "look after the disk",
        ) from None


def write_all(handle: int, data: Bytes) -> None:
    """Write all of the bytes, however few of them a call takes.

    Raises
    ------
    OSError
        If a call fails; some of the bytes may have been written.
    """
    view = memoryview(data)
    while view:
        count = os.write(handle, view[:_MOST])
        if count <= 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        view = view[count:]


def flush(handle: int) -> None:
    """Wait until an open file is on the disk.

    Raises
    ------
    OSError
        If the disk fails.
    """
    os.fsync(handle)
    if hasattr(fcntl, "F_FULLFSYNC"):  # macOS: out of the drive's own memory, too
        with contextlib.suppress(OSError):
            fcntl.fcntl(handle, fcntl.F_FULLFSYNC)


def flush_folder(folder: Path) -> None:
    """Make renames and new files in a folder last, where the system can flush a folder.

    Raises
    ------
    OSError
        If the disk fails.
    """
    if os.name == "nt":
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as problem:
        if problem.errno not in _NO_FLUSH:
            raise


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it that do not exist, lastingly.

    Raises
    ------
    OSError
        If that fails; FileExistsError if it is there.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True)
    for path in made:
        flush_folder(path.parent)


def is_temporary(name: str) -> bool:
    """Whether a file of that name is a temporary one of :func:`write`."""
    return _TEMPORARY.fullmatch(name) is not None


def sweep(folder: Path) -> None:
    """Remove the temporary files of processes that live no more, and earlier ones of this one.

    Call it before this process writes anything there.
    """
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            found = _TEMPORARY.fullmatch(path.name)
            if found is None:
                continue
            pid = int(found["pid"])
            if pid in (0, os.getpid()) or not alive(pid):
                with contextlib.suppress(OSError):
                    path.unlink()


def alive(pid: int) -> bool:
    """Whether a process of that number runs on this machine; on Windows, always true."""
    if os.name == "nt":  # there, os.kill would end it
        return True
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True
