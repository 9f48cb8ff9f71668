"""``charrnn info`` and ``charrnn runs``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.architecture import OF_TASKS
from charrnn.cli.parsing.shared import DEVICE, OUTPUT, Json, Run
from charrnn.cli.process.output import write_json, write_text
from charrnn.display import count, one_line, quoted
from charrnn.errors import UsageError, option
from charrnn.options import Option, declared
from charrnn.registry import CELLS

if TYPE_CHECKING:
    from charrnn.report.standing import Standing

MAX_FILES, NAMES = 100, 10
"""File names in JSON, and in a line of text."""
SHOWN = {
    *("task", "cell", "layers", "hidden", "embed", "dropout", "recurrent_dropout", "dtype"),
    *OF_TASKS,
}
"""Settings of the model with their own lines; the options of its cell have lines, too."""
ROWS = {
    "ranks": ("sync_every", "outer_lr", "outer_momentum"),
    "windows": ("seq_len", "batch", "state", "restart"),
    "clipping": ("clip_norm", "clip_value"),
    "stopping": ("steps", "epochs", "minutes", "patience", "max_rollbacks"),
    "reports": (
        *("log_every", "eval_every", "eval_chars"),
        *("save_every", "keep", "sample_every", "watch"),
    ),
}
"""Lines of training settings; all others are those of the optimizer and its schedule."""

Devices = Annotated[
    bool,
    typer.Option(
        "--devices",
        help="Show the compute devices of this machine instead.",
        rich_help_panel=DEVICE,
    ),
]


Config = Annotated[
    bool,
    typer.Option(
        "--config",
        help="Print the settings of the run as a file for charrnn train --config.",
        rich_help_panel=OUTPUT,
    ),
]


def info(
    run: Run = None, devices: Devices = False, config: Config = False, as_json: Json = False
) -> None:
    """Show a run's best checkpoint or a checkpoint file, or the compute devices of this machine.

    With --config, a TOML file is printed that repeats the run: charrnn train --config FILE trains
    the same model, bit for bit, unless its learning rate followed the clock, or the run was changed
    while it was resumed.

    The verdict says how the run is doing, as the end of training does, or how far it has come.

    With --json one object: the model, its progress, and every setting that it was trained with, by
    name. "verdict" is null without metrics, else an object: "code" (unstable, overfitting,
    cut-short, well, no-better than a guess, ended without a verdict, running, stopped) and
    "message". "corpus" lists at most 100 files; "sources_count" is their number.
    """
    if config and (devices or as_json):
        other = "--devices" if devices else "--json"
        raise UsageError(f"--config and {other} exclude each other", "give one of them")
    if devices:
        _devices(run, as_json)
        return
    from charrnn.storage import checkpoint, runs

    loaded = checkpoint.load(runs.resolve(run))
    if config:
        from charrnn.report.configuration import configuration

        write_text(configuration(loaded))
        return
    facts, settings = _facts(loaded), _settings(loaded)
    verdict = _standing(Path(facts["path"]).parent)
    if as_json:
        more = {"repeat": _repeated(loaded), "verdict": verdict and verdict.to_json()}
        write_json(facts | {k: v for k, v in settings.items() if k not in facts} | more)
        return
    missing = CELLS.defaults().keys() - loaded.config.cell_options.keys()
    missing |= {name for name, tasks in OF_TASKS.items() if loaded.config.task not in tasks}
    missing |= {name for name in ("grams", "labels", "started_from") if not facts[name]}
    for name in missing:
        del facts[name]
    for number, files in enumerate(facts.pop("files_of_ranks") or []):
        facts[f"rank {number}"] = _names(files, len(files))
    facts["vocabulary"] = _symbols(facts["vocabulary"])
    facts["parameters"] = f"{facts['parameters']:,}"
    if recurrent := facts.pop("recurrent_dropout"):
        facts["dropout"] = f"{facts['dropout']:g}, of recurrent weights {recurrent:g}"
    facts["corpus"] = _names(facts["corpus"], settings.get("sources_count", 0))
    from charrnn.report.tables import listed

    rows = [(name, _plain(value)) for name, value in facts.items()]
    if verdict:
        rows.insert(1, ("verdict", one_line(verdict.message)))
    command = [("repeat", again)] if (again := _repeated(loaded)) else []
    write_text(listed([*rows, *_as_options(loaded), *command]))


def _standing(folder: Path) -> Standing | None:
    """Return how the run in a folder is doing; None if its metrics are missing or damaged."""
    from charrnn.errors import CharRNNError
    from charrnn.report.standing import standing
    from charrnn.storage.lock import is_held
    from charrnn.storage.metrics import read_metrics

    try:
        return standing(str(folder), read_metrics(folder), is_held(folder))
    except CharRNNError:
        return None


def _repeated(loaded: Any) -> str | None:
    from charrnn.train.opening.commands import repeated

    return repeated(loaded)


def _devices(run: str | None, as_json: bool) -> None:
    """Show the devices of NumPy and CuPy, and which of them ``--backend auto`` chooses."""
    if run is not None:
        raise UsageError("--devices is about the machine, not about a run", "give one of them")
    from charrnn.backend.describe import describe
    from charrnn.report.devices import devices_text

    facts = describe()
    if as_json:
        write_json(facts)
    else:
        write_text(devices_text(facts))


def runs(
    sweep: Annotated[
        str | None,
        typer.Argument(
            metavar="[SWEEP]",
            help="The name or folder of a sweep: list its trials instead, the best one first.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="One JSON object per run or trial.", rich_help_panel=OUTPUT),
    ] = False,
) -> None:
    """List the runs under checkpoints/, oldest first, or the trials of a sweep.

    A sweep is listed as its best run. The verdict is that of charrnn info, in brief; with --json
    "verdict" is the same object as there.
    """
    if sweep is not None:
        _trials(sweep, as_json)
        return
    from charrnn.errors import CharRNNError
    from charrnn.storage import checkpoint
    from charrnn.storage import runs as folders

    rows: list[dict[str, Any]] = []
    verdicts: dict[str, str] = {}
    for folder in folders.folders():
        row: dict[str, Any] = {"run": folder.name}
        try:
            path = folders.resolve(str(folder), "last")
            facts = _facts(checkpoint.load(path))
        except CharRNNError as problem:
            rows.append(row | {"error": problem.line(option)})
            continue
        kept = (
            "task",
            "cell",
            "layers",
            "hidden",
            "parameters",
            "step",
            "val_loss",
            "best_val_loss",
        )
        verdict = _standing(path.parent)
        if verdict:
            verdicts[folder.name] = verdict.words
        row |= {key: facts[key] for key in kept} | {"seconds": facts["seconds"]}
        rows.append(row | {"verdict": verdict and verdict.to_json()})
    if as_json:
        write_json(*rows)
    elif rows:
        from charrnn.report.tables import runs_table

        write_text(runs_table(rows, verdicts))
    else:
        print(f"no runs under {folders.HOME}/", file=sys.stderr)


def _trials(sweep: str, as_json: bool) -> None:
    """List the trials of a sweep."""
    from charrnn.report.sweep import table
    from charrnn.sweep.folder import find
    from charrnn.sweep.records import by_loss
    from charrnn.sweep.study import Study

    folder = find(sweep)
    trials = by_loss(Study(folder.path, folder.run).trials())
    if as_json:
        write_json(*(trial.to_json() for trial in trials))
    else:
        write_text(table(trials))


def _facts(loaded: Any) -> dict[str, Any]:
    """Return the facts about a checkpoint in the order in which they are shown."""
    config, progress = loaded.config, loaded.progress
    return {
        "path": str(Path(loaded.path)),
        "task": config.task,
        "cell": config.cell,
        "layers": config.layers,
        "hidden": config.hidden,
        "embed": config.embed,
        **dict.fromkeys(CELLS.defaults()),  # null if the cell does not have the option
        **config.cell_options,
        "dropout": config.dropout,
        "recurrent_dropout": config.recurrent_dropout,
        **{n: config.get(n) if config.task in tasks else None for n, tasks in OF_TASKS.items()},
        "bidirectional": config.bidirectional,
        "labels": list(loaded.labels),
        "level": loaded.vocabulary.level,
        "vocabulary": list(loaded.vocabulary.symbols),
        "parameters": loaded.parameters,
        "weights_sha256": loaded.weights_sha256,
        "step": progress.step,
        "epoch": progress.epoch,
        "seconds": round(progress.seconds, 3),
        "val_loss": progress.val_loss,
        "best_val_loss": progress.kept_val_loss,
        "dtype": config.dtype,
        "corpus": list(loaded.data.sources[:MAX_FILES]) if loaded.data else [],
        "corpus_sha256": loaded.corpus_sha256,
        "started_from": progress.started_from,
        "ranks": progress.ranks,
        "files_of_ranks": _files_of_ranks(loaded),
        "version": loaded.version,
    }


def _files_of_ranks(loaded: Any) -> list[list[str]] | None:
    """Return the files that each rank reads, if they are divided."""
    from charrnn.tasks.shards.names import files_of_ranks

    return files_of_ranks(loaded.data, loaded.progress.ranks, MAX_FILES) if loaded.data else None


def _settings(loaded: Any) -> dict[str, Any]:
    """Return all settings of model, text and training by name, the last two if they are known."""
    found: dict[str, Any] = loaded.config.facts()
    if loaded.data is not None:
        found |= loaded.data.facts(MAX_FILES)
        del found["sources"]  # they are the corpus
    if loaded.train is not None:
        found |= loaded.train.facts()
        for state in loaded.states.values():
            found["batch"] = state.shape[1]  # as fitted to the text
    return found


def _as_options(loaded: Any) -> list[tuple[str, str]]:
    """Return the settings in a few lines, as they are given to ``charrnn train``."""
    settings = _settings(loaded)
    in_lines = SHOWN | set(loaded.config.cell_options)
    model = [name for name in loaded.config.settings() if name not in in_lines]
    groups: dict[str, Iterable[str]] = {"initial weights": model}
    if loaded.data is not None:
        read = loaded.data.settings()
        groups["text"] = [name for name in read if name not in ("sources", "level")]
    if loaded.train is not None:
        in_rows = {name for names in ROWS.values() for name in names}
        groups["updates"] = [name for name in loaded.train.settings() if name not in in_rows]
        groups |= ROWS
    options = declared(type(loaded.data)) if loaded.data is not None else {}
    rows = []
    if settings.get("sync_every") == 1:  # then the others have no effect
        del groups["ranks"]
    for title, names in groups.items():
        words = [
            _as_option(name, settings, options)
            for name in names
            if settings[name] not in (None, []) and settings[name] is not False
        ]
        rows.append((title, " ".join(words)))
    return rows


def _as_option(name: str, settings: dict[str, Any], options: Mapping[str, Option]) -> str:
    value = settings[name]
    if value is True:
        return option(name)
    if not isinstance(value, list):
        if name in options:
            value = options[name].typed(value)
        return f"{option(name)} {quoted(str(value))}"
    shown = " ".join(f"{option(name)} {quoted(str(item))}" for item in value[:NAMES])
    more = settings[f"{name}_count"] - NAMES
    return f"{shown} … and {more:,} more" if more > 0 else shown


def _names(names: list[str], number: int) -> list[str] | str:
    """Return the names of a text: all if they are few, else the first ones and their number."""
    if number <= NAMES:
        return names
    return f"{_plain(names[:NAMES])} … and {number - NAMES:,} more"


def _symbols(symbols: list[str | int], most: int = 100) -> str:
    """Return the vocabulary on one line, with everything unprintable escaped."""
    if symbols and isinstance(symbols[0], int):
        return count(len(symbols), "byte")
    shown = " ".join(one_line(s) for s in symbols[:most])
    return f"{len(symbols)}: {shown}{' …' if len(symbols) > most else ''}"


def _plain(value: Any) -> str:
    if value is None or value == []:
        return "–"
    return ", ".join(map(repr, value)) if isinstance(value, list) else one_line(value)
