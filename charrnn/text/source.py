"""A source: one file, pipe, standard input or built-in corpus that text is read from."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Literal

from charrnn.display import one_line
from charrnn.errors import CorpusError

CHUNK = 1 << 20


@dataclass(frozen=True)
class Source:
    """One file, pipe or generator that text is read from.

    Attributes
    ----------
    name
        The absolute path, ``-``, or the name of a built-in corpus.
    kind
        ``pipe`` is anything that can be read only once: a FIFO, a terminal, a socket.
    directory
        The directory that the user named and in which the file was found; empty if the user named
        the file.
    identity
        Identifies the content without reading it. Empty for standard input and pipes
        until they are spooled.
    spooled
        A temporary file with a copy of the content.
    """

    name: str
    kind: Literal["file", "pipe", "stdin", "builtin"]
    directory: str = ""
    identity: tuple[str | int, ...] = ()
    spooled: BinaryIO | None = None

    def chunks(
        self, *, stdin: BinaryIO | None = None, size: int = CHUNK, verify: bool = False
    ) -> Iterator[bytes]:
        """Read the raw bytes, at most about ``size`` at a time.

        Raises
        ------
        CorpusError
            If the source cannot be read, or with ``verify`` if a file has changed since the source
            was found, or changes while it is read.
        """
        if self.spooled is not None:
            self.spooled.seek(0)
            while data := self.spooled.read(size):
                yield data
        elif self.kind == "builtin":
            from charrnn.text import builtin

            yield from builtin.generate(self.name)
        else:
            try:
                if self.kind == "stdin":
                    yield from _read_stdin(stdin, size)
                else:
                    yield from self._read_file(size, verify)
            except OSError as error:
                raise unreadable(self.name, error) from None

    def spool(self, directory: Path, stdin: BinaryIO | None = None) -> Source:
        """Return the source with its content copied into a temporary file without a name.

        An empty ``identity`` becomes the SHA-256 and the size of the content.

        Raises
        ------
        CorpusError
            If the source cannot be read.
        OSError
            If the temporary file cannot be written.
        """
        digest, size = hashlib.sha256(), 0
        file: BinaryIO = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115
        try:
            for data in self.chunks(stdin=stdin):
                digest.update(data)
                size += len(data)
                file.write(data)
            file.flush()
        except BaseException:
            file.close()
            raise
        return replace(self, identity=self.identity or (digest.hexdigest(), size), spooled=file)

    def head(self, size: int) -> bytes:
        """Return the first bytes of a file, at most ``size``."""
        try:
            with Path(self.name).open("rb", buffering=0) as file:
                return file.read(size)
        except OSError as error:
            raise unreadable(self.name, error) from None

    def _read_file(self, size: int, verify: bool) -> Iterator[bytes]:
        with Path(self.name).open("rb", buffering=0) as file:
            count = 0
            self._compare(os.fstat(file.fileno()), verify)
            while data := file.read(size):
                count += len(data)
                yield data
            status = os.fstat(file.fileno())
            self._compare(status, verify)
            if verify and count != status.st_size:
                raise changed(self.name)

    def _compare(self, status: os.stat_result, verify: bool) -> None:
        # Size and time only: the other fields may differ between stat and fstat on Windows.
        if verify and self.kind == "file" and identity(status)[:2] != self.identity[:2]:
            raise changed(self.name)


def changed(name: str) -> CorpusError:
    """Return the error for a text that has changed."""
    return CorpusError(
        f"{one_line(name)} changed while being read", "try again once it is complete"
    )


def unreadable(name: str, error: OSError) -> CorpusError:
    """Return the error for a text that cannot be read."""
    reason = error.strerror or type(error).__name__
    message = f"cannot read {shown(name)}: {reason}"
    return CorpusError(message, "check the path and its permissions")


def empty(name: str, values: bool = False) -> CorpusError:
    """Return the error for a text without any symbol, or a table whose ``values`` have none."""
    what = "has no value that is not empty" if values else "is empty"
    return CorpusError(f"{shown(name)} {what}", "choose a non-empty text")


def device(name: str) -> CorpusError:
    """Return the error for a device that is not a terminal: many of them are endless."""
    message = f"{shown(name)} is a device, not a text"
    return CorpusError(message, "name a file, a directory or a pipe")


def shown(name: str) -> str:
    """Return the name of a source for a message."""
    return "standard input" if name == "-" else one_line(name)


def _read_stdin(stdin: BinaryIO | None, size: int) -> Iterator[bytes]:
    if stdin is None:
        if sys.stdin is None:
            raise CorpusError("standard input is closed", "name a file instead of -")
        stdin = sys.stdin.buffer
        _refuse_device(stdin)
    # read1 returns what a pipe holds now; read would wait for a whole chunk.
    read = getattr(stdin, "read1", stdin.read)
    while data := read(size):
        yield data


def _refuse_device(stdin: BinaryIO) -> None:
    try:
        status = os.fstat(stdin.fileno())
    except (OSError, ValueError):
        return  # not a file of the operating system
    null = stat.S_ISCHR(status.st_mode) and os.path.samestat(status, Path(os.devnull).stat())
    special = stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode)
    if special and not null and not stdin.isatty():
        raise device("-")


def identity(status: os.stat_result) -> tuple[int, ...]:
    """Return what identifies a file's content: size, times, device, inode."""
    return (
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_dev,
        status.st_ino,
    )
