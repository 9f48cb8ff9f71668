"""One entry of the cache: the description of its ids, and their verification before use."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import time
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from charrnn import files
from charrnn.text.units import index
from charrnn.text.vocabulary import Vocabulary

_CHUNK = 1 << 20
_MAX_DESCRIPTION = 1 << 28  # bytes
_FIELDS = {
    *("key", "size", "ids_sha256", "parts", "vocabulary"),
    *("sources", "bytes", "sha256", "heldout_sha256", "notes"),
}


def read(folder: Path, key: str) -> dict[str, Any]:
    """Return the description of an entry, after a check that its ids are the ones described.

    Raises
    ------
    OSError, ValueError, KeyError, TypeError, RecursionError, MemoryError, CheckpointError
        If the entry does not exist, is another user's, or is damaged.
    """
    if not is_own_folder(folder.lstat()):
        raise PermissionError(errno.EPERM, "not a folder of this user's")
    with _open(folder / "meta.json") as file:
        content = json.loads(file.read(_MAX_DESCRIPTION))
    meta: dict[str, Any] = content["meta"]
    if content["digest"] != _digest(meta) or meta["key"] != key:
        raise ValueError("the description is damaged")
    vocabulary = _check(meta)
    with _open(folder / "ids.bin") as file:
        stamp = _stamp(file)
        if stamp[0] != meta["size"]:
            raise ValueError("the ids are cut off")
        if not _is_unchanged(content.get("stamp"), content.get("stamped"), stamp):
            _verify(file, meta, vocabulary)
            _write(folder, meta, stamp)
    return meta


def describe(folder: Path, meta: dict[str, Any]) -> dict[str, Any]:
    """Write the description of ids that have just been written; return it."""
    with _open(folder / "ids.bin") as file:
        stamp = _stamp(file)
    meta = {**meta, "size": stamp[0]}
    _write(folder, meta, stamp)
    return meta


def is_own_folder(status: os.stat_result) -> bool:
    """Whether this is a folder, not a link, that belongs to this user."""
    return stat.S_ISDIR(status.st_mode) and files.is_mine(status)


def _open(path: Path) -> BinaryIO:
    return os.fdopen(files.open_regular(path, mine=True), "rb", buffering=0)


def _stamp(file: BinaryIO) -> list[int]:
    """Return the properties that change whenever a file does: size, times, inode."""
    status = os.fstat(file.fileno())
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _is_unchanged(known: object, stamped: object, stamp: list[int]) -> bool:
    """Whether a file is certainly still the one of the ``known`` stamp, taken at ``stamped``.

    It is not certain if the stamp was taken in the same tick of the clock as the last change:
    another change in that tick would not show.
    """
    tick = int(files.FILE_TIME_TICK * 1e9)
    return known == stamp and isinstance(stamped, int) and stamped - max(stamp[1:3]) > tick


def _check(meta: dict[str, Any]) -> Vocabulary:
    """Return the vocabulary of a description, after a check that the description is consistent."""
    vocabulary = Vocabulary.from_json(meta["vocabulary"])
    units = meta.get("units", [])
    numbers = [meta["size"], meta["bytes"], *meta["parts"], *units]
    texts = [meta["ids_sha256"], meta["sha256"], meta["heldout_sha256"]]
    texts += [*meta["sources"], *meta["notes"]]
    consistent = (
        meta.keys() - {"units"} == _FIELDS
        and isinstance(units, list)
        and len(units) in (0, 3)
        and isinstance(meta["parts"], list)
        and len(meta["parts"]) == 3
        and isinstance(meta["sources"], list)
        and isinstance(meta["notes"], list)
        and all(type(n) is int and 0 <= n < 2**62 for n in numbers)
        and all(isinstance(text, str) for text in texts)
        and size(meta, vocabulary) == meta["size"]
    )
    if not consistent:
        raise ValueError("the description is inconsistent")
    return vocabulary


def size(meta: dict[str, Any], vocabulary: Vocabulary) -> int:
    """Return the size of the ids and of the ends of units behind them, in bytes."""
    symbols: int = sum(meta["parts"])
    itemsize: int = vocabulary.dtype.itemsize
    if not meta.get("units"):
        return symbols * itemsize
    ends: int = sum(meta["units"]) * index.TYPE.itemsize
    return symbols * itemsize + index.padding(symbols, itemsize) + ends


def _verify(file: BinaryIO, meta: dict[str, Any], vocabulary: Vocabulary) -> None:
    """Raise ValueError unless the ids have the claimed digest and are in the vocabulary."""
    digest, largest = hashlib.sha256(), 0
    left = sum(meta["parts"]) * vocabulary.dtype.itemsize
    while data := file.read(min(_CHUNK, left) or _CHUNK):
        digest.update(data)
        if left:
            largest = max(largest, int(np.frombuffer(data, vocabulary.dtype).max()))
            left -= len(data)
    if digest.hexdigest() != meta["ids_sha256"] or largest >= len(vocabulary):
        raise ValueError("the ids are damaged")


def _write(folder: Path, meta: dict[str, Any], stamp: list[int]) -> None:
    """Replace the description: a reader sees the old one or the new one."""
    content = {"meta": meta, "digest": _digest(meta), "stamp": stamp, "stamped": time.time_ns()}
    data = json.dumps(content).encode("ascii")
    files.replace(folder / "meta.json", [data], private=True)


def _digest(meta: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(meta, sort_keys=True).encode("ascii")).hexdigest()
