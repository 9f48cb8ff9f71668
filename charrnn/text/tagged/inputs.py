"""Sequences without labels, as they come: columns or lines of a file, or of standard input."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from charrnn.display import count
from charrnn.errors import CorpusError
from charrnn.text.labelled.rows import How
from charrnn.text.labelled.texts import texts
from charrnn.text.source import shown
from charrnn.text.tagged.rows import Columns, is_blank


@dataclass
class Input:
    """A sequence and the lines that it came from.

    Attributes
    ----------
    tokens
        What is to be labelled.
    lines
        The lines; of columns each token's own, and those that are passed over.
    at
        For each line the number of its token; None for a line without one.
    """

    tokens: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    at: list[int | None] = field(default_factory=list)

    def add(self, line: str, token: str | None) -> None:
        """Add a line of columns."""
        self.lines.append(line)
        self.at.append(None if token is None else len(self.tokens))
        if token is not None:
            self.tokens.append(token)


def of_lines(name: str, how: How, *, characters: bool) -> Iterator[list[Input]]:
    """Yield the sequences of lines, those that are complete with each chunk.

    A token is each character, or what is between spaces. Errors are those of
    :func:`~charrnn.text.labelled.texts.texts`.
    """
    for lines in texts(name, how):
        yield [
            Input(list(line) if characters else [t for t in line.split(" ") if t], [line])
            for line in lines
        ]


def of_columns(
    name: str, how: How, columns: str | None, *, single: bool, stdin: BinaryIO | None = None
) -> Iterator[list[Input]]:
    """Yield the sequences of columns, those that are complete with each chunk of a file.

    Parameters
    ----------
    columns
        Which of them holds the tokens: the first number.
    single
        Whether each token must be a single character.

    Raises
    ------
    CorpusError
        If a line has no token, and as :func:`~charrnn.text.labelled.texts.texts` does.
    """
    chosen, number, open_ = Columns(columns), 0, Input()
    for lines in texts(name, how, stdin=stdin):
        complete = []
        for line in lines:
            number += 1
            if is_blank(line):
                open_.add(line, None)
                complete.append(open_)
                open_ = Input()
            elif chosen.is_passed_over(line, labelled=False):
                open_.add(line, None)
            else:
                fields = line.split("\t")
                open_.add(line, _token(fields, chosen, single, f"{shown(name)} line {number}"))
        yield complete
    if open_.lines:
        yield [open_]


def _token(fields: Sequence[str], columns: Columns, single: bool, where: str) -> str:
    """Return the token of a line; a line of a single column is one."""
    column = columns.token if len(fields) > 1 else 0
    if column >= len(fields) or not fields[column]:
        raise CorpusError(f"{where} has nothing in column {column + 1}", "mend that line")
    if single and len(fields[column]) > 1:
        raise CorpusError(
            f"{where} has {count(len(fields[column]), 'symbol')}, but the run labels one a line",
            "give each symbol a line, or train on tokens of several",
        )
    return fields[column]
