"""The cache of encoded texts: where it is, what it holds, what may be trusted.

An entry is a folder ``corpora/<key>`` with ``ids.bin`` (the ids, in the byte order of the machine)
and ``meta.json`` (what they are, with a digest). It is written under a temporary name and renamed
when complete.

Environment: ``CHARRNN_CACHE`` names the folder (default: the user's cache folder of the system);
``CHARRNN_CACHE_LIMIT_GB`` is the size (in 10⁹ bytes, default 20) above which the entries not used
for the longest time are removed.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import platformdirs

from charrnn.errors import CorpusError, UsageError

_KEY = re.compile(r"[0-9a-f]{64}")
_TEMPORARY = "tmp-"
_ABANDONED = 24 * 3600.0  # seconds after which an unfinished entry belongs to no living process
_EDGE = 1 << 16
DEFAULT_LIMIT_GB = 20.0


class CacheEntry(NamedTuple):
    """One encoded text: its folder, its size in bytes, when it was last used (Unix seconds)."""

    path: Path
    bytes: int
    last_used: float


def cache_dir() -> Path:
    """Return the cache folder, created if need be.

    ``CHARRNN_CACHE``, else the user's cache folder; where neither can be written, a temporary
    folder that lasts as long as the process.
    """
    named = os.environ.get("CHARRNN_CACHE") or platformdirs.user_cache_dir("charrnn")
    path = Path(named)
    if not os.environ.get("CHARRNN_CACHE") and not path.is_absolute():
        return _temporary_dir()  # no home folder: "~" could not be expanded
    path = path.absolute()
    return path if _writable(path) else _temporary_dir()


def cache_entries() -> list[CacheEntry]:
    """Return the cached texts, the most recently used first."""
    found = []
    for path in _children():
        if _KEY.fullmatch(path.name):
            with contextlib.suppress(OSError):  # removed by another process meanwhile
                used = (path / "meta.json").stat().st_mtime
                found.append(CacheEntry(path, _size(path), used))
    return sorted(found, key=lambda entry: -entry.last_used)


def clear_cache() -> int:
    """Remove every cached text (and nothing else from the folder); return the bytes freed."""
    freed = 0
    for path in _children():
        if _KEY.fullmatch(path.name) or path.name.startswith(_TEMPORARY):
            size = _size(path)
            shutil.rmtree(path, ignore_errors=True)
            freed += size - _size(path)
    return freed


def load(key: str) -> tuple[Path, dict[str, Any]] | None:
    """Return the path of the ids and the description of an entry, or None.

    An entry that is damaged in any way counts as absent.
    """
    folder = _folder() / key
    try:
        content = json.loads((folder / "meta.json").read_bytes())
        meta, ids = content["meta"], folder / "ids.bin"
        sound = content["digest"] == _digest(meta) and meta["key"] == key
        if not sound or ids.stat().st_size != meta["size"] or _edges(ids) != meta["edges"]:
            return None
        os.utime(folder / "meta.json")
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return ids, meta


@contextlib.contextmanager
def writing() -> Iterator[tuple[Path, BinaryIO]]:
    """Give a temporary folder and its open ``ids.bin``; the folder is removed on failure."""
    parent = _folder()
    try:
        folder = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=parent))
    except OSError as error:
        raise unwritable(error) from None
    try:
        with open(folder / "ids.bin", "xb", buffering=0, opener=_private) as file:
            yield folder, file
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def publish(folder: Path, key: str, meta: dict[str, Any]) -> tuple[Path, dict[str, Any]]:
    """Turn a temporary folder into the entry ``key``; return what :func:`load` would."""
    ids = folder / "ids.bin"
    meta = {**meta, "key": key, "size": ids.stat().st_size, "edges": _edges(ids)}
    content = json.dumps({"meta": meta, "digest": _digest(meta)}).encode("ascii")
    with open(folder / "meta.json", "xb", opener=_private) as file:
        file.write(content)
    target = folder.parent / key
    for _ in range(2):
        with contextlib.suppress(OSError):
            folder.replace(target)
            return target / "ids.bin", meta
        if (other := load(key)) is not None:  # another process was faster
            shutil.rmtree(folder, ignore_errors=True)
            return other
        shutil.rmtree(target, ignore_errors=True)
    # The damaged entry cannot be removed (open elsewhere, on Windows): use ours where it is.
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return ids, meta


def evict(in_use: Path) -> None:
    """Remove the entries unused for the longest time above the limit, never ``in_use``."""
    limit = _limit()
    total = 0
    for entry in sorted(cache_entries(), key=lambda entry: entry.path != in_use):
        total += entry.bytes
        if total > limit and entry.path != in_use:
            shutil.rmtree(entry.path, ignore_errors=True)
    now = time.time()
    for path in _children():
        with contextlib.suppress(OSError):
            if path.name.startswith(_TEMPORARY) and now - _newest(path) > _ABANDONED:
                shutil.rmtree(path, ignore_errors=True)


def unwritable(error: OSError) -> CorpusError:
    """Return the error for a cache that cannot be written (full, for example)."""
    reason = error.strerror or type(error).__name__
    return CorpusError(
        f"cannot write the cache of encoded texts in {str(cache_dir())!a}: {reason}",
        "free space there, or name another folder in CHARRNN_CACHE",
    )


def _limit() -> float:
    value = os.environ.get("CHARRNN_CACHE_LIMIT_GB") or DEFAULT_LIMIT_GB
    try:
        limit = float(value)
    except ValueError:
        limit = -1.0
    if not limit >= 0:
        raise UsageError(f"CHARRNN_CACHE_LIMIT_GB={value!a} is no size", "give a number of GB")
    return limit * 1e9


def _folder() -> Path:
    folder = cache_dir() / "corpora"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise unwritable(error) from None
    return folder


def _children() -> list[Path]:
    try:
        return [path for path in _folder().iterdir() if path.is_dir() and not path.is_symlink()]
    except OSError:
        return []


def _writable(path: Path) -> bool:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return True
    except OSError:
        return False


@functools.cache
def _temporary_dir() -> Path:
    path = Path(tempfile.mkdtemp(prefix="charrnn-"))
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


def _digest(meta: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(meta, sort_keys=True).encode("ascii")).hexdigest()


def _edges(path: Path) -> str:
    # Both ends of the file: enough to notice one that was never written to its end.
    with path.open("rb", buffering=0) as file:
        start = file.read(_EDGE)
        file.seek(max(0, path.stat().st_size - _EDGE))
        return hashlib.sha256(start + file.read(_EDGE)).hexdigest()
