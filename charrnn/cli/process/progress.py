"""Progress of long work: one line on a terminal, on standard error, and nothing anywhere else.

The line appears if the work takes longer than a second, and is erased before anything else is
written to standard error, and at the end.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stderr
from shutil import get_terminal_size
from threading import Event, RLock, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from charrnn.display import duration, is_moving, one_line

if TYPE_CHECKING:
    from tqdm import tqdm

DELAY = 1.0
"""Seconds after which the line appears."""
_INTERVAL = 0.2


class Line:
    """The line; while it is shown it stands for the stream that it is written to.

    Parameters
    ----------
    stream
        The terminal.
    text
        What the work is.
    """

    def __init__(self, stream: TextIO, text: str) -> None:
        self._stream, self._text = stream, text
        self._lock, self._over, self._started = RLock(), Event(), monotonic()
        self._bar: tqdm[NoReturn] | None = None
        self._thread = Thread(target=self._draw, daemon=True)
        self._thread.start()

    def __call__(self, text: str) -> None:
        """Say how far the work has come."""
        self._text = text

    def write(self, text: str) -> int:
        """Write to the stream, in the place of the line."""
        with self._lock:
            self._erase()
            return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def end(self) -> None:
        """Erase the line; it does not appear again."""
        self._over.set()
        self._thread.join()
        with self._lock:
            if self._bar is not None:
                self._bar.close()
            self._stream.flush()

    def _draw(self) -> None:
        wait = DELAY
        while not self._over.wait(wait):
            wait = _INTERVAL
            line = f"{self._text}, {duration(monotonic() - self._started)}"
            with self._lock:
                if self._bar is None:
                    self._bar = _bar(self._stream)
                self._bar.ncols = max(1, get_terminal_size().columns - 1)
                self._bar.set_description_str(one_line(line))

    def _erase(self) -> None:
        if self._bar is not None:
            self._bar.clear()


def _bar(stream: TextIO) -> tqdm[NoReturn]:
    from tqdm import tqdm  # only if the work is long

    return tqdm(file=stream, bar_format="{desc}", leave=False, ncols=1, nrows=20)


class Nothing:
    """Shows no line."""

    def __call__(self, text: str) -> None:
        """Say how far the work has come."""

    def end(self) -> None:
        """End the line."""


@contextmanager
def progress(text: str, names: Iterable[str] = ()) -> Iterator[Line | Nothing]:
    """Show progress during a context; call what it yields to say how far the work has come.

    Nothing is shown while a text that is read, one of ``names``, is typed on the terminal.
    """
    if not is_shown() or ("-" in names and sys.stdin.isatty()):
        yield Nothing()
        return
    line = Line(sys.stderr, text)
    try:
        with redirect_stderr(line):
            yield line
    finally:
        line.end()


def is_shown() -> bool:
    """Whether standard error is a terminal on which a line can be erased."""
    return is_moving(sys.stderr)


def counted(show: Callable[[str], object], what: str) -> Callable[[int], None]:
    """Return a function that shows the sum of the numbers that it is given."""
    total = 0

    def add(number: int) -> None:
        nonlocal total
        total += number
        show(f"{total:,} {what}")

    return add
