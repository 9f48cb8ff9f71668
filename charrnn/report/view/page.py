"""A text as a model reads it, as one page that asks for nothing from outside.

The page holds a record: the symbols, their surprisal in bits, the alternatives with their
probabilities, how much each earlier symbol mattered, and the values of units. Influence is kept in
8 bits as a share of the largest of its position, values of units in 8 bits between their lowest and
their highest value, both in base64.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from math import isfinite
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn import __version__
from charrnn.display import count, printable, unit
from charrnn.exchange.page.contents import as_script
from charrnn.exchange.page.document import policy
from charrnn.own import PAGE_MARK
from charrnn.report.diagnose.document import write_document
from charrnn.text.vocabulary import Vocabulary
from charrnn.view.meanings import Meaning, Meanings
from charrnn.view.passage import Passage
from charrnn.view.predictions import Predictions
from charrnn.view.values import Unit

LIMIT, SYMBOLS = 2_000_000, 5_000
"""Bytes of a page of so many symbols; longer texts may take more in proportion."""


class Asked(NamedTuple):
    """A unit or gate that was asked for: its values, (L,), and the ends of their scale."""

    unit: Unit
    values: NDArray[np.float64]
    low: float
    high: float


@dataclass(frozen=True)
class Viewed:
    """What a page shows of a passage of L symbols.

    ``influence`` is (L, K), of :func:`charrnn.view.influence.influence`, and ``states`` (L, U) with
    a column for each of ``units``. ``meanings`` are None where the text is too short to seek them.
    The page opens in the colours of ``asked``.
    """

    name: str
    vocabulary: Vocabulary
    passage: Passage
    predictions: Predictions
    influence: NDArray[np.float64]
    units: Sequence[Unit]
    states: NDArray[np.floating[Any]]
    meanings: Meanings | None
    asked: Asked | None = None


def write_page(viewed: Viewed, path: Path) -> None:
    """Write the page.

    Raises
    ------
    CharRNNError
        If the file cannot be written.
    """
    write_document(path, page(viewed))


def page(viewed: Viewed) -> str:
    """Return the page, with as many units as there is room for, those that mean something first."""
    limit = LIMIT * max(1.0, len(viewed.passage) / SYMBOLS)
    facts = record(viewed)
    spare = limit - len(_filled(viewed, facts, len(viewed.units)).encode("utf-8", "replace"))
    for fields in _units(viewed):
        spare -= len(as_script(fields)) + 1
        if spare < 0:
            break
        facts["units"].append(fields)
    return _filled(viewed, facts, len(facts["units"]))


def record(viewed: Viewed) -> dict[str, Any]:
    """Return the record, without units.

    ``symbols`` are those that occur, to which all ids refer; ``chances`` are rounded to four
    digits after the point, ``bits`` to three. ``others`` and ``chances`` follow one another,
    ``alternatives`` for each symbol. ``peaks`` are the largest influence at each position.
    """
    vocabulary, found = viewed.vocabulary, viewed.predictions
    used, places = np.unique(
        np.concatenate((viewed.passage.ids.astype(np.int64), found.others.ravel())),
        return_inverse=True,
    )
    length = len(viewed.passage)
    finite = np.where(np.isfinite(viewed.influence), viewed.influence, 0.0)
    peaks = finite.max(axis=1, initial=0.0)
    unknown = vocabulary.unknown
    return {
        "level": vocabulary.level,
        "symbols": [vocabulary.symbols[i] for i in used.tolist()],
        "unknown": used.tolist().index(unknown) if unknown in used.tolist() else None,
        "ids": places[:length].tolist(),
        "begins": list(viewed.passage.begins),
        "bits": [round(bits, 3) if isfinite(bits) else None for bits in found.bits.tolist()],
        "alternatives": found.others.shape[1],
        "others": places[length:].tolist(),
        "chances": np.nan_to_num(found.chances).round(4).ravel().tolist(),
        "reach": finite.shape[1],
        "influence": _eight_bits(finite, 0.0, peaks[:, None]),
        "peaks": [f"{peak:.3g}" for peak in peaks.tolist()],
        "units": [],
        "asked": str(viewed.asked.unit) if viewed.asked else None,
    }


def _units(viewed: Viewed) -> list[dict[str, Any]]:
    """Return the fields of all units: the one that was asked for, then those that mean something.

    Then come those that vary most. Scales of states are symmetric, so that zero has no colour.
    """
    said: dict[str, list[Meaning]] = {}
    for one in viewed.meanings.found if viewed.meanings else ():
        said.setdefault(str(one.unit), []).append(one)
    names = [str(each) for each in viewed.units]
    spread = np.nan_to_num(viewed.states.astype(np.float64)).std(axis=0)
    rest = [k for k in np.argsort(-spread, kind="stable").tolist() if names[k] not in said]
    found, asked = [], viewed.asked
    if asked is not None:
        name = str(asked.unit)
        found.append(_fields(name, asked.values, asked.low, asked.high, said.get(name, ())))
    for column in [*(names.index(name) for name in said), *rest]:
        if asked is not None and names[column] == str(asked.unit):
            continue
        values = np.nan_to_num(viewed.states[:, column].astype(np.float64))
        most = float(np.abs(values).max(initial=0.0)) or 1.0
        found.append(_fields(names[column], values, -most, most, said.get(names[column], ())))
    return found


def _fields(
    name: str, values: Any, low: float, high: float, said: Sequence[Meaning]
) -> dict[str, Any]:
    """Return the fields of a unit, and of what it was found to mean."""
    fields = {"name": name, "low": low, "high": high}
    fields["values"] = _eight_bits(np.nan_to_num(values), low, high)
    if said:
        fields["meaning"] = ", ".join(
            f"{one.name} ({'high' if one.sign > 0 else 'low'})" for one in said
        )
        fields["area"] = f"{said[0].area:.3f}"
    return fields


def _eight_bits(values: Any, low: Any, high: Any) -> str:
    """Return values between ``low`` and ``high`` as bytes from 0 to 255, in base64."""
    span = np.maximum(np.asarray(high) - low, np.finfo(np.float64).tiny)
    return b64encode(np.rint(255 * ((values - low) / span)).astype(np.uint8).tobytes()).decode()


def _filled(viewed: Viewed, facts: dict[str, Any], units: int) -> str:
    """Return the page of a record."""
    part, base = files("charrnn.report.view"), files("charrnn.exchange.page")
    style = "\n".join(
        each.joinpath("page.css").read_text(encoding="utf-8") for each in (base, part)
    )
    sources = (base.joinpath("text.js"), part.joinpath("page.js"))
    script = "\n".join(source.read_text(encoding="utf-8") for source in sources)
    frame = Template(part.joinpath("page.html").read_text(encoding="utf-8"))
    return frame.substitute(
        mark=PAGE_MARK,
        policy=policy(style, script),
        title=escape(printable(viewed.name)),
        lead=escape(_lead(viewed)),
        units=escape(_about_units(viewed, units)),
        footing=escape(
            f"What mattered: the norm of the gradient of the logit ln(p / (1 - p)) of the symbol "
            f"that came, with respect to what the model read up to {viewed.influence.shape[1]} "
            "symbols before, by exact backpropagation; a large one means that a small change there "
            "would have changed the probability much."
        ),
        version=__version__,
        style=style,
        script=script,
        record=as_script(facts),
    )


def _lead(viewed: Viewed) -> str:
    bits = viewed.predictions.bits
    scored = bits[np.isfinite(bits)]
    one = unit(viewed.vocabulary.level)
    mean = f", {scored.mean():.2f} bits each" if len(scored) else ""
    return f"{count(len(viewed.passage), one).capitalize()}{mean}."


def _about_units(viewed: Viewed, units: int) -> str:
    """Return what was sought among the units, and how many are left out."""
    asked, names = viewed.asked, [str(each) for each in viewed.units]
    added = asked is not None and str(asked.unit) not in names  # a gate
    left = len(viewed.units) + added - units
    said = "Press one to colour the text by its values: blue is negative, orange is positive. "
    if asked is not None:
        said += f"The first is {asked.unit}, which was asked for. "
    if viewed.meanings is None:
        said += "The text is too short to tell what they mean."
    elif viewed.meanings.found:
        said += (
            f"{'Then' if asked else 'First'} come those that tell a property of the text, with the "
            f"area under the ROC curve on {count(viewed.meanings.half, 'symbol')} that they were "
            "not chosen on."
        )
    else:
        said += "None tells a property of the text better than units of untrained networks do."
    return said + (
        f" {left:,} that vary least are left out, for the size of the page." * (left > 0)
    )
