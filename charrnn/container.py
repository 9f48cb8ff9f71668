"""One file for tensors and facts: safetensors with a digest of the whole file inside it.

The file is a plain safetensors file with one metadata key, ``charrnn``, whose value is a JSON
object; its first member is ``digest``, the SHA-256 of the file's bytes with the 64 digits of the
digest itself read as zeros. Nothing in a file is executed or followed. Reading parses strictly and
returns views into the bytes read: nothing is allocated by a size that the file only claims.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.errors import CharRNNError, CheckpointError

_KEY = "charrnn"
_PREFIX = b'{"__metadata__":{"charrnn":"{\\"digest\\":\\"'
_DIGITS = 64
_DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8")}
_MAX_HEADER = 100_000_000


def write(path: Path, tensors: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
    """Write the file whole or not at all: a temporary file beside it, flushed, then renamed.

    Raises
    ------
    CharRNNError
        If the disk is full or the folder cannot be written; an earlier file stays as it was.
    """
    data = _serialise(tensors, facts)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _flush_folder(path.parent)
    except OSError as problem:
        raise CharRNNError(
            f"cannot write {path}: {problem.strerror or problem}",
            "the last checkpoint is intact; make room or choose another folder",
        ) from None


def _serialise(tensors: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> bytearray:
    from safetensors.numpy import save

    text = json.dumps({"digest": "0" * _DIGITS, **facts}, separators=(",", ":"))
    arrays = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    data = bytearray(save(arrays, {_KEY: text}))
    at = 8 + len(_PREFIX)
    data[at : at + _DIGITS] = hashlib.sha256(data).hexdigest().encode()
    return data


def _flush_folder(folder: Path) -> None:
    """Make the rename itself durable; not every system can flush a folder."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the tensors (read-only views) and the facts of a file, after checking all of it.

    Raises
    ------
    CheckpointError
        If the file cannot be read, is no checkpoint, or is damaged.
    """
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise CheckpointError(f"cannot read {path}: {problem.strerror or problem}") from None
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 + len(_PREFIX) + _DIGITS or data[8 : 8 + len(_PREFIX)] != _PREFIX:
        raise CheckpointError(f"{path} is not a charrnn checkpoint")
    if length > min(len(data) - 8, _MAX_HEADER):
        raise CheckpointError(f"{path} is damaged: its header is cut off")
    _verify(path, data)
    try:
        header = json.loads(data[8 : 8 + length], object_pairs_hook=_distinct)
        facts = json.loads(header.pop("__metadata__")[_KEY], object_pairs_hook=_distinct)
        tensors = _views(header, memoryview(data)[8 + length :])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        reason = str(problem) if type(problem) is ValueError else "its header makes no sense"
        raise CheckpointError(f"{path} is damaged: {reason}") from None
    if not isinstance(facts, dict):
        raise CheckpointError(f"{path} is damaged: its header makes no sense")
    return tensors, facts


def _verify(path: Path, data: bytes) -> None:
    at = 8 + len(_PREFIX)
    view = memoryview(data)
    digest = hashlib.sha256(view[:at])
    digest.update(b"0" * _DIGITS)
    digest.update(view[at + _DIGITS :])
    if data[at : at + _DIGITS] != digest.hexdigest().encode():
        raise CheckpointError(
            f"{path} is damaged: its contents do not match its digest",
            "use another checkpoint of the run (best, last, step-…)",
        )


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _views(header: dict[str, Any], body: memoryview) -> dict[str, np.ndarray]:
    """Return the arrays that the header describes; together they must fill the body exactly."""
    tensors, end = {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        shape, (start, stop) = entry["shape"], entry["data_offsets"]
        if entry["dtype"] not in _DTYPES:
            raise ValueError("a tensor has an unexpected type")
        if not all(type(n) is int and 0 <= n <= len(body) for n in (*shape, start, stop)):
            raise ValueError("a tensor has an impossible shape")
        dtype, count = _DTYPES[entry["dtype"]], 1
        for extent in shape:
            count *= extent
        if start != end or stop - start != count * dtype.itemsize or stop > len(body):
            raise ValueError("the tensors do not fill the file")
        tensors[name] = np.frombuffer(body[start:stop], dtype).reshape(shape)
        end = stop
    if end != len(body):
        raise ValueError("the tensors do not fill the file")
    return tensors
