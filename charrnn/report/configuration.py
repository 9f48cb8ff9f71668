"""The settings of a run as a TOML file, from which ``charrnn train --config`` repeats it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from charrnn.display import one_line, quoted, safe_json
from charrnn.errors import CharRNNError, option
from charrnn.options import TEXT, Option, declared
from charrnn.plugins import as_options
from charrnn.registry import SCHEDULES
from charrnn.train.opening.commands import to_repeat

if TYPE_CHECKING:
    from charrnn.settings import Configuration
    from charrnn.storage.checkpoint import Checkpoint


def configuration(checkpoint: Checkpoint) -> str:
    """Return the file: every setting that has an effect, by the headings of help.

    Raises
    ------
    CharRNNError
        If the checkpoint was not made by training, or a name in it is not UTF-8.
    """
    configs, left_out = to_repeat(checkpoint)
    if not configs:
        raise CharRNNError(
            f"{one_line(checkpoint.path)} was not made by training, so that nothing repeats it",
            "name a run of charrnn train",
        )
    data, train = configs[1:]
    groups: dict[str, list[str]] = {TEXT: [_line("corpus", list(data.sources))]}
    if origin := checkpoint.progress.started_from:
        groups[TEXT].append(_line(option("init_from")[2:], origin))
    for config in configs:
        options = _options(config)
        for name, value in config.settings().items():
            if name not in left_out and value not in (None, ()) and _says(options[name], value):
                line = _line(option(name)[2:], _in_file(options[name], value))
                groups.setdefault(options[name].group, []).append(line)
    begin = checkpoint.progress.launcher
    plugins = "".join(f" {quoted(word)}" for word in as_options())
    lines = [
        f"# {begin}charrnn train --config FILE{plugins} repeats {one_line(checkpoint.path)}",
        f"# (charrnn {checkpoint.version}, weights_sha256 {checkpoint.weights_sha256})",
    ]
    own = checkpoint.train
    clocked = own is not None and own.minutes is not None and own.horizon is None
    if clocked and SCHEDULES.get(train.schedule).uses_horizon:
        lines.append("# Its learning rate followed the clock, so that the weights will differ.")
    for heading, entries in groups.items():
        lines += ["", f"# {heading}", *entries]
    return "\n".join(lines) + "\n"


def _options(config: Configuration) -> dict[str, Option]:
    """Return the options of a configuration, and of the classes that it chooses."""
    options = declared(type(config))
    for chosen in config.chosen:
        options |= config.own_options(chosen)
    return options


def _says(declaration: Option, value: Any) -> bool:
    """Whether the option is on the command line for this value: not one that is off."""
    return value is not False or declaration.switch


def _in_file(declaration: Option, value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    if declaration.escapes:
        return value.replace("\\", "\\\\")  # as it is typed; TOML writes a newline itself
    return value


def _line(key: str, value: Any) -> str:
    """Return a key and its value as TOML, whose strings, numbers and lists are those of JSON."""
    text = safe_json(json.dumps(value, ensure_ascii=False))
    try:
        text.encode()
    except UnicodeEncodeError:
        raise CharRNNError(
            f"{key} {one_line(text)} is not UTF-8, which TOML needs", "rename the file"
        ) from None
    return f"{key} = {text}"
