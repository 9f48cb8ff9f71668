"""The web page that ``charrnn export --to html`` writes, and what it says of its model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from charrnn.cli.parsing.shared import note
from charrnn.cli.process.output import write_json, write_text
from charrnn.display import count, one_line, size, unit

if TYPE_CHECKING:
    from charrnn.exchange.page.words import About, Losses
    from charrnn.exchange.portable import Portable
    from charrnn.storage.checkpoint import Checkpoint

MEASURED = 100_000
"""The most symbols of the validation text that the rounding is measured on."""
LARGE = 20_000_000
"""Bytes of a page that opens slowly, and that few mail servers take."""


def write_page(
    loaded: Checkpoint, portable: Portable, out: Path, bits: int | None, as_json: bool
) -> None:
    """Write the page, and print its size and what its rounded weights cost."""
    from charrnn.exchange.export import PAGE, export
    from charrnn.exchange.rounding import DEFAULT_BITS

    bits = bits or DEFAULT_BITS
    about = about_model(loaded, portable, bits)
    losses = about.losses
    line = export(portable, PAGE, out, bits, about)
    length = out.stat().st_size
    if losses is None:
        path = one_line(loaded.path)
        note(f"what the rounding costs is not measured: {path} has no validation text")
    if length > LARGE:
        less = "; --bits 8 halves it" if bits > DEFAULT_BITS else ""
        note(f"a page of {size(length)} opens slowly, and is too large for most mail{less}")
    if as_json:
        found = {"file": str(out), "to": PAGE, "bytes": length, "bits": bits}
        symbols, exact, rounded = losses or (None, None, None)
        nats = {"nats_per_char": exact, "rounded_nats_per_char": rounded}
        write_json({**found, "chars": symbols, **nats})
        return
    if losses is not None:
        one = unit(loaded.vocabulary.level)
        line += (
            f"loss: {losses.exact:.4f} nats per {one} with exact weights, {losses.rounded:.4f} "
            f"with these, on {count(losses.symbols, one)} of the validation text\n"
        )
    write_text(line)


def about_model(loaded: Checkpoint, portable: Portable, bits: int) -> About:
    """Return what the page says of a model: its run, its texts, its day and its losses."""
    from datetime import UTC, datetime

    from charrnn import own
    from charrnn.exchange.page.words import About

    assert loaded.path is not None
    folder = loaded.path.resolve().parent
    of_run = own.is_metrics(folder / own.METRICS)
    names = loaded.data.sources if loaded.data is not None else ()
    return About(
        folder.name if of_run else loaded.path.stem,
        tuple("standard input" if name == "-" else Path(name).name for name in names),
        datetime.fromtimestamp(loaded.path.stat().st_mtime, UTC).date(),
        losses_of(loaded, portable, bits),
    )


def losses_of(loaded: Checkpoint, portable: Portable, bits: int) -> Losses | None:
    """Return the loss with exact and with rounded weights on the validation text of the run.

    None if the run has none.
    """
    from charrnn.evaluate import ExampleValidation, Validation
    from charrnn.exchange.page.words import Losses
    from charrnn.exchange.rounding import rounded
    from charrnn.storage import heldout
    from charrnn.text.layout import Layout

    path, V = loaded.path, len(loaded.vocabulary)
    if path is None or not (path.parent / "val.npy").is_file():
        return None
    models = (portable.model, rounded(portable.model, bits))
    measures: list[Validation] | list[ExampleValidation]
    if loaded.data is not None and loaded.data.examples:
        start = Layout.of(loaded.data).start(loaded.vocabulary)
        units = heldout.read_examples(path, "val", start, V)
        measures = [ExampleValidation(model, units, MEASURED) for model in models]
    else:
        ids = heldout.read(path, "val", V)
        if len(ids) < 2:
            return None
        measures = [Validation(model, ids, limit=MEASURED) for model in models]
    exact, changed = (each.loss() for each in measures)
    assert exact is not None
    assert changed is not None
    return Losses(measures[0].chars, exact, changed)
