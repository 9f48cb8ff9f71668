"""The output of ``charrnn train --dry-run``: the parameters, memory and time of a training run."""

from __future__ import annotations

from charrnn.config import ModelConfig
from charrnn.display import count, duration, size, speed
from charrnn.report.tables import inputs
from charrnn.train.dry_run import DryRun


def dry_run(config: ModelConfig, level: str, result: DryRun) -> str:
    """Return three lines: the model, its memory, its time. ``level`` is that of the text."""
    memory = result.memory
    available = "" if result.available is None else f"; {size(result.available)} are available"
    counting = f"{size(memory.counting)} for counting n-grams, " if memory.counting else ""
    program = memory.total - memory.weights - memory.windows - memory.evaluation - memory.counting
    seconds = result.step_seconds
    step = f"{seconds:,.1f} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"
    total = ""
    if result.steps_left is not None and result.seconds_left is not None:
        total = f"; {duration(result.seconds_left)} for {count(result.steps_left, 'step')}"
    return (
        f"model   {config.cell} {config.layers}×{config.hidden}, {inputs(config.embed)}, "
        f"{config.dtype}: "
        f"{count(result.parameters, 'parameter')}\n"
        f"memory  about {size(memory.total)}: {size(memory.weights)} for weights, gradients "
        f"and moments, {size(memory.windows)} for windows, {size(memory.evaluation)} for "
        f"evaluation, {counting}{size(program)} for the program{available}\n"
        f"time    {step} per step, {speed(result.chars_per_second, level)}; "
        f"{duration(result.epoch_seconds)} per epoch of "
        f"{count(result.steps_per_epoch, 'step')}{total}\n"
    )
