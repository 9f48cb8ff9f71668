"""The command that begins a run with given settings, or repeats one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charrnn.architecture import ADAPTABLE, SUITED, defaults
from charrnn.config import DECODING, DataConfig, ModelConfig, TrainConfig, in_place_of_stops
from charrnn.display import quoted
from charrnn.errors import option
from charrnn.plugins import as_options
from charrnn.settings import Configuration
from charrnn.train.recipes.applies import unused

if TYPE_CHECKING:
    from charrnn.storage.checkpoint import Checkpoint


def new_run(
    folder: Path,
    model: ModelConfig,
    data: DataConfig,
    train: TrainConfig,
    more: Mapping[str, Any] | None = None,
    again: tuple[str, ...] = (),
) -> str:
    """Return the command for a new run with these settings from the weights of a run.

    ``more`` are settings of the model that differ from the run's; ``again`` as in
    :class:`Request`.
    """
    from charrnn.text.finding import in_command

    words = ["charrnn", "train", *in_command(data), "--init-from", str(folder)]
    words += ["--lr", f"{train.lr:.6g}"]
    words += [word for name, value in (more or {}).items() for word in (option(name), str(value))]
    words += as_options()
    left_out = {"sources", "lr", "horizon", "plan", *unused(model, data, train)}
    words += [*_options(model, left_out, data, train), *again]
    return " ".join(map(quoted, words))


def repeated(checkpoint: Checkpoint) -> str | None:
    """Return the command that trains such a run anew; None if it was not made by training.

    Its steps are all given, and so are its ranks and what was planned. The result is the same, bit
    for bit, unless its learning rate followed the clock (a limit in minutes), or it was changed
    while it was resumed.
    """
    from charrnn.text.finding import in_command

    configs, left_out = to_repeat(checkpoint)
    if not configs:
        return None
    words = ["charrnn", "train", *in_command(configs[1])]
    words += as_options()
    if origin := checkpoint.progress.started_from:
        words += [option("init_from"), origin]
    words += _options(checkpoint.config, left_out, *configs, always=_always_given(checkpoint))
    return checkpoint.progress.launcher + " ".join(map(quoted, words))


def to_repeat(
    checkpoint: Checkpoint,
) -> tuple[tuple[ModelConfig, DataConfig, TrainConfig] | tuple[()], set[str]]:
    """Return the configurations of a run that is to be trained anew; none if it was not trained.

    And the settings that have no effect, or are given otherwise.
    """
    data, train, progress = checkpoint.data, checkpoint.train, checkpoint.progress
    if data is None or train is None or not data.sources:
        return (), set()
    steps = progress.total_steps or max(1, progress.step)
    train = replace(train, **in_place_of_stops({"steps": steps}))
    left_out = {"sources", "plan", *unused(checkpoint.config, data, train)}
    return (checkpoint.config, data, train), left_out


def _always_given(checkpoint: Checkpoint) -> tuple[str, ...]:
    """Return the settings that a command repeats even if they are the defaults.

    A run that starts from another has that one's in their place.
    """
    inherited = (*ADAPTABLE, "level", *DECODING) if checkpoint.progress.started_from else ()
    return SUITED + inherited


def _options(
    model: ModelConfig,
    left_out: set[str],
    *configs: Configuration,
    always: tuple[str, ...] = SUITED,
) -> list[str]:
    """Return the words that give all settings of configurations that a new run would not have.

    Those named in ``always`` are given in any case.
    """
    level = next(config.level for config in configs if isinstance(config, DataConfig))
    own: Mapping[str, Any] = defaults(model.task, level)
    words: list[str] = []
    for config in configs:
        options = config.declarations()
        words += config.words(
            name
            for name, value in config.settings().items()
            if name not in left_out
            and value is not None
            and (name in always or value != own.get(name, options[name].default))
        )
    return words
