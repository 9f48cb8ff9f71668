"""Standard output: UTF-8 whatever the locale, written with little delay."""

from __future__ import annotations

import json
import sys
from time import monotonic
from typing import Any

from charrnn.errors import to_standard_output

_INTERVAL = 0.02  # seconds: too short to be seen, long enough to save most system calls
_BLOCK = 1 << 13


class Output:
    """Writes bytes to standard output; collects them for at most 20 ms."""

    def __init__(self) -> None:
        self._stream = sys.stdout.buffer
        self._held: list[bytes] = []
        self._size = 0
        self._flushed = 0.0
        self._last = b"\n"

    def write(self, data: bytes) -> None:
        """Write some bytes."""
        if not data:
            return
        self._held.append(data)
        self._size += len(data)
        now = monotonic()
        if self._size >= _BLOCK or now - self._flushed >= _INTERVAL:
            self.flush()
            self._flushed = now

    def end_line(self) -> None:
        """Write a newline if the last byte is not one."""
        last = self._held[-1] if self._held else self._last
        if not last.endswith(b"\n"):
            self.write(b"\n")

    def flush(self) -> None:
        """Write everything that has been collected."""
        if self._held:
            self._last = self._held[-1]
            with to_standard_output():
                self._stream.write(b"".join(self._held))
            self._held.clear()
            self._size = 0
        with to_standard_output():
            self._stream.flush()

    def finish(self) -> None:
        """Flush; on a terminal, make sure that the prompt starts on a new line."""
        self.flush()
        if not self._last.endswith(b"\n") and sys.stdout.isatty():
            self._stream.write(b"\n")
            self._stream.flush()


def utf8(text: str | bytes) -> bytes:
    """Return text as UTF-8; bytes of an argument that were not valid UTF-8 are restored."""
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


def json_line(record: dict[str, Any]) -> bytes:
    """Return the record as a line of JSON."""
    from charrnn.display import safe_json

    line = json.dumps(record, ensure_ascii=False, allow_nan=False)
    try:
        return safe_json(line).encode() + b"\n"
    except UnicodeEncodeError:
        return safe_json(json.dumps(record, allow_nan=False)).encode() + b"\n"


def json_text(text: str | bytes) -> str | list[int]:
    """Return text for JSON: a string, or a list of integers for bytes."""
    return list(text) if isinstance(text, bytes) else text


def write(data: bytes) -> None:
    """Write bytes to standard output."""
    out = Output()
    out.write(data)
    out.finish()


def write_text(text: str) -> None:
    """Write text to standard output, as UTF-8."""
    write(text.encode("utf-8", "replace"))


def write_json(*records: dict[str, Any]) -> None:
    """Write records to standard output, one line of JSON each."""
    write(b"".join(map(json_line, records)))
