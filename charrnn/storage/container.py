"""The file format of a checkpoint: safetensors that carry a digest of the whole file.

The file is a plain safetensors file with one metadata key, ``charrnn``. Its value is a JSON object
of facts whose first member is ``digest``: the SHA-256 of the file's bytes, with the 64 digits of
the digest itself replaced by zeros. Nothing in a file is executed or followed. Reading is strict:
no allocation trusts a size that the file claims, and the whole file is verified.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from itertools import chain
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np

from charrnn import files
from charrnn.display import one_line
from charrnn.errors import CharRNNError, CheckpointError, setting
from charrnn.own import CHECKPOINT_BEGINNING

_KEY = "charrnn"
_DIGITS = 64
_DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8")}
_HALF = {"F16": np.dtype("<f2"), "BF16": np.dtype("<u2")}
"""Types that only files of other programs hold. A bfloat16 is the upper half of a float32."""
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_MAX_HEADER = 100_000_000
_FREE_OBJECTS = 12_000_000  # bytes that a header's objects may take, however small the file
_CHUNK = 1 << 20
_DIMENSIONS = 8
_ENTRY = {"dtype", "shape", "data_offsets"}
_Read = TypeVar("_Read")


def write(path: Path, tensors: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
    """Write the file durably, see :func:`charrnn.files.write`, without copying the tensors.

    Parameters
    ----------
    tensors
        Arrays of float32 or float64.
    facts
        Metadata that JSON can hold.

    Raises
    ------
    CharRNNError
        If the disk is full, the folder cannot be written, or :func:`read` would refuse the file.
        An earlier file is intact.
    """
    ordered = _order(tensors)
    text = json.dumps({"digest": "0" * _DIGITS, **facts}, separators=(",", ":"))
    head = _head({name: tensors[name] for name in ordered}, {_KEY: text})
    size = len(head) + sum(tensors[name].nbytes for name in ordered)
    if len(head) - 8 > _MAX_HEADER or _object_bytes(head[8:].decode()) > size + _FREE_OBJECTS:
        raise CharRNNError(
            f"cannot write {one_line(path)}: the vocabulary is too large for so small a model",
            f"raise {setting('min_count')} or {setting('hidden')}",
        )
    digest = hashlib.sha256(head)
    for name in ordered:
        digest.update(_bytes(tensors[name]))
    at = 8 + len(CHECKPOINT_BEGINNING)
    head[at : at + _DIGITS] = digest.hexdigest().encode()
    files.write(path, chain([head], (_bytes(tensors[name]) for name in ordered)))


def write_plain(path: Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file for other programs, without a digest.

    Parameters
    ----------
    tensors
        Arrays of float32 or float64.
    metadata
        Strings by name.

    Raises
    ------
    CharRNNError
        If it cannot be written. An earlier file is intact.
    """
    ordered = _order(tensors)
    head = _head({name: tensors[name] for name in ordered}, metadata)
    files.write(path, chain([head], (_bytes(tensors[name]) for name in ordered)))


def _order(tensors: Mapping[str, np.ndarray]) -> list[str]:
    """Return the names in the order of the safetensors library."""
    return sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))


