"""Labelled sequences in files: columns, or an input and an output of equal length a line.

Columns are a token and its label a line, with a blank line after each sequence. ``columns`` says
which ones they are if there are more; so CoNLL-U can be read as it is: lines of comments, of
multi-word tokens and of empty nodes are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from charrnn.config import DataConfig
from charrnn.display import count
from charrnn.errors import CorpusError, setting
from charrnn.text.labelled.lines import UnfitError, checked
from charrnn.text.labelled.readers import Unfit
from charrnn.text.pairs.rows import Line, advice
from charrnn.text.pairs.symbols import split

LOOKED_AT = 10_000
"""Lines from whose looks the format is recognised, at most."""
_RANGE = re.compile(r"[0-9]+[-.][0-9]+")
"""The number of a multi-word token, or of an empty node, in CoNLL-U."""


class Example(NamedTuple):
    """A sequence: its tokens and their labels, and the line of each token, or the one of all.

    In ``lines`` at level char, both are strings: each character is a token.
    """

    tokens: Sequence[str]
    labels: Sequence[str]
    lines: Sequence[Line] = ()

    def place(self, token: int) -> str:
        """Return where a token stands, for messages."""
        line = self.lines[token if len(self.lines) > 1 else 0]
        return f"{line.name} line {line.number}"


class Columns:
    """Which columns hold the tokens and their labels, counted from 0."""

    def __init__(self, columns: str | None) -> None:
        self.chosen = columns is not None
        self.token, self.label = (int(n) - 1 for n in (columns or "1,2").split(","))

    def is_passed_over(self, line: str, labelled: bool = True) -> bool:
        """Whether a line is a comment, or one of CoNLL-U that is not a word.

        ``labelled`` says that each word has its label. Without, a line may be a ``#`` alone.
        """
        last = max(self.token, self.label) if labelled else max(1, self.token)
        if line.startswith("#" if labelled or self.token else "# ") and line.count("\t") < last:
            return True
        numbered = self.chosen and min(self.token, self.label) > 0
        return numbered and _RANGE.fullmatch(line.partition("\t")[0]) is not None

    def row(self, line: str) -> tuple[str, str]:
        """Return the token and the label of a line.

        Raises
        ------
        UnfitError
            If the line does not have them.
        """
        fields = line.split("\t")
        if not self.chosen and len(fields) > 2:
            which = f"{setting('columns')} says which are a symbol and its label"
            raise UnfitError(f"has {len(fields)} columns: {which}")
        if len(fields) <= max(self.token, self.label):
            if not self.chosen:
                raise UnfitError("has no tab between a symbol and its label")
            wanted = max(self.token, self.label) + 1
            raise UnfitError(f"has {count(len(fields), 'column')}, but {wanted} are needed")
        if not fields[self.token]:
            raise UnfitError("has an empty symbol")
        return fields[self.token], checked(fields[self.label])


def is_blank(line: str) -> bool:
    """Whether a line ends a sequence."""
    return not line.strip(" ")


def examples(lines: Iterable[Line], data: DataConfig, unfit: Unfit) -> Iterator[Example]:
    """Yield the sequences of lines in ``data.format``, which must be given.

    ``unfit`` takes the lines that do not fit.
    """
    found = _of_lines if data.format == "lines" else _of_columns
    yield from found(lines, data, unfit)


def _of_columns(lines: Iterable[Line], data: DataConfig, unfit: Unfit) -> Iterator[Example]:
    columns, single = Columns(data.columns), data.format == "symbols"
    tokens, labels, rows = list[str](), list[str](), list[Line]()
    for line in lines:
        if tokens and (line.number == 1 or is_blank(line.text)):
            yield Example(tokens, labels, rows)
            tokens, labels, rows = [], [], []
        if is_blank(line.text) or columns.is_passed_over(line.text):
            continue
        if not line.decoded:
            unfit(line.name, line.number, "")
            continue
        try:
            token, label = columns.row(line.text)
            if single and data.level == "char" and len(token) > 1:
                raise UnfitError(f"has {len(token)} symbols, but the others have one each")
        except UnfitError as problem:
            unfit(line.name, line.number, str(problem), _advice(line, data))
            continue
        tokens.append(token)
        labels.append(label)
        rows.append(line)
    if tokens:
        yield Example(tokens, labels, rows)


def _advice(line: Line, data: DataConfig) -> str:
    """Return how to write a table or JSON lines with tabs, if this is the first line of one."""
    if "\t" in line.text:
        return ""
    if data.columns is not None:
        return advice(line, data, whole=True)
    return advice(line, data, several=f"name two of them with {setting('columns')}")


def _of_lines(lines: Iterable[Line], data: DataConfig, unfit: Unfit) -> Iterator[Example]:
    for line in lines:
        if not line.text:
            continue
        try:
            if not line.decoded:
                raise UnfitError("")
            yield Example(*parse(line.text, data.level), [line])
        except UnfitError as problem:
            unfit(line.name, line.number, str(problem))


def parse(line: str, level: str) -> tuple[Sequence[str], Sequence[str]]:
    """Return the symbols and the labels of a line of input and output.

    Raises
    ------
    UnfitError
        If there are not as many of each.
    """
    source, tab, target = line.partition("\t")
    if not tab:
        raise UnfitError("has no tab between an input and an output")
    if "\t" in target:
        raise UnfitError("has several tabs, but an input and its output have one between them")
    symbols, labels = split(source, level), split(target, level)
    if len(symbols) != len(labels):
        raise UnfitError(f"has {count(len(symbols), 'symbol')}, but {count(len(labels), 'label')}")
    if level == "word":
        if "" in symbols:
            raise UnfitError("has an empty symbol: one space separates two")
        labels = [checked(label) for label in labels]
    return symbols, labels


def recognised(lines: Iterator[Line], data: DataConfig) -> tuple[str, Iterator[Line]]:
    """Return the format of lines, and all the lines.

    It is the one given, or columns if ``columns`` is given. Otherwise blank lines between others
    make them columns.

    Raises
    ------
    CorpusError
        If the lines can be read in both formats.
    """
    if data.format or data.columns:
        return data.format or "columns", lines
    held: list[Line] = []
    rows = between = fitting = long = 0
    ended = False
    for line in lines:
        held.append(line)
        if is_blank(line.text):
            ended = rows > 0
        elif not line.text.startswith("#") or "\t" in line.text:
            rows += 1
            between, ended = between + ended, False
            symbols = _symbols(line.text, data.level)
            fitting, long = fitting + (symbols > 0), max(long, symbols)
        if len(held) == LOOKED_AT:
            break
    format = _format(rows, fitting, long, between > 0, ended, data.errors == "skip")
    if format is None:
        name = held[0].name
        raise CorpusError(
            f"{name} may be columns, or lines of an input and an output",
            f"set {setting('format')} to columns or lines",
        )
    return format, chain(held, lines)


def _symbols(line: str, level: str) -> int:
    """Return the number of symbols of a line of input and output; 0 if it is not one."""
    try:
        return len(parse(line, level)[0])
    except UnfitError:
        return 0


def _format(
    rows: int, fitting: int, long: int, between: bool, ended: bool, skip: bool
) -> str | None:
    """Return what rows are of which some are ``fitting`` as lines; None if it is not clear.

    ``long`` is the most symbols of a fitting one; ``between`` says whether there are blank lines
    between rows, and ``ended`` whether there is one after the last.
    """
    as_lines = 2 * fitting >= rows if skip else fitting == rows
    if between:
        return None if as_lines and long > 1 else "columns"
    if ended:
        return "lines" if as_lines and long > 1 else "columns"
    if as_lines and long == 1:
        return None
    return "lines" if fitting else "columns"
