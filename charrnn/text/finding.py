"""From the names that the user gives to the sources that text is read from.

A *name* is a path, ``-`` for standard input, or the name of a built-in corpus. The name of a
directory stands for all of its text files, each of which is a source.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Collection, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from charrnn.config import DataConfig
from charrnn.display import near, one_line, quoted, shell
from charrnn.errors import CharRNNError, CorpusError, UsageError, setting
from charrnn.files import NO_WAIT
from charrnn.own import PAGE_HEAD, is_page, own
from charrnn.text.formats import SNIFF, why_not_text
from charrnn.text.layout import WHOLE, Layout
from charrnn.text.remarks import Tell, about_files
from charrnn.text.source import Source, device, identity, unreadable
from charrnn.text.values import SUFFIXES, kind, suffix

_BUILTIN = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
EMPTY, PAGE = "empty", "a page of charrnn"
_MOST_ENTRIES = 10_000
"""Of a folder, among which a name that is like another one is sought."""
_MANY = 10
"""Files that a command names one by one, at most."""

SourceName = str | os.PathLike[str]
"""A path, ``-`` for standard input, or the name of a built-in corpus."""


def as_list(names: SourceName | Sequence[SourceName]) -> list[str]:
    """Return one name or several as a list of strings."""
    several = [names] if isinstance(names, str | os.PathLike) else names
    return [os.fspath(name) for name in several]


def find_sources(names: SourceName | Sequence[SourceName]) -> list[Source]:
    """Return the sources that the names stand for, in order.

    A directory becomes its files, without hidden ones and without those of charrnn's own runs and
    caches.

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


def undecoded(names: Sequence[str], encoding: str, errors: str) -> dict[str, str]:
    """Return which of ``encoding`` and ``errors`` has no effect on the texts, and why, by name.

    That is so if all of them are built-in corpora, which are UTF-8, or if each byte is a character
    in the encoding, so that none needs to be replaced.
    """
    from charrnn.text import builtin
    from charrnn.text.decoding import decodes_all

    if not names or any(name not in builtin.NAMES or Path(name).exists() for name in names):
        if errors != "replace" or not decodes_all(encoding):
            return {}
        why = f"has nothing to do in {setting('encoding')} {encoding}: each byte is a character"
        return {"errors": f"replace {why}"}
    why = "has no effect on built-in corpora, which are UTF-8"
    reasons = {} if encoding.lower().replace("-", "") == "utf8" else {"encoding": why}
    return reasons if errors == "strict" else reasons | {"errors": why}


def text_sources(
    sources: Sequence[Source], encoding: str, tell: Tell | None = None, layout: Layout = WHOLE
) -> list[Source]:
    """Leave out the files of directories that are not text; see :func:`parted`.

    ``tell`` is called with one note on those left out and those that are empty, if there are any.
    """
    kept, left_out = parted(sources, encoding, layout)
    if left_out and tell is not None:
        tell(about_files(left_out))
    return kept


def parted(
    sources: Sequence[Source], encoding: str, layout: Layout = WHOLE
) -> tuple[list[Source], list[tuple[Source, str]]]:
    """Return the sources without the files of directories that are not text, and why those are not.

    They have a NUL byte in their first 8 KiB (decompressed, if need be), unless the encoding itself
    has NUL bytes in plain English, as UTF-16 has; or their first bytes are those of an archive or a
    document of another program. At byte level, where ``encoding`` is empty, none of these is left
    out; the web pages that charrnn wrote are at every level. If values are read and some files of a
    directory are named as files with such values are, the others are left out too. Empty files are
    in both lists.

    Raises
    ------
    CorpusError
        If no file of a directory is left.
    """
    kept: list[Source] = []
    left_out: list[tuple[Source, str]] = []
    if layout.values:
        encoding = encoding or "utf-8"
    suffixes = SUFFIXES[kind(layout)] if layout.values else ()
    named = {s.directory for s in sources if s.directory and suffix(s.name) in suffixes}
    for source in sources:
        reason = _why_left_out(source, encoding) if source.directory else ""
        if not reason and source.directory in named and suffix(source.name) not in suffixes:
            reason = f"not {' or '.join(suffixes[:2])}"
        if reason:
            left_out.append((source, reason))
        if reason in ("", EMPTY):
            kept.append(source)
    directories = {source.directory for source in kept}
    for source, _ in left_out:
        if source.directory not in directories:
            found = {reason for other, reason in left_out if other.directory == source.directory}
            raise _without_text(source.directory, found)
    return kept, left_out


def in_command(data: DataConfig) -> list[str]:
    """Return a run's texts as words of a command; many files by their directories, if they can be.

    If they cannot, the word ``CORPUS`` stands for them.
    """
    if len(data.sources) <= _MANY:
        return list(data.sources)
    if data.shard_files:  # whose order says which file is whose
        return ["CORPUS"]
    encoding = "" if data.level == "byte" else data.encoding
    return in_directories(data.sources, _MANY, encoding, Layout.of(data)) or ["CORPUS"]