def _head(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytearray:
    """Return the part of the file before the tensors, padded as the safetensors library does."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    for name, array in tensors.items():
        start, end = end, end + array.nbytes
        dtype = _NAMES[array.dtype.newbyteorder("<")]
        header[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": [start, end]}
    data = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    data += b" " * (-len(data) % 8)
    return bytearray(len(data).to_bytes(8, "little") + data)


def _bytes(array: np.ndarray) -> memoryview:
    """Return an array's bytes in the order of the file, without a copy if possible."""
    flat = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return flat.reshape(-1).view(np.uint8).data


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the tensors (read-only) and the facts of a file, after checking all of it.

    The header is checked against the file's size before anything is allocated. Then each tensor is
    read straight into its array while the digest is computed, so that reading takes about the size
    of the file in memory.

    Raises
    ------
    CheckpointError
        If the file cannot be read, is not a regular file, is not a checkpoint, or is damaged.
    """
    return _opened(path, _read, "name a checkpoint file or a run folder")


def read_plain(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return the tensors and the metadata of a safetensors file that any program wrote.

    It is checked as :func:`read` checks one, but for the digest, which it does not have. Tensors in
    16 bits become float32.

    Raises
    ------
    CheckpointError
        If the file cannot be read, is not a regular file, is not a safetensors file, is damaged, or
        holds a tensor that is not of floating-point numbers.
    """
    return _opened(path, _read_plain, "name a safetensors file")


def _opened(path: Path, read: Callable[[BinaryIO, int], _Read], remedy: str) -> _Read:
    """Return what ``read`` returns for a file and its size; explain why it cannot be read."""
    try:
        with os.fdopen(files.open_regular(path, follow=True), "rb", buffering=0) as file:
            return read(file, os.fstat(file.fileno()).st_size)
    except files.NotRegularError:
        raise CheckpointError(f"{one_line(path)} is not a regular file", remedy) from None
    except _DamagedError as problem:
        raise CheckpointError(f"{one_line(path)} {problem}") from None
    except (OSError, ValueError) as problem:  # a path with a NUL character is a ValueError
        reason = getattr(problem, "strerror", None) or "it is not a file name"
        raise CheckpointError(f"cannot read {one_line(path)}: {reason}") from None
    except MemoryError:
        raise CheckpointError(
            f"cannot read {one_line(path)}: not enough memory for its tensors",
            "free memory, or use a machine with more of it",
        ) from None


class _DamagedError(Exception):
    """Why a file cannot be used; the message continues a sentence that begins with its name."""


def _read(file: BinaryIO, size: int) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    at = 8 + len(CHECKPOINT_BEGINNING)
    start = file.read(at + _DIGITS)
    if len(start) < at + _DIGITS or start[8:at] != CHECKPOINT_BEGINNING:
        raise _DamagedError("is not a charrnn checkpoint")
    length = int.from_bytes(start[:8], "little")
    if not at + _DIGITS - 8 < length <= min(size - 8, _MAX_HEADER):
        raise _DamagedError("is damaged: its header is cut off")
    digest = hashlib.sha256(start[:at] + b"0" * _DIGITS)
    claimed, body = start[at:], size - 8 - length
    try:
        entries, facts = _parse(_header(file, start[8:], length, digest), size)
        layout = _layout(entries, body)
        tensors = {name: np.empty(shape, dtype) for name, dtype, shape in layout}
    except _DamagedError:
        _hash(file, digest, body)
        _compare(claimed, digest)  # if it does not match, the file is damaged; else it is forged
        raise
    for array in tensors.values():
        part = array.reshape(-1).view(np.uint8).data
        for begin in range(0, len(part), _CHUNK):
            _fill(file, part[begin : begin + _CHUNK])
            digest.update(part[begin : begin + _CHUNK])
        array.flags.writeable = False
    _compare(claimed, digest)
    return tensors, facts


def _read_plain(file: BinaryIO, size: int) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    start = file.read(9)
    length = int.from_bytes(start[:8], "little")
    if len(start) < 9 or start[8:] != b"{" or not 2 <= length <= min(size - 8, _MAX_HEADER):
        raise _DamagedError("is not a safetensors file")
    header = bytearray(length)
    header[:1] = start[8:]
    _fill(file, memoryview(header)[1:])
    try:
        text = header.decode()
        if _object_bytes(text) > size + _FREE_OBJECTS:
            raise _DamagedError("is damaged: its header lists more than its tensors can need")
        entries = _DECODER.decode(text.rstrip(" "))
        metadata = entries.pop("__metadata__", {})
        if not all(isinstance(value, str) for value in metadata.values()):
            raise _DamagedError("is damaged: its header is malformed")
    except (ValueError, AttributeError, RecursionError):
        raise _DamagedError("is damaged: its header is malformed") from None
    tensors = {}
    for name, dtype, shape in _layout(entries, size - 8 - length, _DTYPES | _HALF):
        array = np.empty(shape, dtype)
        _fill(file, array.reshape(-1).view(np.uint8).data)
        if dtype == _HALF["BF16"]:
            array = (array.astype("<u4") << 16).view("<f4")
        tensors[name] = array.astype(np.float32) if dtype == _HALF["F16"] else array
    return tensors, metadata


def _header(file: BinaryIO, start: bytes, length: int, digest: hashlib._Hash) -> str:
    """Return the header as text; all after its ``start`` is read and added to the digest."""
    header = bytearray(length)
    header[: len(start)] = start
    rest = memoryview(header)[len(start) :]
    _fill(file, rest)
    digest.update(rest)
    try:
        return header.decode("ascii")
    except UnicodeDecodeError:
        raise _DamagedError("is damaged: its header is malformed") from None


def _fill(file: BinaryIO, buffer: memoryview) -> None:
    """Fill the buffer from the file."""
    while buffer:
        count = file.readinto(buffer)  # type: ignore[attr-defined]
        if not count:
            raise _DamagedError("is damaged: it was truncated while being read")
        buffer = buffer[count:]


def _hash(file: BinaryIO, digest: hashlib._Hash, size: int) -> None:
    while size > 0 and (data := file.read(min(size, _CHUNK))):
        digest.update(data)
        size -= len(data)


def _compare(claimed: bytes, digest: hashlib._Hash) -> None:
    if claimed != digest.hexdigest().encode():
        raise _DamagedError("is damaged: its contents do not match its digest")


def _parse(header: str, size: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the entries of the tensors and the facts of a file of ``size`` bytes.

    Python's objects take many times the bytes of their JSON text. An upper bound is
    estimated before they are created, and must be in proportion to the file.
    """
    if _object_bytes(header) > size + _FREE_OBJECTS:
        raise _DamagedError("is damaged: its header lists more than its tensors can need")
    try:
        entries = _DECODER.decode(header)
        del header
        metadata = entries.pop("__metadata__")
        if list(metadata) != [_KEY]:
            raise _DamagedError("is damaged: its header has unknown metadata")
        facts = _DECODER.decode(metadata.pop(_KEY))
        if not isinstance(facts, dict):
            raise _DamagedError("is damaged: its header is malformed")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _DamagedError("is damaged: its header is malformed") from None
    return entries, facts


def _object_bytes(header: str) -> int:
    """Return an estimate of the most bytes that the objects of a header's JSON can take."""
    return 100 * sum(map(header.count, ",[{")) + 200 * header.count(":")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _DamagedError("is damaged: a name occurs twice in its header")
    return members


def _refuse_constant(name: str) -> None:
    raise _DamagedError(f"is damaged: its header holds {name}, which is not a number")


_DECODER = json.JSONDecoder(object_pairs_hook=_distinct, parse_constant=_refuse_constant)


def _layout(
    entries: dict[str, Any], body: int, dtypes: Mapping[str, np.dtype[Any]] = _DTYPES
) -> list[tuple[str, np.dtype[Any], tuple[int, ...]]]:
    """Return name, type and shape of every tensor, in the order of the file.

    Together they must fill the ``body`` bytes after the header exactly.
    """
    tensors = []
    for name, entry in entries.items():
        if not isinstance(entry, dict) or entry.keys() != _ENTRY:
            raise _DamagedError("is damaged: the entry of a tensor has wrong members")
        dtype = dtypes.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
        if dtype is None:
            raise _DamagedError("is damaged: a tensor has an unexpected type")
        shape, offsets = entry["shape"], entry["data_offsets"]
        valid = _are_sizes(shape, body) and _are_sizes(offsets, body) and len(offsets) == 2
        if not valid or prod(max(n, 1) for n in shape) > body:
            raise _DamagedError("is damaged: a tensor has an impossible shape")
        if offsets[1] - offsets[0] != prod(shape) * dtype.itemsize:
            raise _DamagedError("is damaged: the tensors do not fill the file")
        tensors.append((offsets, name, dtype, tuple(shape)))
    end = 0
    tensors.sort(key=lambda entry: entry[0])
    for (start, stop), *_ in tensors:
        if start != end:
            raise _DamagedError("is damaged: the tensors do not fill the file")
        end = stop
    if end != body:
        raise _DamagedError("is damaged: the tensors do not fill the file")
    return [(name, dtype, shape) for _, name, dtype, shape in tensors]


def _are_sizes(value: object, most: int) -> bool:
    """Whether a value is a short list of integers from 0 to ``most``."""
    return (
        isinstance(value, list)
        and len(value) <= _DIMENSIONS
        and all(type(n) is int and 0 <= n <= most for n in value)
    )
