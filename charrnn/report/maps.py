"""What a transducer attends to, drawn: one map for each source."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from charrnn.display import printable
from charrnn.report.attention import END
from charrnn.report.diagnose.plot import STYLE, save_figure

_COLUMNS = 3


class Map(NamedTuple):
    """The symbols of a source and of its target, and α (target with its end, source with its end).

    An empty symbol of the target is its end.
    """

    source: Sequence[str]
    target: Sequence[str]
    attention: NDArray[Any]


def draw(maps: Sequence[Map], path: Path) -> str:
    """Draw maps, at least one, into a .png, .svg or .pdf file.

    Return the characters that the font lacks.

    Raises
    ------
    CharRNNError
        If the file cannot be written.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(_COLUMNS, len(maps))
    rows = ceil(len(maps) / columns)
    style = {**STYLE, "axes.grid": False, "axes.spines.top": True, "axes.spines.right": True}
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(3.2 * columns, 2.6 * rows), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for axis, each in zip(axes, maps, strict=False):
            _map(axis, each)
        for axis in axes[len(maps) :]:
            axis.set_axis_off()
        return save_figure(figure, path, 150)


def _map(axis: Any, each: Map) -> None:
    """Draw one map: a row for each symbol of the target, a column for each of the source."""
    axis.imshow(each.attention, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for symbols, ticks, labels in (
        ([*each.source, ""], axis.set_xticks, axis.set_xticklabels),
        (each.target, axis.set_yticks, axis.set_yticklabels),
    ):
        ticks(range(len(symbols)))
        labels([_label(symbol) for symbol in symbols], fontsize=max(3, 7 - len(symbols) // 20))


def _label(symbol: str) -> str:
    """Return a symbol as a label; a dollar sign would begin a formula."""
    return printable(symbol).replace("$", r"\$").replace(" ", "·") or END
