"""What is left to say when all ranks are killed at once.

If the process of one rank ends, a launcher of MPI kills the others, which can say nothing any more.
So the first rank forks a small process that only waits for it to end; if it ends without having
said that all is well, this process prints the last message it was given.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import NoReturn


class Witness:
    """A process that prints a message on standard error if this one is killed.

    It is made before anything is opened that it should not hold open.
    """

    def __init__(self) -> None:
        read, self._pipe = os.pipe()
        if os.fork() == 0:
            _wait(read)
        os.close(read)

    def say(self, message: str) -> None:
        """Print this line, and none before it, if this process is killed."""
        with suppress(OSError):  # somebody killed it
            os.write(self._pipe, message.encode() + b"\n")

    def over(self) -> None:
        """Print nothing: this process ends as it should. Safe in a signal handler."""
        self.say("")


def _wait(read: int) -> NoReturn:
    """Wait for the other end of the pipe to be closed, and print what was last said."""
    try:
        os.setsid()  # a launcher kills the session of a rank, or its group
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        os.closerange(0, 2)
        os.closerange(3, read)
        os.closerange(read + 1, min(1 << 16, os.sysconf("SC_OPEN_MAX")))
        said = b""
        while more := os.read(read, 4096):
            said += more
        if last := said.split(b"\n")[-2:][:1]:
            os.write(2, last[0] + b"\n" if last[0] else b"")
    finally:
        os._exit(0)
