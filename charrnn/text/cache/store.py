"""The cache of encoded texts: its folder, its entries, and which of them can be trusted.

An entry is a folder ``corpora/<key>`` with ``ids.bin`` (the ids, in the machine's byte order) and
``meta.json`` (their description, with digests). It is written under a temporary name and renamed
when it is complete.

Only this user's files are read, links are not followed, and other users can neither read nor write
the entries. An entry is fully verified when it is first found. Later the times and the inode of its
file show whether it may have changed; if so, it is verified again.

Environment: ``CHARRNN_CACHE`` names the folder (default: the user's cache folder);
``CHARRNN_CACHE_LIMIT_GB`` is the size in 10⁹ bytes (default 20) above which the least recently used
entries are removed.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import hashlib
import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import platformdirs

from charrnn import files
from charrnn.display import one_line
from charrnn.errors import CharRNNError, CorpusError, UsageError
from charrnn.text.cache import entry

_KEY = re.compile(r"[0-9a-f]{64}")
_TEMPORARY = re.compile(r"tmp-(?:(?P<host>[0-9a-f]{8})-(?P<process>[0-9]{1,10})-)?.*")
_ABANDONED = 24 * 3600.0  # seconds without a change until an unfinished entry is removed
DEFAULT_LIMIT_GB = 20.0


class CacheEntry(NamedTuple):
    """One encoded text: its folder, its size in bytes, and its last use in Unix seconds."""

    path: Path
    bytes: int
    last_used: float


class UnwritableError(CorpusError):
    """The cache cannot be written: the disk is full, or no folder is writable."""


def cache_dir() -> Path:
    """Return the cache folder, which is created if it is missing.

    It is ``CHARRNN_CACHE``, or else the user's cache folder. If that cannot be used, it is a
    temporary folder that is removed when the process ends.

    Raises
    ------
    UnwritableError
        If there is no temporary folder either.
    """
    return place()[0]


def place() -> tuple[Path, str]:
    """Return the cache folder, and why it is not the configured one; empty if it is."""
    named = os.environ.get("CHARRNN_CACHE") or platformdirs.user_cache_dir("charrnn")
    path = Path(named)
    if not os.environ.get("CHARRNN_CACHE") and not path.is_absolute():
        why = "there is no home directory to cache encoded texts in"  # "~" could not be expanded
    else:
        path = path.absolute()
        problem = _problem(path)
        if not problem:
            return path, ""
        why = f"the cache of encoded texts {one_line(path)} {problem}"
    remedy = "the next run will encode them again; set CHARRNN_CACHE to another folder"
    return _temporary_dir(), f"{why}; {remedy}"


def cache_entries() -> list[CacheEntry]:
    """Return the cached texts, the most recently used first."""
    entries = []
    for path in _children():
        if _KEY.fullmatch(path.name):
            with contextlib.suppress(OSError):  # another process may remove it
                used = (path / "meta.json").stat().st_mtime
                entries.append(CacheEntry(path, _size(path), used))
    return sorted(entries, key=lambda entry: -entry.last_used)


def clear_cache() -> int:
    """Remove every cached text, and nothing else in the folder; return the bytes freed."""
    freed = 0
    for path in _children():
        if _KEY.fullmatch(path.name) or _TEMPORARY.fullmatch(path.name):
            size = _size(path)
            shutil.rmtree(path, ignore_errors=True)
            freed += size - _size(path)
    return freed


def load(key: str) -> tuple[Path, dict[str, Any]] | None:
    """Return the path of the ids and the description of an entry; None if there is none.

    An entry that is damaged in any way or belongs to another user counts as absent.
    """
    try:
        folder = _folder() / key
        meta = entry.read(folder, key)
        os.utime(folder / "meta.json")
    except (CharRNNError, OSError, ValueError, KeyError, TypeError, RecursionError, MemoryError):
        return None
    return folder / "ids.bin", meta


@contextlib.contextmanager
def writing() -> Iterator[tuple[Path, BinaryIO]]:
    """Yield a temporary folder and its open ``ids.bin``; remove the folder on failure."""
    parent = _folder()
    try:
        folder = Path(tempfile.mkdtemp(prefix=f"tmp-{_host()}-{os.getpid()}-", dir=parent))
    except OSError as error:
        raise unwritable(error) from None
    try:
        try:
            file = open(folder / "ids.bin", "xb", buffering=0, opener=_private)  # noqa: SIM115
        except OSError as error:
            raise unwritable(error, parent) from None
        with file:
            yield folder, file
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def publish(folder: Path, key: str, meta: dict[str, Any]) -> tuple[Path, dict[str, Any]]:
    """Make a temporary folder the entry ``key``; return what :func:`load` would."""
    ids = folder / "ids.bin"
    meta = entry.describe(folder, {**meta, "key": key})
    target = folder.parent / key
    for _ in range(2):
        with contextlib.suppress(OSError):
            folder.replace(target)
            return target / "ids.bin", meta
        if (other := load(key)) is not None:  # another process made it first
            shutil.rmtree(folder, ignore_errors=True)
            return other
        _remove(target)
    # The damaged entry cannot be removed (Windows: it is open elsewhere): use this one in place.
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return ids, meta


def evict(in_use: Path) -> None:
    """Remove the least recently used entries above the limit (never ``in_use``), and leftovers."""
    limit = _limit()
    total = 0
    for cached in sorted(cache_entries(), key=lambda cached: cached.path != in_use):
        total += cached.bytes
        if total > limit and cached.path != in_use:
            shutil.rmtree(cached.path, ignore_errors=True)
    now = time.time()
    for path in _children():
        with contextlib.suppress(OSError):
            if _is_abandoned(path, now):
                shutil.rmtree(path, ignore_errors=True)


def unwritable(error: OSError, folder: Path | None = None) -> UnwritableError:
    """Return the error for a cache that cannot be written: a full disk, for example."""
    reason = error.strerror or type(error).__name__
    target = folder or cache_dir()
    return UnwritableError(
        f"cannot write the cache of encoded texts in {one_line(target)}: {reason}",
        "free space there, or set CHARRNN_CACHE to another folder",
    )


def _limit() -> float:
    value = os.environ.get("CHARRNN_CACHE_LIMIT_GB") or DEFAULT_LIMIT_GB
    try:
        limit = float(value)
    except ValueError:
        limit = -1.0
    if not limit >= 0:
        raise UsageError(f"CHARRNN_CACHE_LIMIT_GB={value!r} is not a size", "give a number of GB")
    return limit * 1e9


def _folder() -> Path:
    folder = cache_dir() / "corpora"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.stat().st_mode & 0o077 and os.name != "nt":
            folder.chmod(0o700)
    except OSError as error:
        raise unwritable(error, folder) from None
    return folder


def _children() -> list[Path]:
    try:
        return [path for path in _folder().iterdir() if path.is_dir() and not path.is_symlink()]
    except (CharRNNError, OSError):
        return []


def _problem(path: Path) -> str:
    """Return why a folder cannot be the cache; empty if it can."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
        with contextlib.suppress(FileNotFoundError):
            if not entry.is_own_folder((path / "corpora").lstat()):
                return "holds a folder 'corpora' that is a link or another user's"
    except (OSError, ValueError) as error:
        return f"cannot be written ({getattr(error, 'strerror', None) or 'it is not a path'})"
    return ""


@functools.cache
def _temporary_dir() -> Path:
    try:
        path = Path(tempfile.mkdtemp(prefix="charrnn-"))
    except OSError as error:
        message = f"there is no folder for temporary files: {error.strerror or error}"
        raise UnwritableError(message, "set TMPDIR or CHARRNN_CACHE to a folder") from None
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _size(folder: Path) -> int:
    total = 0
    with contextlib.suppress(OSError):
        for file in folder.iterdir():
            total += file.stat().st_size
    return total


def _newest(folder: Path) -> float:
    return max([folder.stat().st_mtime, *(file.stat().st_mtime for file in folder.iterdir())])


def _remove(path: Path) -> None:
    """Remove anything in the place of an entry; of a link, only the link itself."""
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path, ignore_errors=True)


@functools.cache
def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode("utf-8", "replace")).hexdigest()[:8]


def _is_abandoned(path: Path, now: float) -> bool:
    """Whether a folder is an unfinished entry whose process has ended."""
    name = _TEMPORARY.fullmatch(path.name)
    if not name:
        return False
    if name["host"] == _host() and not files.is_running(int(name["process"])):
        return True
    return now - _newest(path) > _ABANDONED
