"""Where text comes from: files, directories, pipes, standard input, built-in corpora.

A *name* is what the user calls it, on the command line or in Python; a *source* is one thing that
text is read from. The name of a directory stands for many sources.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Literal

from charrnn.display import one_line
from charrnn.errors import CorpusError, UsageError

CHUNK = 1 << 20
_SNIFF = 8192
_NO_WAITING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")

SourceName = str | os.PathLike[str]
"""A path, ``-`` for standard input, or the name of a built-in corpus."""


@dataclass(frozen=True)
class Source:
    """One thing that text is read from.

    Attributes
    ----------
    name
        The absolute path, ``-``, or the name of a built-in corpus.
    kind
        ``pipe`` is whatever can be read only once: a FIFO, a terminal, a socket.
    directory
        The directory that the user named and in which the file was found; empty if the user named
        the file.
    identity
        Tells this content from any other without reading it. Empty for standard input and pipes
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

    def is_binary(self) -> bool:
        """Whether a file has a NUL byte in its first 8 KiB."""
        try:
            with Path(self.name).open("rb", buffering=0) as file:
                return b"\0" in file.read(_SNIFF)
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
        if verify and self.kind == "file" and _identity(status)[:2] != self.identity[:2]:
            raise changed(self.name)


def as_list(names: SourceName | Sequence[SourceName]) -> list[str]:
    """Return one name or several as a list of strings."""
    several = [names] if isinstance(names, str | os.PathLike) else names
    return [os.fspath(name) for name in several]


def find_sources(names: SourceName | Sequence[SourceName]) -> list[Source]:
    """Return the sources that the names stand for, in order; a directory becomes its files.

    Raises
    ------
    CorpusError
        If a path is missing or unreadable, or a directory holds no file that could be text.
    UsageError
        If nothing is named, or standard input more than once.
    """
    names = as_list(names)
    if not names:
        raise UsageError("no text is named", "name a file, a directory, - or a built-in corpus")
    if names.count("-") > 1:
        raise UsageError("- (standard input) is named more than once", "name it once")
    return [source for name in names for source in _find(name)]


def text_sources(sources: Sequence[Source], encoding: str) -> list[Source]:
    """Leave out the binary files of directories: those with a NUL byte in their first 8 KiB.

    None is left out at byte level, where ``encoding`` is empty, or if the encoding itself has NUL
    bytes in plain English, as UTF-16 has.

    Raises
    ------
    CorpusError
        If no file of a directory is left.
    """
    if not encoding or b"\0" in "a".encode(encoding):
        return list(sources)
    kept = [s for s in sources if not (s.directory and s.is_binary())]
    directories = {s.directory for s in kept}
    for source in sources:
        if source.directory not in directories:
            raise _without_text(source.directory)
    return kept


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


def empty(name: str) -> CorpusError:
    """Return the error for a text without any symbol."""
    return CorpusError(f"{shown(name)} is empty", "name a text that is not")


def shown(name: str) -> str:
    """Return the name of a source for a message."""
    return "standard input" if name == "-" else one_line(name)


def _find(name: str) -> list[Source]:
    if name == "-":
        return [Source("-", "stdin")]
    try:
        path = Path(name)
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return [_builtin(name)]
    except OSError as error:
        raise unreadable(name, error) from None
    except ValueError:  # a NUL character
        raise CorpusError(f"{name!a} is not a path", "name a file or a directory") from None
    if stat.S_ISDIR(status.st_mode):
        return _walk(path)
    if stat.S_ISREG(status.st_mode):
        return [Source(_absolute(path), "file", identity=_identity(status))]
    if _is_device(path, status):
        raise device(name)
    return [Source(str(path.absolute()), "pipe")]


def device(name: str) -> CorpusError:
    """Return the error for a device that is not a terminal: many of them have no end."""
    message = f"{shown(name)} is a device, not a text"
    return CorpusError(message, "name a file, a directory or a pipe")


def _is_device(path: Path, status: os.stat_result) -> bool:
    """Whether a path is a device other than a terminal or the null device."""
    if not stat.S_ISCHR(status.st_mode):
        return stat.S_ISBLK(status.st_mode)
    if str(path.resolve()) == os.devnull:
        return False
    try:
        handle = os.open(path, os.O_RDONLY | _NO_WAITING)
    except OSError:
        return False  # to read it will tell what is wrong
    try:
        return not os.isatty(handle)
    finally:
        os.close(handle)


def _builtin(name: str) -> Source:
    if _NAME.fullmatch(name):
        from charrnn.text import builtin

        if name in builtin.NAMES:
            identity = ("builtin", name, builtin.fingerprint(name))
            return Source(name, "builtin", identity=identity)
        remedy = f"name a file, a directory, - or a built-in corpus: {', '.join(builtin.NAMES)}"
        message = f"{one_line(name)} does not exist and is not a built-in corpus"
        raise CorpusError(message, remedy)
    raise CorpusError(f"{one_line(name)} does not exist", "check the path")


def _walk(top: Path) -> list[Source]:
    files: list[tuple[str, Path, os.stat_result]] = []
    seen: set[tuple[int, int]] = set()  # directories are read once, so that loops of links end
    pending = [top]
    while pending:
        folder = pending.pop()
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            children = sorted(folder.iterdir(), reverse=True)
        except OSError as error:
            raise unreadable(str(folder), error) from None
        for child in children:
            if child.name.startswith("."):
                continue
            try:
                status = child.stat()
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.ELOOP):
                    continue  # a broken link
                raise unreadable(str(child), error) from None
            if stat.S_ISDIR(status.st_mode):
                pending.append(child)
            elif stat.S_ISREG(status.st_mode):
                files.append((child.relative_to(top).as_posix(), child, status))
    directory = _absolute(top)
    if not files:
        raise _without_text(directory)
    return [
        Source(str(Path(directory) / relative), "file", directory, _identity(status))
        for relative, _, status in sorted(files, key=lambda entry: entry[0])
    ]


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


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return (
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_dev,
        status.st_ino,
    )


def _absolute(path: Path) -> str:
    return str(path.resolve() if ".." in path.parts else path.absolute())


def _without_text(directory: str) -> CorpusError:
    return CorpusError(
        f"directory {one_line(directory)} holds no text file",
        "name a directory that does, or a file",
    )
