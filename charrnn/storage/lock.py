"""The lock of a run folder: one training process at a time, and the lock ends with its owner.

The file ``.lock`` in the folder is locked with ``flock``. The system releases it when its owner
ends, in whatever way, so that a killed process leaves no lock behind. The contents of the file
(process, host) are for messages. If the system or the file system has no such locks, the file
itself is the lock, and its contents say whether its owner is still running.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import time
import weakref
from pathlib import Path
from typing import Any

from charrnn import files
from charrnn.display import one_line
from charrnn.errors import CharRNNError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

NAME = ".lock"
_HELD = {errno.EWOULDBLOCK, errno.EACCES, errno.EAGAIN}
_TRIES = 100
_PATIENCE = 0.1  # seconds to wait for other processes that sign at the same time


_ELSEWHERE = "train into another folder"


class LockedError(CharRNNError):
    """Another process holds the folder.

    Attributes
    ----------
    pid
        Its number if it runs on this machine, else 0.
    """

    pid = 0


class Lock:
    """Locks a folder from construction to :meth:`release`, or to the end of the process.

    Temporary files that a killed owner left are removed from the folder.

    Attributes
    ----------
    folder
        The folder.

    Parameters
    ----------
    folder
        Must exist.
    made
        The folder was made for this lock: if it is empty on release, it is removed.
    resumes
        It is for a run that goes on there, so that no other folder helps.

    Raises
    ------
    LockedError
        If another process (or another session of this one) holds it.
    CharRNNError
        If the folder cannot be written.
    """

    def __init__(self, folder: Path, made: bool = False, resumes: bool = False) -> None:
        self.folder = folder
        path = folder / NAME
        try:
            handle = _take(path)
        except LockedError as problem:
            if resumes:
                problem.remedy = problem.remedy.replace(_ELSEWHERE, _ending(problem.pid))
            raise
        except OSError as problem:
            if made:
                with contextlib.suppress(OSError):
                    folder.rmdir()
            is_full = problem.errno in (errno.ENOSPC, errno.EDQUOT)
            remedy = "free space there" if is_full else "check its permissions"
            raise CharRNNError(
                f"cannot lock run folder {str(folder)!r}: {problem.strerror or problem}",
                remedy if resumes else f"{remedy}, or {_ELSEWHERE}",
            ) from None
        self._finalizer = weakref.finalize(self, _release, path, handle, os.getpid(), made)
        files.sweep(folder)

    def release(self) -> None:
        """Unlock the folder and remove the lock's file; a second call does nothing."""
        self._finalizer()


def is_held(folder: Path) -> bool:
    """Whether the owner of a folder's lock is running; nothing is changed there.

    An owner on another machine counts as running.
    """
    try:
        handle = files.open_regular(folder / NAME)
    except OSError:
        return False
    try:
        owner = _owner(handle)
        return owner is not None and _is_running(owner)
    except OSError:
        return False
    finally:
        os.close(handle)


def _take(path: Path) -> int:
    """Become the owner of the file; return its handle, which is the lock while it is open."""
    for _ in range(_TRIES):
        handle = files.open_regular(path, os.O_RDWR | os.O_CREAT)
        try:
            if _won(handle, path):
                try:
                    _sign(handle)
                except OSError:  # the disk is full
                    path.unlink(missing_ok=True)
                    raise
                owned, handle = handle, -1
                return owned
        finally:
            if handle >= 0:
                os.close(handle)
    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))


def _won(handle: int, path: Path) -> bool:
    """Lock the open file; return False if it was removed, raise LockedError if it is locked."""
    if fcntl is not None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            if problem.errno in _HELD:
                raise _locked_error(path, _owner(handle, patient=True)) from None
        else:
            return _current(handle, path)
    # No locks here, so the contents decide; of several that sign at once, the last one wins.
    owner = _owner(handle)
    if owner is not None and _is_running(owner):
        raise _locked_error(path, owner)
    _sign(handle)
    time.sleep(_PATIENCE)
    return _owner(handle) == _myself() and _current(handle, path)


def _current(handle: int, path: Path) -> bool:
    """Whether the path still names the open file."""
    try:
        return os.path.samestat(os.fstat(handle), path.lstat())
    except FileNotFoundError:
        return False


def _release(path: Path, handle: int, pid: int, made: bool) -> None:
    """Remove the file while it is locked: a process that has opened it sees that it is gone."""
    closed = os.name == "nt"  # an open file cannot be removed there
    with contextlib.suppress(OSError):
        if closed:
            os.close(handle)
        if pid == os.getpid():  # and not in a fork
            path.unlink(missing_ok=True)
            if made:
                path.parent.rmdir()
    with contextlib.suppress(OSError):
        if not closed:
            os.close(handle)


def _locked_error(path: Path, owner: dict[str, Any] | None) -> LockedError:
    by, remedy = "another process", f"wait until it ends, or {_ELSEWHERE}"
    if owner:
        by = f"process {owner['pid']} on {one_line(owner['host'])}"
    here = owner is not None and owner["host"] == socket.gethostname()
    if owner and not here:
        remedy += f"; if it has ended, remove {str(path)!r}"
    problem = LockedError(f"run {str(path.parent)!r} is being trained by {by}", remedy)
    problem.pid = owner["pid"] if owner and here else 0
    return problem


def _ending(pid: int) -> str:
    """Return how to end the process that holds a folder, after which the run can go on."""
    if pid == os.getpid():
        return "end that training run in this process"
    stopping = f"stop it with kill {pid}" if pid > 1 and os.name != "nt" else "stop it"
    return f"{stopping}, which saves the run"


def _sign(handle: int) -> None:
    """Write the owner into the file."""
    os.ftruncate(handle, 0)
    os.lseek(handle, 0, os.SEEK_SET)
    files.write_all(handle, json.dumps(_myself()).encode())


def _myself() -> dict[str, Any]:
    pid = os.getpid()
    return {"pid": pid, "host": socket.gethostname(), "start": _start(pid)}


def _owner(handle: int, patient: bool = False) -> dict[str, Any] | None:
    """Return the contents, None if invalid; ``patient``: give the owner time to write them."""
    for _ in range(20 if patient else 1):
        os.lseek(handle, 0, os.SEEK_SET)
        with contextlib.suppress(ValueError, RecursionError):
            owner = json.loads(os.read(handle, 4096))
            if (
                isinstance(owner, dict)
                and type(owner.get("pid")) is int
                and isinstance(owner.get("host"), str)
            ):
                return owner
        if patient:
            time.sleep(0.01)
    return None


def _is_running(owner: dict[str, Any]) -> bool:
    """Whether the owner is still running; true if it is on another machine."""
    if owner["host"] != socket.gethostname():
        return True
    pid = owner["pid"]
    if not files.is_running(pid):
        return False
    start = _start(pid)
    return None in (start, owner.get("start")) or start == owner["start"]


def _start(pid: int) -> str | None:
    """Return when a process began, in the system's own units; None if the system does not say."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (OSError, ValueError):
        return None
    return text.rpartition(")")[2].split()[19]
