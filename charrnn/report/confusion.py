"""The confusion matrix of a classifier or tagger, drawn and as a table of HTML."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from textwrap import fill
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.display import label
from charrnn.report.diagnose.plot import STYLE, save_figure

MOST = 40
"""The most labels that a matrix shows."""
OTHERS = "all others"
SHORT = 3
"""The most characters of labels that stand upright above their columns."""
CHARACTER = 0.078
"""Inches of a drawing for a character of its title."""
RIGHT, WRONG = "var(--c2)", "var(--c1)"
"""Colours of the page's style sheet."""


class Matrix(NamedTuple):
    """The labels, and how many texts or symbols of each (row) were given each (column).

    Of more than :data:`MOST` labels these are the most frequent ones, followed by all others
    together.
    """

    names: list[str]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, confusion: NDArray[np.int64], names: Sequence[str]) -> Matrix:
        """Return what is shown of a confusion matrix (labels, labels)."""
        shown = [label(name) for name in names]
        if len(shown) <= MOST:
            return cls(shown, confusion)
        frequent = np.sort(np.argsort(-confusion.sum(axis=1), kind="stable")[:MOST])
        place = np.full(len(shown), MOST)
        place[frequent] = np.arange(MOST)
        counts = np.zeros((MOST + 1, MOST + 1), np.int64)
        np.add.at(counts, (place[:, None], place[None]), confusion)
        return cls([*(shown[i] for i in frequent), OTHERS], counts)

    @property
    def shares(self) -> NDArray[np.float64]:
        """The counts as shares of all that have each label; 0 if there are none."""
        shares: NDArray[np.float64] = self.counts / np.maximum(1, self.counts.sum(axis=1))[:, None]
        return shares


def draw(matrix: Matrix, title: str, path: Path) -> str:
    """Draw a confusion matrix into a .png, .svg or .pdf file; matplotlib must be installed.

    Return the characters that the font lacks.

    Raises
    ------
    CharRNNError
        If the file cannot be written.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    style = {**STYLE, "axes.grid": False, "axes.spines.top": True, "axes.spines.right": True}
    count, shares = len(matrix.names), matrix.shares
    size = max(3.2, 1.4 + 0.32 * count)
    with matplotlib.rc_context(style):
        width = size + 0.6
        figure = Figure(figsize=(width, size), layout="constrained")
        FigureCanvasAgg(figure)
        axis = figure.subplots()
        told = fill(title, int(width / CHARACTER)).replace("$", r"\$")
        figure.suptitle(told, x=0.01, ha="left", size=STYLE["axes.titlesize"], weight="bold")
        axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        labels = [name.replace("$", r"\$") for name in matrix.names]
        axis.set_xticks(range(count), labels)
        for name, tick in zip(matrix.names, axis.get_xticklabels(), strict=True):
            tick.set_rotation(0 if len(name) <= SHORT else 90)
        axis.set_yticks(range(count), labels)
        axis.set_xlabel("label given")
        axis.set_ylabel("right label")
        for right, given in np.argwhere(matrix.counts).tolist():
            colour = "white" if shares[right, given] > 0.5 else "0.25"
            shown = f"{matrix.counts[right, given]:,}"
            axis.text(given, right, shown, ha="center", va="center", fontsize=6, color=colour)
        return save_figure(figure, path, 150)


def table(matrix: Matrix) -> str:
    """Return a confusion matrix as a table of HTML, with each cell shaded by its share of the row.

    Right labels are of another colour than wrong ones.
    """
    head = "".join(map(_head, matrix.names))
    rows = ""
    for right, name in enumerate(matrix.names):
        cells = "".join(_cell(matrix, right, given) for given in range(len(matrix.names)))
        rows += f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>'
    return (
        "<p>A row for each right label, a column for each label given.</p>"
        '<div class="scroll" tabindex="0" role="region" aria-label="Confusion matrix">'
        f'<table class="matrix"><thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody>'
        "</table></div>"
    )


def _head(name: str) -> str:
    """Return the head of a column; a long label is turned."""
    if len(name) <= SHORT:
        return f'<th scope="col" class="short">{escape(name)}</th>'
    return f'<th scope="col"><span>{escape(name)}</span></th>'


def _cell(matrix: Matrix, right: int, given: int) -> str:
    """Return one cell; a count of 0 is left empty."""
    count = int(matrix.counts[right, given])
    if not count:
        return "<td></td>"
    share, colour = 65 * matrix.shares[right, given], RIGHT if right == given else WRONG
    said = f"{matrix.names[right]}, given {matrix.names[given]}: {count:,}"
    return (
        f'<td style="background:color-mix(in srgb, {colour} {share:.0f}%, transparent)" '
        f'title="{escape(said)}">{count:,}</td>'
    )