def in_directories(
    names: Sequence[str], most: int, encoding: str, layout: Layout = WHOLE
) -> list[str] | None:
    """Return the names of files, with a directory in place of all of its text files.

    Files that no longer exist are left out. If there are more than ``most`` names, None is
    returned.
    """
    left = [name for name in names if name == "-" or Path(name).exists()]
    shorter: list[str] = []
    while left and len(shorter) <= most:
        name, size = left[0], 1
        for folder in Path(name).parents if Path(name).is_absolute() else ():
            found = _all_of(folder, left, encoding, layout)
            if not found:
                break
            name, size = str(folder), found
        shorter.append(name)
        del left[:size]
    return shorter if 0 < len(shorter) <= most else None


def _all_of(folder: Path, names: Sequence[str], encoding: str, layout: Layout) -> int:
    """Return how many text files a directory has if the names begin with them, else 0."""
    try:
        children = [child for child in folder.iterdir() if not child.name.startswith(".")]
        others = own(folder, {child.name for child in children})
        for child in children:  # most directories need not be searched
            inside = f"{child}{os.sep}"
            if (
                child.is_dir()
                and child.name not in others
                and not any(name.startswith(inside) for name in names)
            ):
                return 0
        texts = [source.name for source in text_sources(_walk(folder), encoding, layout=layout)]
    except (OSError, CharRNNError):
        return 0
    return len(texts) if texts == list(names[: len(texts)]) else 0


def _why_left_out(source: Source, encoding: str) -> str:
    """Return why a file of a directory gives no text; empty if it gives some."""
    if source.identity[0] == 0:
        return EMPTY
    head = source.head(SNIFF if encoding else PAGE_HEAD)
    if is_page(head):
        return PAGE
    return why_not_text(head, source.head, source.name, encoding) if encoding else ""


def _find(name: str) -> list[Source]:
    if name == "-":
        return [Source("-", "stdin")]
    if not name:
        raise UsageError("the name of a text is empty", "name a file, or . for this directory")
    try:
        path = Path(name)
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return [_builtin(name)]
    except OSError as error:
        raise unreadable(name, error) from None
    except ValueError:  # a NUL character
        raise CorpusError(f"{name!r} is not a path", "name a file or a directory") from None
    if stat.S_ISDIR(status.st_mode):
        return _walk(path)
    if stat.S_ISREG(status.st_mode):
        return [Source(_absolute(path), "file", identity=identity(status))]
    if _is_device(path, status):
        raise device(name)
    return [Source(str(path.absolute()), "pipe")]


def _builtin(name: str) -> Source:
    if _BUILTIN.fullmatch(name):
        from charrnn.text import builtin

        if name in builtin.NAMES:
            identity = ("builtin", name, builtin.fingerprint(name))
            return Source(name, "builtin", identity=identity)
        remedy = f"name a file, a directory, - or a built-in corpus: {', '.join(builtin.NAMES)}"
        remedy = _meant(name, builtin.NAMES) or remedy
        message = f"{one_line(name)} does not exist and is not a built-in corpus"
        raise CorpusError(message, remedy)
    raise CorpusError(f"{one_line(name)} does not exist", _meant(name, ()) or "check the path")


def _meant(name: str, known: Collection[str]) -> str:
    """Return what to do about the name of a file that does not exist; empty if nothing is clear."""
    if re.match(r"(https?|ftp)://", name):
        return f"download it first: curl -LO {quoted(name)}"
    if name.startswith("~") or re.search(r"[*?]", name):
        return "the shell fills in ~, * and ? only without quotes, and where a file has such a name"
    path = Path(name)
    with suppress(OSError, ValueError):
        entries = (entry.name for entry in islice(os.scandir(path.parent), _MOST_ENTRIES))
        found = near(path.name, [*(one for one in entries if one[:1] != "."), *known])
        if found:
            said = found if found in known else shell(path.with_name(found))
            return f"did you mean {said}?"
    return ""


def _is_device(path: Path, status: os.stat_result) -> bool:
    """Whether a path is a device other than a terminal or the null device."""
    if not stat.S_ISCHR(status.st_mode):
        return stat.S_ISBLK(status.st_mode)
    if str(path.resolve()) == os.devnull:
        return False
    try:
        handle = os.open(path, os.O_RDONLY | NO_WAIT)
    except OSError:
        return False  # reading it will report the problem
    try:
        return not os.isatty(handle)
    finally:
        os.close(handle)


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
        not_text = own(folder, {child.name for child in children})
        for child in children:
            if child.name.startswith(".") or child.name in not_text:
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
        Source(str(Path(directory) / relative), "file", directory, identity(status))
        for relative, _, status in sorted(files, key=lambda entry: entry[0])
    ]


def _absolute(path: Path) -> str:
    return str(path.resolve() if ".." in path.parts else path.absolute())


def _without_text(directory: str, found: Collection[str] = ()) -> CorpusError:
    """Return the error for a directory that holds only files of the kinds found."""
    for mark in sorted(found):
        if mark.startswith("UTF"):
            return CorpusError(
                f"directory {one_line(directory)} holds no text file but files in {mark}",
                f"use {setting('encoding')} {mark.lower()}",
            )
    return CorpusError(
        f"directory {one_line(directory)} holds no text file",
        "name another directory, or a file",
    )
