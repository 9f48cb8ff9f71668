"""``charrnn info`` and ``charrnn runs``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from charrnn.cli._output import json_line
from charrnn.cli._shared import Json, Run
from charrnn.display import count, one_line
from charrnn.errors import UsageError

Devices = Annotated[
    bool, typer.Option("--devices", help="Show instead what this machine can compute with.")
]


def info(run: Run = None, devices: Devices = False, as_json: Json = False) -> None:
    """Show what a run's best checkpoint holds, or what this machine can compute with."""
    if devices:
        _devices(run, as_json)
        return
    from charrnn.storage import checkpoint, runs

    facts = _facts(checkpoint.load(runs.resolve(run)))
    if as_json:
        sys.stdout.buffer.write(json_line(facts))
        return
    facts["vocabulary"] = _symbols(facts["vocabulary"])
    facts["parameters"] = f"{facts['parameters']:,}"
    from charrnn.report.tables import listed

    _write(listed([(name, _plain(value)) for name, value in facts.items()]))


def _devices(run: str | None, as_json: bool) -> None:
    """Show what NumPy and CuPy find here, and which of them ``--backend auto`` chooses."""
    if run is not None:
        raise UsageError("--devices is about the machine, not about a run", "give one of them")
    from charrnn.backend.describe import describe
    from charrnn.report.devices import devices_text

    facts = describe()
    if as_json:
        sys.stdout.buffer.write(json_line(facts))
    else:
        _write(devices_text(facts))


def runs(as_json: Json = False) -> None:
    """List the runs under checkpoints/, oldest first."""
    from charrnn.errors import CharRNNError
    from charrnn.storage import checkpoint
    from charrnn.storage import runs as folders

    rows: list[dict[str, Any]] = []
    for folder in folders.folders():
        row: dict[str, Any] = {"run": folder.name}
        try:
            facts = _facts(checkpoint.load(folders.resolve(str(folder), "last")))
        except CharRNNError as problem:
            rows.append(row | {"error": str(problem)})
            continue
        kept = ("cell", "layers", "hidden", "parameters", "step", "val_loss", "best_val_loss")
        rows.append(row | {key: facts[key] for key in kept} | {"seconds": facts["seconds"]})
    if as_json:
        sys.stdout.buffer.write(b"".join(map(json_line, rows)))
    elif rows:
        from charrnn.report.tables import runs_table

        _write(runs_table(rows))
    else:
        print(f"no runs under {folders.HOME}/", file=sys.stderr)


def _facts(loaded: Any) -> dict[str, Any]:
    """Return the facts about a checkpoint in the order in which they are shown."""
    config, progress = loaded.config, loaded.progress
    return {
        "path": str(Path(loaded.path)),
        "cell": config.cell,
        "layers": config.layers,
        "hidden": config.hidden,
        "embed": config.embed,
        "activation": config.get("activation"),
        "gru_reset": config.get("gru_reset"),
        "dropout": config.dropout,
        "level": loaded.vocabulary.level,
        "vocabulary": list(loaded.vocabulary.symbols),
        "parameters": loaded.parameters,
        "step": progress.step,
        "epoch": progress.epoch,
        "seconds": round(progress.seconds, 3),
        "val_loss": progress.val_loss,
        "best_val_loss": progress.kept_val_loss,
        "dtype": config.dtype,
        "corpus": list(loaded.data.sources) if loaded.data else [],
        "corpus_sha256": loaded.corpus_sha256,
        "version": loaded.version,
    }


def _symbols(symbols: list[str | int], most: int = 100) -> str:
    """Return the vocabulary on one line, with everything unprintable escaped."""
    if symbols and isinstance(symbols[0], int):
        return count(len(symbols), "byte")
    shown = " ".join(one_line(s) for s in symbols[:most])
    return f"{len(symbols)}: {shown}{' …' if len(symbols) > most else ''}"


def _plain(value: Any) -> str:
    if value is None or value == []:
        return "–"
    return ", ".join(map(ascii, value)) if isinstance(value, list) else one_line(value)


def _write(text: str) -> None:
    sys.stdout.buffer.write(text.encode("utf-8", "replace"))
