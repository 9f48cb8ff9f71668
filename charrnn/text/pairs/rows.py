"""The pairs of files, directories, standard input or a built-in corpus, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any, BinaryIO, NamedTuple

from charrnn.config import DataConfig
from charrnn.errors import CorpusError, setting
from charrnn.text.decoding import DECODE_OTHERWISE, check_codec, decode_chunks
from charrnn.text.finding import find_sources, text_sources
from charrnn.text.formats import text_of
from charrnn.text.labelled.readers import Unfit
from charrnn.text.pairs import tabs
from charrnn.text.remarks import Tell
from charrnn.text.source import Source, shown

MAX_LINE = 1 << 26
"""Maximum characters of a line."""


class Pair(NamedTuple):
    """A source and its target."""

    source: str
    target: str


class Line(NamedTuple):
    """A line without its end, where it stands, and whether all of it could be decoded."""

    text: str
    source: str
    number: int
    decoded: bool

    @property
    def name(self) -> str:
        """The source, for messages."""
        return shown(self.source)


def pairs(
    names: Sequence[str],
    data: DataConfig,
    unfit: Unfit,
    targets: Sequence[str] = (),
    *,
    stdin: BinaryIO | None = None,
    observe: Callable[[bytes], object] = lambda data: None,
    tell: Tell | None = None,
) -> Iterator[Pair]:
    """Yield the pairs of tables, ``source<TAB>target`` a line, or of two parallel files.

    Parameters
    ----------
    unfit
        Takes the lines that are not pairs.
    targets
        Files with the target of each line of the sources.
    stdin
        What ``-`` reads; None: the standard input of the process.
    observe
        Called with all raw bytes.
    tell
        Called with a note on the files of a directory that were left out.

    Raises
    ------
    CorpusError
        If a file is missing, unreadable, wrongly encoded or damaged, or two parallel files differ
        in their number of lines.
    """
    how: dict[str, Any] = {"stdin": stdin, "observe": observe, "tell": tell}
    lines = lines_of(names, data, **how)
    if targets:
        yield from _parallel(lines, lines_of(targets, data, **how), unfit)
        return
    for line in lines:
        source, tab, target = line.text.partition("\t")
        if not line.text:
            continue
        if not line.decoded:
            unfit(line.name, line.number, "")
        elif not tab:
            remedy = advice(line, data)
            unfit(line.name, line.number, "has no tab between a source and a target", remedy)
        elif "\t" in target:
            remedy = advice(line, data, separators="\t")
            unfit(line.name, line.number, "has several tabs, but a pair has one", remedy)
        else:
            yield Pair(source, target)


def advice(line: Line, data: DataConfig, **how: Any) -> str:
    """Return how to write the file whose first line this is with tabs; empty if it is not one."""
    if line.number > 1:
        return ""
    encoding = "utf-8" if data.level == "byte" else data.encoding
    return tabs.advice(line.text, line.source, encoding, **how)


def _parallel(sources: Iterable[Line], targets: Iterable[Line], unfit: Unfit) -> Iterator[Pair]:
    """Yield the pairs of two files of as many lines."""
    for source, target in zip_longest(sources, targets):
        if source is None or target is None:
            more, what = (target, "source") if source is None else (source, "target")
            raise CorpusError(
                f"{more.name} line {more.number} has no {what}",
                f"the files of sources and of {setting('target')} must have as many lines",
            )
        wrong = next((one for one in (source, target) if not one.decoded), None)
        if wrong is not None:
            unfit(wrong.name, wrong.number, "")
        else:
            yield Pair(source.text, target.text)


def lines_of(
    names: Sequence[str],
    data: DataConfig,
    *,
    stdin: BinaryIO | None,
    observe: Callable[[bytes], object],
    tell: Tell | None,
) -> Iterator[Line]:
    """Yield the lines of files; of a built-in corpus, which is cut anywhere, the whole ones."""
    errors = "surrogateescape" if data.errors == "skip" or data.level == "byte" else data.errors
    codec = "utf-8" if data.level == "byte" else check_codec(data.encoding, "strict")
    escaped = data.errors == "skip" and data.level != "byte"
    for source in text_sources(find_sources(names), codec, tell):

        def raw(source: Source = source) -> Iterator[bytes]:
            for chunk in source.chunks(stdin=stdin):
                observe(chunk)
                yield chunk

        name = shown(source.name)
        encoding = "utf-8" if source.kind == "builtin" else codec
        found = text_of(raw(), source.name, encoding)
        pieces = decode_chunks(found, source.name, encoding, errors, DECODE_OTHERWISE)
        for number, text in enumerate(_split(pieces, name, source.kind != "builtin"), 1):
            if number == 1:
                text = text.removeprefix("\ufeff")
                if (
                    tell is not None
                    and "\t" in text
                    and (seems := tabs.about_header(text, source.name))
                ):
                    tell(seems)
            yield Line(text, source.name, number, not (escaped and _is_damaged(text)))


def _split(pieces: Iterable[str], name: str, last: bool) -> Iterator[str]:
    """Yield the lines of a text; ``last`` says whether its end is the end of a line."""
    held: list[str] = []
    size = number = 0
    for piece in pieces:
        *complete, rest = piece.split("\n")
        if complete:
            complete[0] = "".join([*held, complete[0]])
            held, size = [], 0
            yield from (line.removesuffix("\r") for line in complete)
            number += len(complete)
        held.append(rest)
        size += len(rest)
        if size > MAX_LINE:
            problem = f"line {number + 1} has more than {MAX_LINE:,} characters"
            raise CorpusError(f"{name} {problem}", "mend that line")
    if last and (rest := "".join(held)):
        yield rest.removesuffix("\r")


def _is_damaged(text: str) -> bool:
    """Return whether a text has a byte that could not be decoded."""
    return not text.isascii() and any("\udc80" <= c <= "\udcff" for c in text)
