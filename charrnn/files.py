"""Files on disk: written atomically, opened only if that is safe.

A checkpoint becomes durable in :func:`write`. The order of its system calls leaves a complete file
at any moment, even after a crash: a temporary file next to the target is written, flushed to disk
and renamed over the target (:func:`replace`); then the folder is flushed, which makes the rename
itself durable. A process that is killed on the way leaves the old file and a temporary one,
``.NAME.TOKEN.PID.tmp``, which :func:`sweep` removes later.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path

from charrnn.display import one_line, shell
from charrnn.errors import CharRNNError, either

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

Bytes = bytes | bytearray | memoryview
"""A memoryview must have one dimension and one byte per element."""

FILE_TIME_TICK = 0.03
"""Seconds; file times may be this coarse: two changes within one tick look like one."""

_TEMPORARY = re.compile(r"\..+\.(?P<pid>[0-9]{1,10})\.tmp", re.DOTALL)
_NAME_CHARS = 40  # of the target in a temporary name: at most 160 of the 255 bytes of a name
_CALL_BYTES = 1 << 26  # written by one call: some systems refuse 2³¹; signals are handled between
_NO_FLUSH = {errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES, errno.EPERM}
_BINARY = getattr(os, "O_BINARY", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
NO_WAIT = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
"""Flags to open a pipe or terminal without waiting for it, or being controlled by it."""
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK | _BINARY


class UnflushedError(CharRNNError):
    """A file was written and renamed, but its folder could not be flushed."""


class NotRegularError(OSError):
    """A path names a folder, a FIFO, a device or a link instead of a regular file."""

    def __init__(self, path: Path) -> None:
        super().__init__(errno.EINVAL, f"{path.name!r} is not a regular file")


def failure(problem: OSError, folder: Path) -> str:
    """Return what failed while a folder was written to: that, or something with another file."""
    why, name = problem.strerror or problem, problem.filename
    if name is None or isinstance(name, int):
        return f"cannot write to {folder}: {why}"
    path = Path(os.fsdecode(name))
    if path.absolute().is_relative_to(folder.absolute()):
        return f"cannot write to {folder}: {why}"
    return f"cannot use {one_line(path)}: {why}"


def write(path: Path, parts: Iterable[Bytes]) -> None:
    """Write a file from its parts so that it is complete and durable, or the old one is intact.

    Raises
    ------
    CharRNNError
        If the disk is full or fails, or the folder cannot be written. The old file is intact.
    UnflushedError
        If the new file is there, but a power failure may bring the old one back.
    """
    try:
        replace(path, parts, durable=True)
    except OSError as problem:
        raise CharRNNError(
            f"cannot write {str(path)!r}: {problem.strerror or problem}",
            "what was there before is intact; free space or choose another folder",
        ) from None
    try:
        flush_folder(path.parent)
    except OSError as problem:
        raise UnflushedError(
            f"cannot flush folder {str(path.parent)!r}: {problem.strerror or problem}",
            f"{path.name!r} there is complete and new, but a power failure may undo it; "
            "check the disk",
        ) from None


def replace(
    path: Path, parts: Iterable[Bytes], *, durable: bool = False, private: bool = False
) -> None:
    """Write a file from its parts and rename it into place: readers see the old or the new one.

    Parameters
    ----------
    durable
        Flush the file before the rename, so that the name never refers to a partial file, even
        after a power failure. The rename itself lasts once its folder is flushed, as :func:`write`
        does.
    private
        Only the user may read the file: mode 0600, else 0666 less the umask.

    Raises
    ------
    OSError
        If a call fails. The old file is intact, and nothing new is left.
    """
    temporary = path.with_name(
        f".{path.name[:_NAME_CHARS]}.{os.urandom(4).hex()}.{os.getpid()}.tmp"
    )
    handle = os.open(temporary, _NEW_FILE, 0o600 if private else 0o666)
    try:
        try:
            for part in parts:
                write_all(handle, part)
            if durable:
                flush(handle)
        finally:
            os.close(handle)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def save(path: Path, parts: Iterable[Bytes]) -> None:
    """Write a file that a user named: as :func:`replace` does, but a pipe or device directly.

    If the path is a link, the link stays and its target is replaced.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            file.writelines(parts)
        return
    replace(path.resolve(), parts)


