"""What ``charrnn eval`` draws: the confusion of labels, or what a transducer attends to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from charrnn.cli.parsing.pictures import DRAWINGS, PAGES, check_picture, note_lacking
from charrnn.cli.parsing.shared import OUTPUT
from charrnn.display import one_line

if TYPE_CHECKING:
    from charrnn.evaluate.labels import LabelScores

MOST_MAPS = 12
"""The most maps of attention that are drawn."""
OPTIONS = ("plot", "html")

Plot = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Draw which labels a classifier or tagger confuses, or what a transducer attends to, "
        ".png, .svg or .pdf; needs charrnn[plot].",
        rich_help_panel=OUTPUT,
    ),
]
Html = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Write the scores of a classifier, tagger or transducer, with the same pictures, as "
        "one page that needs no network.",
        rich_help_panel=OUTPUT,
    ),
]


class Pictures(NamedTuple):
    """The files of a drawing and of a page; None: not wanted."""

    plot: Path | None
    html: Path | None

    @property
    def wanted(self) -> bool:
        """Whether one of them is."""
        return self.plot is not None or self.html is not None

    def check(self) -> None:
        """Raise if they cannot be written.

        Raises
        ------
        UsageError
            If a file has another suffix.
        CharRNNError
            If it cannot be written, or matplotlib is not installed.
        """
        check_picture(self.html, PAGES)
        check_picture(self.plot, DRAWINGS)

    def of_labels(
        self, scores: LabelScores, names: Sequence[str], scored: str, page: Callable[[], str]
    ) -> None:
        """Draw which labels are confused, and write a page, if they are wanted.

        ``names`` are those of the labels, ``scored`` says what was scored. Raises
        :class:`~charrnn.errors.CharRNNError` if a file cannot be written.
        """
        if self.plot is not None:
            from charrnn.report.confusion import Matrix, draw

            title = f"{scored}: accuracy {scores.accuracy:.3f}"
            lacking = draw(Matrix.of(scores.confusion, names), title, self.plot)
            note_lacking(self.plot, lacking)
        if self.html is not None:
            from charrnn.report.diagnose.document import write_document

            write_document(self.html, page())


def source_name(names: list[str], split: str | None) -> str:
    """Return what was scored, for people."""
    if split is not None:
        return f"the run's own ({split})"
    return one_line(", ".join(names[:3]) + (", …" if len(names) > 3 else ""))
