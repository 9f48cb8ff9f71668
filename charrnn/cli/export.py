"""``charrnn export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from charrnn.cli._board import BOARD, write_metrics
from charrnn.cli._page import write_page
from charrnn.cli.parsing.shared import OUTPUT, Json, Run, note
from charrnn.cli.process.output import write_json, write_text
from charrnn.errors import UsageError
from charrnn.options import choose_one_of

EXPORT = "Export"
"""Group of options."""
FORMATS = ("torch", "onnx", "keras", "html", "tensorboard")


def export(
    run: Run = None,
    to: Annotated[
        str,
        typer.Option(
            metavar="LIBRARY",
            help="What the file is for: torch (PyTorch: a state dict in a safetensors file), "
            "onnx (a graph), keras (a model of Keras 3), html (a web page that writes) or "
            "tensorboard (the metrics of a run). onnx and keras need charrnn[exchange].",
            autocompletion=lambda: list(FORMATS),
            show_default=False,
            rich_help_panel=EXPORT,
        ),
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The file to write, for tensorboard a folder; an earlier file is replaced.",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    bits: Annotated[
        int | None,
        typer.Option(
            metavar="8|16",
            help="Of a page, the bits of a weight. [default: 8]",
            show_default=False,
            rich_help_panel=EXPORT,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a language model for another library or as a web page, or metrics for TensorBoard.

    For a library, the code that opens the file there is printed.

    The model is that of a run's best checkpoint or of a checkpoint file. The file also holds its
    vocabulary and configuration.

    torch.nn.GRU resets after the recurrent product. For a GRU that resets before it, the printed
    code has a module of its own.

    The graph for ONNX is in float32. It reads ids in int64 (steps, batch), then the state of each
    layer (1, batch, hidden), and returns logits (steps, batch, vocabulary), then the new states in
    the same order.

    The model for Keras reads ids (batch, steps), and gives logits (batch, steps, vocabulary).

    The page is one file that works without a network: it reads what is typed and writes on. Its
    weights are rounded; what that costs is measured on the first 100,000 symbols of the run's
    validation text, and printed.

    For TensorBoard the numbers of a run's metrics are written, of any task; it shows all files in a
    folder and in folders below it side by side.

    With --json one object: "file", "to", "bytes", "code" (not for a page or TensorBoard), and for a
    page "bits", "chars", "nats_per_char" and "rounded_nats_per_char".
    """
    if not to:
        raise UsageError("--to is missing", choose_one_of(FORMATS))
    if to not in FORMATS:
        raise UsageError(f"unknown library --to {to!r}", choose_one_of(FORMATS))
    if out is None:
        raise UsageError("--out is missing", "name the file to write")
    from charrnn.exchange.export import PAGE, check
    from charrnn.exchange.export import export as write
    from charrnn.exchange.portable import Portable
    from charrnn.storage import checkpoint, runs

    if to == BOARD:
        write_metrics(runs.resolve(run), out, bits, as_json)
        return
    check(out, to, bits)
    loaded = checkpoint.load(runs.resolve(run))
    model = loaded.language_model(remedy="export writes language models")
    if model.counted:
        note("the counted n-grams are left out: the file has the network alone")
    portable = Portable.of(model, loaded.vocabulary, loaded.data)
    if to == PAGE:
        write_page(loaded, portable, out, bits, as_json)
        return
    code = write(portable, to, out)
    if as_json:
        write_json({"file": str(out), "to": to, "bytes": out.stat().st_size, "code": code})
    else:
        write_text(code)
