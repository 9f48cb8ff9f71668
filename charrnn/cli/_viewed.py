"""The page that ``charrnn view --html`` writes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from charrnn.cli.process.progress import progress

if TYPE_CHECKING:
    from charrnn.text.vocabulary import Vocabulary
    from charrnn.view.meanings import Meanings
    from charrnn.view.passage import Passage

ALTERNATIVES = 5
"""How many other symbols a page names at each place."""


def write_page(
    model: Any,
    vocabulary: Vocabulary,
    passage: Passage,
    run: str,
    path: Path,
    *,
    unit: Any,
    shown: int,
    sought: bool,
) -> Meanings | None:
    """Write the page, which opens in the colours of ``unit``; return what units mean.

    That is sought in the whole passage, which is read once; the page shows the first ``shown``
    symbols of it. If the passage is too short, that is an error if it is ``sought``, else None.
    """
    from charrnn.report.view.page import Asked, Viewed
    from charrnn.report.view.page import write_page as write
    from charrnn.view.influence import influence
    from charrnn.view.meanings import SHORTEST, find
    from charrnn.view.predictions import Predictions
    from charrnn.view.values import ends, every_state, values

    network = model.alone()
    with progress("looking at all units") as show:
        read = every_state(network, passage)
        meanings = None
        if sought or len(passage) >= SHORTEST:
            meanings = find(network, vocabulary, passage, show, read)
        show("what mattered")
        part = passage.part(0, min(shown, len(passage)))
        mattered = influence(network, part)
        expected = Predictions.of(model, part, ALTERNATIVES)
    asked = None
    if unit is not None:
        of_unit = values(network, part, unit)
        asked = Asked(unit, of_unit, *ends(network, unit, of_unit))
    units, states = read
    name = Path(run).name
    of_part = states[: len(part)]
    write(Viewed(name, vocabulary, part, expected, mattered, units, of_part, meanings, asked), path)
    return meanings
