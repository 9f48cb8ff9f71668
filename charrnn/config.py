"""The configuration of a run: frozen dataclasses that hold every setting and its default, once.

Every field carries its :class:`~charrnn.options.Option`. Values are checked on construction, so
every instance is valid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from charrnn.architecture import ModelConfig
from charrnn.errors import setting
from charrnn.options import SAVING, TRAINING, declare, declared
from charrnn.reading import DECODING, DataConfig
from charrnn.registry import OPTIMIZERS, SCHEDULES, reserve
from charrnn.settings import Configuration, Values

__all__ = ["DECODING", "DEFAULT_STEPS", "DataConfig", "ModelConfig", "TrainConfig"]

DEFAULT_STEPS = 5000
"""Steps of a run if neither steps, nor epochs, nor minutes are given."""
STOPS = ("steps", "epochs", "minutes")


@dataclass(frozen=True, init=False)
class TrainConfig(Configuration):
    """How a model is trained. A step is one update, computed from one window of all streams."""

    seq_len: int = declare(
        32, "Symbols in a window: how far back a gradient goes.", group=TRAINING, least=1
    )
    batch: int = declare(
        32,
        "Places of the text that are read side by side, the streams; of examples, the most that "
        "one update reads.",
        group=TRAINING,
        least=1,
        shown="32; fewer for a short text",
    )
    state: str = declare(
        "carry",
        "At the start of a window: carry the hidden state over, or reset it to zero.",
        group=TRAINING,
        choices=("carry", "reset"),
    )
    restart: float = declare(
        0.01,
        "Probability that a stream starts a window from a zero state.",
        group=TRAINING,
        least=0,
        below=1,
    )
    """For carried states. A model that never sees a zero state after its first window learns to
    rely on a warmed-up state, and can fail when it has to start from zero, as in sampling and in
    evaluation."""
    steps: int | None = declare(
        None,
        "Stop after this many steps.",
        kind=int,
        group=TRAINING,
        least=1,
        shown=f"{DEFAULT_STEPS} if nothing else ends training",
    )
    epochs: float | None = declare(
        None,
        "Stop after this many passes over the text.",
        kind=float,
        group=TRAINING,
        above=0,
        shown="no limit",
    )
    minutes: float | None = declare(
        None,
        "Stop after this many minutes. The first of --steps, --epochs and --minutes to be reached "
        "ends training.",
        kind=float,
        group=TRAINING,
        above=0,
    )
    plan: str | None = declare(
        None,
        "Settings that are not given: auto plans them for the text and the time (with --task lm), "
        "none takes the defaults shown here.",
        kind=str,
        group=TRAINING,
        choices=("auto", "none"),
        shown="auto; none with --steps or --epochs",
    )
    optimizer: str = declare(
        "adam", "Rule that updates the weights.", group=TRAINING, choices=OPTIMIZERS.names
    )
    lr: float = declare(8e-3, "Learning rate.", group=TRAINING, above=0)
    schedule: str = declare(
        "cosine", "Learning rate over time.", group=TRAINING, choices=SCHEDULES.names
    )
    horizon: int | None = declare(
        None,
        "Length of the schedule in steps.",
        kind=int,
        group=TRAINING,
        least=1,
        shown="until training stops",
    )
    warmup: int = declare(0, "Steps over which the learning rate rises.", group=TRAINING, least=0)
    weight_decay: float = declare(
        0.0, "How strongly each update draws weights towards 0.", group=TRAINING, least=0
    )
    hide_symbols: float = declare(
        0.0,
        "Probability that an update of --task classify leaves out a symbol, or, if the vocabulary "
        "has no unknown symbol, reads one of other texts in its place.",
        group=TRAINING,
        least=0,
        below=1,
    )
    """In every epoch a text has other gaps, so that a network cannot learn it by heart."""
    clip_norm: float = declare(
        1.0, "Largest norm of the whole gradient; 0: no limit.", group=TRAINING, least=0
    )
    clip_value: float = declare(
        0.0, "Largest magnitude of a gradient element; 0: no limit.", group=TRAINING, least=0
    )
    patience: int = declare(
        0,
        "Stop after this many evaluations without a better validation loss; 0: never.",
        group=TRAINING,
        least=0,
    )
    sync_every: int = declare(
        1,
        "With mpirun, updates that each process makes by itself before the weights are averaged.",
        group=TRAINING,
        least=1,
    )
    outer_lr: float = declare(
        1.0, "With --sync-every, the learning rate of an average.", group=TRAINING, above=0
    )
    outer_momentum: float = declare(
        0.5, "With --sync-every, the momentum of averages.", group=TRAINING, least=0, below=1
    )
    seed: int = declare(0, "Seed of all random numbers.", group=TRAINING)
    log_every: int = declare(25, "Steps between reports.", group=SAVING, least=1)
    eval_every: int = declare(
        500, "Steps between evaluations; 0: only at the end.", group=SAVING, least=0
    )
    save_every: int = declare(
        500, "Steps between checkpoints; 0: only at the end.", group=SAVING, least=0
    )
    sample_every: int = declare(0, "Steps between short samples; 0: none.", group=SAVING, least=0)
    keep: int = declare(
        0, "Numbered checkpoints to keep besides best and last.", group=SAVING, least=0
    )
    watch: int = declare(
        0,
        "Steps between records of gradient norms by layer (charrnn diagnose --history); 0: none.",
        group=SAVING,
        least=0,
    )
    eval_chars: int = declare(
        500_000, "Characters of the validation text to evaluate on.", group=SAVING, least=1
    )
    max_rollbacks: int = declare(
        3,
        "How many times diverged training may return to its last checkpoint and continue at half "
        "the learning rate before it stops.",
        group=TRAINING,
        least=0,
    )

    optimizer_options: Values = field(default_factory=Values)
    """The options that the optimizer declares."""
    schedule_options: Values = field(default_factory=Values)
    """The options that the schedule declares."""

    chosen: ClassVar = {"optimizer": OPTIMIZERS, "schedule": SCHEDULES}

    def unused(self) -> dict[str, str]:
        """Return the settings that have no effect together with others, and why."""
        reasons: dict[str, str] = {}
        schedule = SCHEDULES.get(self.schedule)
        if self.state == "reset":
            reasons["restart"] = f"only applies to {setting('state')} carry"
        if not schedule.uses_horizon:
            reasons["horizon"] = f"has no effect on {setting('schedule')} {self.schedule}"
        if not self.eval_every:
            why = f"needs evaluations, but {setting('eval_every')} 0 makes none before the end"
            reasons |= {"patience": why} if self.patience else {}
            reasons |= {"schedule": f"{self.schedule} {why}"} if schedule.needs_validation else {}
        if self.keep and not self.save_every:
            reasons["keep"] = f"only applies to checkpoints of {setting('save_every')}, which is 0"
        return reasons


reserve(name for config in (ModelConfig, DataConfig, TrainConfig) for name in declared(config))


def in_place_of_stops(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with which a stop that was given replaces all stops of a run."""
    return (dict.fromkeys(STOPS) if any(stop in given for stop in STOPS) else {}) | dict(given)
