"""Event files, which TensorBoard reads: the scalars of a run's records, by step.

A file is a sequence of TFRecords. Each has the length of its data (uint64), a checksum of these 8
bytes, the data, and a checksum of the data, all little-endian. A checksum is the CRC-32C
(Castagnoli) of the bytes, rotated and shifted so that data may hold checksums themselves:

    masked = ((crc >> 15) | (crc << 17)) + 0xa282ead8    (mod 2^32)

The data are an Event in the wire format of protocol buffers: 1 wall_time (double), 2 step (int64),
3 file_version (string) in the first one, 5 summary, whose values (1) are 1 tag and 2 simple_value
(float), or 7 session_log, whose 1 status is 1 (START): then a reader forgets what it has seen from
that step on, in this file and in those of the same folder that come before it by name. Sources:
tensorflow/core/util/event.proto, framework/summary.proto, lib/io/record_writer.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from math import copysign, inf
from typing import Any

EVENTS = ("step", "eval", "watch")
"""The records of ``metrics.jsonl`` whose numbers are written."""
_PLACE = {"step", "seconds"}
_POLYNOMIAL = 0x82F63B78
_VERSION = b"brain.Event:2"


def _table() -> list[int]:
    found = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ (_POLYNOMIAL if crc & 1 else 0)
        found.append(crc)
    return found


_TABLE = _table()


def crc32c(data: bytes) -> int:
    """Return the CRC-32C of some bytes."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def record(data: bytes) -> bytes:
    """Return data as one TFRecord."""
    length = struct.pack("<Q", len(data))
    return length + _masked(length) + data + _masked(data)


def opening(wall_time: float) -> bytes:
    """Return the record that begins a file."""
    return record(_double(1, wall_time) + _bytes(3, _VERSION))


def event(wall_time: float, step: int, scalars: Mapping[str, float]) -> bytes:
    """Return the record of some scalars by their names, at a step."""
    values = b"".join(
        _bytes(1, _bytes(1, tag.encode()) + b"\x15" + _float(value))
        for tag, value in scalars.items()
    )
    return record(_double(1, wall_time) + b"\x10" + _varint(step) + _bytes(5, values))


def restart(wall_time: float, step: int) -> bytes:
    """Return the record that makes a reader forget what it has seen from a step on."""
    return record(_double(1, wall_time) + b"\x10" + _varint(step) + _bytes(7, b"\x08\x01"))


def events(records: Iterable[Mapping[str, Any]], begun: float) -> Iterator[bytes]:
    """Yield a whole file for the records of ``metrics.jsonl``; ``begun`` is when training began."""
    yield opening(begun)
    yield from summaries(records, begun)


def summaries(records: Iterable[Mapping[str, Any]], begun: float) -> Iterator[bytes]:
    """Yield the scalars of records; one without a time has that of the one before it."""
    seconds = 0.0
    for found in records:
        seconds = found.get("seconds") or seconds
        named = scalars(found)
        if named:
            yield event(begun + seconds, found["step"], named)


def scalars(found: Mapping[str, Any]) -> dict[str, float]:
    """Return the scalars of a record by their names, such as ``grad_norms/rnn.l0``."""
    if found.get("event") not in EVENTS:
        return {}
    named = dict[str, Any]()
    for key, value in found.items():
        parts = value.items() if isinstance(value, dict) else ()
        named |= {f"{key}/{part}": of for part, of in parts}
        if key not in _PLACE:
            named[key] = value
    return {tag: float(value) for tag, value in named.items() if type(value) in (int, float)}


def _masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def _float(value: float) -> bytes:
    """Return the nearest float32, an infinity above the largest one."""
    try:
        return struct.pack("<f", value)
    except OverflowError:
        return struct.pack("<f", copysign(inf, value))


def _double(field: int, value: float) -> bytes:
    return bytes([field << 3 | 1]) + struct.pack("<d", value)


def _bytes(field: int, value: bytes) -> bytes:
    return bytes([field << 3 | 2]) + _varint(len(value)) + value
