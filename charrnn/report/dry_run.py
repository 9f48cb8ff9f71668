"""What a training would take, as ``charrnn train --dry-run`` prints it."""

from __future__ import annotations

from charrnn.config import ModelConfig
from charrnn.display import duration, size
from charrnn.train.dry_run import DryRun


def dry_run(config: ModelConfig, found: DryRun) -> str:
    """Return three lines: the model, its memory, its time."""
    first = "one-hot" if not config.embed else f"embedding {config.embed}"
    memory = found.memory
    there = f"; there are {size(found.available)}" if found.available is not None else ""
    seconds = found.step_seconds
    step = f"{seconds:,.1f} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"
    whole = ""
    if found.steps_left is not None and found.seconds_left is not None:
        whole = f"; {duration(found.seconds_left)} for {found.steps_left:,} steps"
    return (
        f"model   {config.cell} {config.layers}×{config.hidden}, {first}, {config.dtype}: "
        f"{found.parameters:,} parameters\n"
        f"memory  about {size(memory.total)}: {size(memory.weights)} for weights, gradients "
        f"and moments, {size(memory.windows)} for windows, {size(memory.evaluation)} for "
        f"evaluation{there}\n"
        f"time    {step} a step, {found.chars_per_second:,.0f} char/s; "
        f"{duration(found.epoch_seconds)} an epoch of {found.steps_per_epoch:,} steps{whole}\n"
    )