def require_writable(path: Path) -> None:
    """Raise if :func:`save` would fail for a reason that can be known before there is anything.

    Raises
    ------
    CharRNNError
        If the path is a folder, its folder is missing, or nothing can be written there.
    """
    if path.is_dir():
        why, remedy = errno.EISDIR, "name a file in it"
    elif path.exists() and not path.is_file():  # a pipe or device, which tells when it is opened
        return
    else:
        folder = path.resolve().parent
        there = nearest(folder)
        if not there.is_dir():
            why, remedy = errno.ENOTDIR, "name another file"
        elif not os.access(there, os.W_OK | os.X_OK):
            why, remedy = errno.EACCES, "name another file"
        elif there != folder:
            make = f"mkdir -p {shell(path.parent)}"
            why, remedy = errno.ENOENT, f"make its folder first{either(f': {make}', '')}"
        else:
            return
    raise CharRNNError(f"cannot write {one_line(path)}: {os.strerror(why)}", remedy)


def nearest(path: Path) -> Path:
    """Return a path, or if nothing is there, the folder above it that exists."""
    whole = path.absolute()
    return next((each for each in (whole, *whole.parents) if each.exists()), whole)


def write_all(handle: int, data: Bytes) -> None:
    """Write all of the bytes, however few of them a call takes.

    Raises
    ------
    OSError
        If a call fails; some of the bytes may have been written.
    """
    view = memoryview(data)
    while view:
        count = os.write(handle, view[:_CALL_BYTES])
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
    if hasattr(fcntl, "F_FULLFSYNC"):  # macOS: also out of the drive's own cache
        with contextlib.suppress(OSError):
            fcntl.fcntl(handle, fcntl.F_FULLFSYNC)


def flush_folder(folder: Path) -> None:
    """Make renames and new files in a folder durable, if the system can flush a folder.

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
    """Make a folder and its missing parents, and flush what names them.

    Raises
    ------
    OSError
        If that fails; FileExistsError if the folder exists.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True)
    for path in missing:
        flush_folder(path.parent)


def open_regular(
    path: Path, flags: int = os.O_RDONLY, *, follow: bool = False, mine: bool = False
) -> int:
    """Open a regular file without ever waiting for it; return its handle.

    A FIFO or a device is not even opened, which could block or have an effect.

    Parameters
    ----------
    flags
        As for :func:`os.open`; a file made by ``O_CREAT`` has mode 0666 less the umask.
    follow
        Whether the path may be a symbolic link.
    mine
        Whether the file must belong to the user.

    Raises
    ------
    NotRegularError
        If it is not a regular file.
    PermissionError
        If ``mine`` and the file belongs to another user.
    OSError
        If it cannot be opened.
    """
    with contextlib.suppress(FileNotFoundError):  # os.open reports what is missing, or creates it
        _require_regular(path, path.stat(follow_symlinks=follow))
    flags |= NO_WAIT | _BINARY | (0 if follow else _NO_LINK)
    handle = os.open(path, flags, 0o666)
    try:
        status = os.fstat(handle)
        _require_regular(path, status)  # it may have been replaced in the meantime
        if mine and not is_mine(status):
            raise PermissionError(errno.EPERM, "it belongs to another user")
    except BaseException:
        os.close(handle)
        raise
    return handle


def _require_regular(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise NotRegularError(path)


def is_mine(status: os.stat_result) -> bool:
    """Whether a file belongs to the user of this process; on Windows, always true."""
    return not hasattr(os, "geteuid") or status.st_uid == os.geteuid()


def is_temporary(name: str) -> bool:
    """Whether a file of that name is a temporary one of :func:`replace`."""
    return _TEMPORARY.fullmatch(name) is not None


def sweep(folder: Path) -> None:
    """Remove the temporary files of ended processes, and earlier ones of this process.

    Call it before this process writes anything there.
    """
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            match = _TEMPORARY.fullmatch(path.name)
            if match is not None:
                pid = int(match["pid"])
                if pid == os.getpid() or not is_running(pid):
                    with contextlib.suppress(OSError):
                        path.unlink()


def is_running(pid: int) -> bool:
    """Whether a process of that number runs on this machine; on Windows, always true."""
    if os.name == "nt":  # there, os.kill would end it
        return True
    if pid <= 0:  # would mean a group of processes
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True
