"""``charrnn view``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.cli._viewed import write_page
from charrnn.cli.parsing.command import Fields, given, takes
from charrnn.cli.parsing.given import (
    note_unknown,
    refuse,
    refuse_decoding,
    refuse_file,
    refuse_on_gpu,
    refuse_words,
)
from charrnn.cli.parsing.shared import (
    OUTPUT,
    OWN_READING,
    READING,
    Backend,
    Core,
    Run,
    Threads,
    Unknown,
    check_reading,
    note,
    open_backend,
    refuse_core,
)
from charrnn.cli.parsing.shared import reading as reading_of
from charrnn.cli.process.output import Output, json_line, utf8, write, write_text
from charrnn.cli.scoring.pictures import Pictures
from charrnn.cli.scoring.text import ScoredText
from charrnn.config import DataConfig
from charrnn.display import one_line, size, symbol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from charrnn.storage.checkpoint import Checkpoint
    from charrnn.text.vocabulary import Vocabulary
    from charrnn.view.meanings import Meanings
    from charrnn.view.passage import Passage

LENGTH, OF_PAGE, OF_UNITS = 2000, 5000, 20_000
"""Symbols that are shown by default, in a page, and on which the meaning of units is sought."""
VIEW = "View"
"""A group of options."""


@takes(Fields(DataConfig, READING, OWN_READING))
def view(
    context: typer.Context,
    run: Run = None,
    text: Annotated[
        str | None,
        typer.Argument(
            metavar="[TEXT|-]",
            help="A file, a directory, - for standard input, or a built-in corpus. "
            "[default: the run's validation text]",
            show_default=False,
        ),
    ] = None,
    length: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=2,
            help=f"View the first N symbols. [default: {LENGTH}; {OF_PAGE} with --html, "
            f"{OF_UNITS} with --units; with both, the page shows the first {OF_PAGE} of them]",
            show_default=False,
            rich_help_panel=VIEW,
        ),
    ] = None,
    unit: Annotated[
        str | None,
        typer.Option(
            metavar="LAYER:UNIT",
            help="Show the value of this unit, h, instead; LAYER:UNIT:NAME shows its other state "
            "(c) or a gate (i, f, g, o; r, z, n). Both numbers count from 0.",
            show_default=False,
            rich_help_panel=VIEW,
        ),
    ] = None,
    units: Annotated[
        bool,
        typer.Option(
            "--units",
            help="Find the units that mean something: whose values tell when the text is inside "
            "quotes or brackets, where in the line it is, and the like.",
            rich_help_panel=VIEW,
        ),
    ] = False,
    unknown: Unknown = None,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write one page that needs no network instead: what was expected at each symbol, "
            "what mattered for it, the values of units, and passages where they are high. With "
            "--unit it opens in the colours of that unit; with --units the table is printed, too.",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="One JSON object a symbol.", rich_help_panel=OUTPUT),
    ] = False,
    backend: Backend = "auto",
    core: Core = "auto",
    threads: Threads = None,
) -> None:
    """Show a text as a language model sees it: how surprising each symbol is.

    On a terminal the text is coloured by its surprisal, in bits: -log2 of the probability that the
    model gave to the symbol, as charrnn eval scores it. The first symbol has no context and is not
    scored. With --unit it is coloured by the value that a unit, or a gate of it, has after each
    symbol was read: blue is low, red is high.

    In a pipe, or with NO_COLOR set, each symbol is a line of columns with tabs between them:
    position (from 1), symbol (with Python's escapes), bits, and the likeliest other symbols, each
    with its probability. With --unit the third column is the value, and the last.

    With --units a table shows which units tell a property of the text on its second half, when
    chosen on its first: the area A under the ROC curve (of a number (1 + rank correlation) / 2),
    the best A of untrained networks, that of the symbol alone, and p for texts shifted in a circle,
    corrected for the pairs tried. Only units are shown that leave at most half of the error 1 - A
    of untrained networks: of an untrained model none.

    With --html a page shows the text in these colours, and for the symbol that is pointed at what
    was expected instead, and how much each of the 64 symbols before it mattered: the norm of the
    gradient of its logit, ln(p / (1 - p)), with respect to what the model read there. Units are
    sorted by what --units finds on this text. With --unit the page opens in the colours of that
    unit or gate.

    With --json an object for each symbol: "position", "symbol" (an integer at byte level), "bits"
    (or null) and "alternatives", a list of "symbol" and "p", the likeliest first. With --unit:
    "position", "symbol", "unit" and "value". With --units an object for each pair: "property",
    "numeric", "unit", "high" (false if its values are low where the property holds), "auc",
    "auc_chosen" (on the first half), "auc_untrained", "auc_symbol" and "p".
    """
    if run == "-" and text is None:
        run, text = None, "-"
    refuse_file(context, run, text, "to view it", ("lm",))
    refuse_words(context, text)
    reading = given(context, DataConfig)
    check_reading(reading)
    if text is None:
        names = (*READING, "unknown")
        refuse(context, names, "only applies to a text, not to the run's own")
    refuse_decoding(context, [] if text is None else [text])
    refuse_on_gpu(context)
    if html is not None:
        refuse(context, ("as_json",), "has no effect: --html writes a page")
        Pictures(None, html).check()
    elif units:
        refuse(context, ("unit",), "shows one unit, but --units looks at all")
    from charrnn.storage import checkpoint, runs

    loaded = checkpoint.load(runs.resolve(run))
    engine = open_backend(backend, threads, core=core)
    refuse_core(loaded.config.dtype, core)
    instead = "charrnn predict shows what it makes of a text"
    if loaded.config.task == "generate":
        instead = "charrnn eval scores its texts"
    model, vocabulary = loaded.language_model(engine, instead), loaded.vocabulary
    note_unknown(context, vocabulary)
    chosen = None
    if unit is not None:
        from charrnn.view.values import Unit

        chosen = Unit.read(unit, model)
    source = _source(loaded, text, reading, unknown)
    passage = _passage(source, length or (OF_UNITS if units else OF_PAGE if html else LENGTH))
    if told := source.skipped(as_json):
        note(told)
    if html is not None:
        shown, name = length or OF_PAGE, loaded.name
        found = write_page(
            model, vocabulary, passage, name, html, unit=chosen, shown=shown, sought=units
        )
        if units and found:
            _show_meanings(found, name, as_json=False)
        write_text(f"{one_line(html)}: {size(html.stat().st_size)}\n")
    elif units:
        from charrnn.cli.process.progress import progress
        from charrnn.view.meanings import find

        with progress("looking at all units") as show:
            found = find(model.alone(), vocabulary, passage, show)
        _show_meanings(found, loaded.name, as_json)
    elif chosen is None:
        _expected(model, vocabulary, passage, as_json)
    else:
        _values(model.alone(), vocabulary, passage, chosen, as_json)


def _source(
    loaded: Checkpoint, text: str | None, reading: dict[str, Any], unknown: str | None
) -> ScoredText:
    """Return the text: the one that was named, else the run's validation text."""
    assert loaded.path is not None
    options = {"unknown": unknown or "error", **reading_of(loaded, reading)}
    texts, split = ([], "val") if text is None else ([text], None)
    return ScoredText(texts, split, loaded.path, loaded.vocabulary, options)


def _passage(source: ScoredText, length: int) -> Passage:
    """Return the first symbols of a text, or of the examples that it consists of."""
    from charrnn.view.passage import Passage

    if source.examples is None:
        return Passage.of_text(source.chunks(), length, source.tally)

    def examples() -> Iterator[Any]:
        for line, ids in source.each():
            source.tally_of(line, ids)
            yield ids

    return Passage.of_examples(examples(), source.start, length)


def _expected(model: Any, vocabulary: Vocabulary, passage: Passage, as_json: bool) -> None:
    """Show how surprising each symbol is, and what was expected instead."""
    from charrnn.report.view.coloured import bits_legend, coloured_text, surprise
    from charrnn.report.view.rows import expected_records, expected_rows
    from charrnn.view.predictions import Predictions

    found, ids = Predictions.of(model, passage), passage.ids.tolist()
    if as_json:
        _write(map(json_line, expected_records(vocabulary, ids, found)))
    elif _in_colour():
        shades = map(surprise, found.bits.tolist())
        text = _symbols(vocabulary, ids)
        write(coloured_text(text, shades, "surprisal in bits", bits_legend()))
    else:
        _write(map(_line, expected_rows(vocabulary, ids, found)))


def _values(model: Any, vocabulary: Vocabulary, passage: Passage, unit: Any, as_json: bool) -> None:
    """Show the values of a unit."""
    from charrnn.report.view.coloured import between, coloured_text, scale_legend
    from charrnn.report.view.rows import value_records, value_rows
    from charrnn.view.values import ends, values

    found, ids = values(model, passage, unit), passage.ids.tolist()
    if as_json:
        _write(map(json_line, value_records(vocabulary, ids, unit, found)))
    elif _in_colour():
        low, high = ends(model, unit, found)
        shades = map(between(low, high), found.tolist())
        text, legend = _symbols(vocabulary, ids), scale_legend(low, high)
        write(coloured_text(text, shades, f"unit {unit}", legend))
    else:
        _write(map(_line, value_rows(vocabulary, ids, found)))


def _show_meanings(found: Meanings, run: str, as_json: bool) -> None:
    """Show which units mean something."""
    from charrnn.report.diagnose.terminal import render
    from charrnn.report.view.meanings import meaning_records, meanings_parts

    if as_json:
        _write(map(json_line, meaning_records(found)))
    else:
        write(render(meanings_parts(found, run)))


def _in_colour() -> bool:
    """Whether standard output shows colours."""
    from charrnn.report.diagnose.terminal import make_console

    console = make_console()
    return console.color_system is not None and not console.no_color


def _symbols(vocabulary: Vocabulary, ids: list[int]) -> list[str]:
    """Return the symbols as text; bytes beyond ASCII are escaped."""
    symbols = [
        (chr(item) if item < 128 else symbol(item)) if isinstance(item, int) else item
        for item in vocabulary.symbols
    ]
    return [symbols[i] for i in ids]


def _line(columns: tuple[str, ...]) -> bytes:
    return utf8("\t".join(columns) + "\n")


def _write(lines: Iterable[bytes]) -> None:
    """Write lines as they are made."""
    out = Output()
    for line in lines:
        out.write(line)
    out.finish()
