"""SIGINT, SIGTERM and SIGHUP: end at once and silently, or finish the step and save.

The exit code is 128 plus the number of the signal: 130, 143 and 129, which a shell also reports for
a process that the signal killed. Outside training a signal raises an exception, so that unfinished
work is cleaned up. During training the first signal is only noted; a second one ends the process at
once and leaves the last checkpoint as it is. A SIGHUP never counts as a second signal, because a
closing terminal may send it twice. If it is ignored (``nohup``), it stays ignored.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

HANGUP = getattr(signal, "SIGHUP", None)  # Windows has none
NUMBERS = tuple(n for n in (signal.SIGINT, signal.SIGTERM, HANGUP) if n is not None)


class Stopped(KeyboardInterrupt):
    """A signal asked the process to end."""

    def __init__(self, number: int) -> None:
        self.exit_code = 128 + number
        super().__init__(number)


def raise_on_signals() -> None:
    """From now on, raise :class:`Stopped` for a signal, unless it is ignored."""
    for number in NUMBERS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _raise)


def ignore_signals() -> None:
    """From now on, ignore signals: the exit code is already determined."""
    for number in NUMBERS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def ending_at_once() -> Iterator[None]:
    """End the process at the first signal, also inside of a library that waits for others.

    Python would handle the signal only after the library has returned.
    """
    before = {number: signal.getsignal(number) for number in NUMBERS}
    for number, handler in before.items():
        if handler is _raise:
            signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is _raise:
                signal.signal(number, _raise)


def _raise(number: int, frame: FrameType | None) -> None:
    raise Stopped(number)


class Deferral:
    """A context in which signals raise :class:`Stopped`; after :meth:`begin` they are only noted.

    Parameters
    ----------
    farewell
        Called before a second signal ends the process.
    """

    def __init__(self, farewell: Callable[[], object] = lambda: None) -> None:
        self.farewell = farewell
        self._number = 0
        self._deferred = False
        self._before: dict[int, Any] = {}

    @property
    def exit_code(self) -> int:
        """The exit code of the process; 0 if no signal came."""
        return 128 + self._number if self._number else 0

    def begin(self) -> None:
        """Note signals from now on instead of raising."""
        self._deferred = True

    def asked(self) -> bool:
        """Whether a signal came."""
        return self._number != 0

    def __enter__(self) -> Self:
        for number in NUMBERS:
            before = signal.getsignal(number)
            # A command that a shell script starts with & ignores SIGINT, but kill -INT must stop
            # training all the same.
            if number != HANGUP or before is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._deferred:
            raise Stopped(number)
        if not self._number:
            self._number = number
        elif number != HANGUP:
            self.farewell()
            os._exit(128 + number)
