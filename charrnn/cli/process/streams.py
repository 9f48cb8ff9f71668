"""The three standard streams, some of which may be closed or full."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from typing import Any

from charrnn.errors import STANDARD_OUTPUT


def open_closed() -> None:
    """Open closed standard streams, because a file opened later would take their numbers.

    Reading from a closed stdin and writing to a closed stdout remain errors. What is written to a
    closed stderr is lost.
    """
    wrong_way = (os.O_WRONLY, os.O_RDONLY, os.O_RDWR)
    for number, flags in enumerate(wrong_way):
        try:
            os.fstat(number)
        except OSError:
            handle = os.open(os.devnull, flags)
            if handle != number:
                os.dup2(handle, number)
                os.close(handle)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def unwritten(problem: OSError) -> str:
    """Return what could not be written, and why."""
    why, name = problem.strerror or problem, problem.filename
    if name != STANDARD_OUTPUT:
        return f"cannot write: {why}"
    if problem.errno == errno.EBADF:
        return f"{name} is closed"
    return f"cannot write to {name}: {why}"


def complain(message: str) -> None:
    """Print an error on stderr, if that is possible."""
    tell(f"charrnn: error: {message}")


def tell(text: str) -> None:
    """Print on stderr, if that is possible."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def abandon() -> None:
    """Keep the interpreter from reporting broken streams when it exits."""
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        if not _flushed(stream):
            with contextlib.suppress(OSError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, number)
                os.close(nowhere)


def _flushed(stream: Any) -> bool:
    try:
        stream.flush()
    except OSError:
        return False
    return True
