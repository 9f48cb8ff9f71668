"""When training stops."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import ceil

from charrnn.config import DEFAULT_STEPS, TrainConfig
from charrnn.errors import setting
from charrnn.storage.progress import Progress

MAX_STEPS = 1 << 62
"""The last step of the longest run: a number that a checkpoint can hold."""


def time_limit(config: TrainConfig, progress: Progress) -> float | None:
    """Return the seconds after which training ends, so that an evaluation still fits in."""
    if config.minutes is None:
        return None
    return max(0.5 * 60 * config.minutes, 60 * config.minutes - progress.evaluation_seconds)


class StopConditions:
    """The stop conditions of a configuration; the first that holds ends training.

    Attributes
    ----------
    total_steps
        The last step at the latest; None if only a time limit ends training.
    """

    def __init__(self, config: TrainConfig, windows_per_epoch: int) -> None:
        self._config = config
        limits = [config.steps] if config.steps is not None else []
        if config.epochs is not None:
            # As it was typed: 1.1 times 100 is above 110 in floating point, a step too many.
            passes = Fraction(str(config.epochs))
            limits.append(min(MAX_STEPS, ceil(passes * windows_per_epoch)))
        if not limits and config.minutes is None:
            limits.append(DEFAULT_STEPS)
        self.total_steps = min(limits) if limits else None

    def reason(self, progress: Progress, seconds: float) -> str | None:
        """Return which condition holds after ``seconds`` of training, None if none does."""
        return next(self._reasons(progress, seconds), None)

    def remedy(self, progress: Progress, seconds: float) -> str:
        """Return which settings would let a stopped run continue; setting names are marked.

        A new limit on steps, epochs or time replaces all three, so one of them is enough.
        """
        reasons = list(self._reasons(progress, seconds))
        remedies = [f"a larger {setting(name)}" for name in reasons if name != "patience"][:1]
        if "patience" in reasons:
            remedies.append(f"{setting('patience')} 0 or above {progress.stale}")
        return " and ".join(remedies)

    def _reasons(self, progress: Progress, seconds: float) -> Iterator[str]:
        """Yield every condition that holds, by the name of its setting."""
        config, step = self._config, progress.step
        if config.patience and progress.stale >= config.patience:
            yield "patience"
        if self.total_steps is not None and step >= self.total_steps:
            by_epochs = config.epochs is not None and (config.steps is None or step < config.steps)
            yield "epochs" if by_epochs else "steps"
        limit = time_limit(config, progress)
        if limit is not None and seconds >= limit:
            yield "minutes"


def unreached(config: TrainConfig, step: int, total_steps: int | None) -> list[str]:
    """Return a note for each setting that cannot take effect before the run ends.

    Setting names are marked (see :func:`charrnn.errors.setting`). ``step`` is where the run begins,
    ``total_steps`` its last step, None if that is not known.
    """
    if total_steps is None or step >= total_steps:  # a finished run is told that it has finished
        return []
    due = {"watch": config.watch, "sample_every": config.sample_every}
    if config.keep or (not step and config.save_every != TrainConfig.save_every):
        due["save_every"] = config.save_every
    end = f"the run ends at step {total_steps:,}"
    notes = []
    for name, every in due.items():
        if every and total_steps // every == step // every:
            new = " new" if step >= every else ""
            keeps = config.keep and name == "save_every"
            of = f"{setting('keep')} keeps nothing{new} with " if keeps else ""
            notes.append(f"{of}{setting(name)} {every}{'' if of else ' has no effect'}: {end}")
    needed = (config.patience + 1) * config.eval_every  # the first evaluation is the best so far
    if config.patience and config.eval_every and not step and needed >= total_steps:
        patience = f"{setting('patience')} {config.patience}"
        notes.append(f"{patience} has no effect before step {needed:,}, and {end}")
    return notes
