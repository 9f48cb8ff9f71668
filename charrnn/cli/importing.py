"""``charrnn import``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from charrnn.cli.parsing.shared import OUTPUT, Json
from charrnn.cli.process.output import write_json, write_text
from charrnn.display import count, one_line
from charrnn.errors import UsageError
from charrnn.options import MODEL


def import_model(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A safetensors file.", show_default=False)
    ],
    vocabulary: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The symbols in the order of their ids: a JSON list, a JSON object with the id of "
            "each, or a text of all characters. [default: those that the file lists, if it "
            "was exported by charrnn]",
            show_default=False,
            rich_help_panel=MODEL,
        ),
    ] = None,
    activation: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The nonlinearity of a torch.nn.RNN, tanh or relu, which its weights do not show. "
            "[default: tanh]",
            autocompletion=lambda: ["tanh", "relu"],
            show_default=False,
            rich_help_panel=MODEL,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Name of the run, under checkpoints/. [default: the name of the file]",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder of the run, instead of one under checkpoints/.",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a run of a language model of PyTorch, or of a file of charrnn export --to torch.

    The file holds a state dict with the parameters of a torch.nn.RNN, GRU or LSTM, of a Linear
    after it and perhaps of an Embedding before it, under any names. To write one:
    safetensors.torch.save_file(model.state_dict(), FILE). Without an Embedding the model reads
    one-hot vectors.

    The run can be sampled, evaluated, diagnosed and trained further (charrnn train --init-from).

    With --json one object: "run", "cell", "layers", "hidden", "embed", "vocabulary", "parameters".
    """
    from charrnn.exchange import foreign, symbols
    from charrnn.storage import checkpoint, runs

    with _naming():
        runs.check_free(name, out)
    given = None if vocabulary is None else symbols.read(vocabulary)
    found = foreign.read(file, given, {} if activation is None else {"activation": activation})
    with _naming():
        lock = runs.create(name, out, str(file))
    try:
        checkpoint.save(lock.folder / runs.BEST, found)
    finally:
        lock.release()
    config, V = found.config, len(found.vocabulary)
    if as_json:
        facts = {"cell": config.cell, "layers": config.layers, "hidden": config.hidden}
        sizes = {"embed": config.embed, "vocabulary": V, "parameters": found.parameters}
        write_json({"run": str(lock.folder), **facts, **sizes})
        return
    write_text(
        f"{one_line(lock.folder)}: {config.cell}, {count(config.layers, 'layer')} of "
        f"{config.hidden}, {count(V, 'symbol')}, {count(found.parameters, 'parameter')}\n"
    )


@contextmanager
def _naming() -> Iterator[None]:
    """Advise another name if that of the run is taken: nothing here continues a run."""
    try:
        yield
    except UsageError as problem:
        raise UsageError(problem.message, "choose another name") from None
