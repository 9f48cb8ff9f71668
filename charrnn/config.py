"""What a run is made of: frozen records, and every default, once.

Validation happens on construction, so a record that exists is possible.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import asdict, dataclass, fields
from math import isfinite
from typing import Any, TypeVar

from charrnn.errors import CheckpointError, UsageError

INITS = ("uniform", "xavier", "orthogonal", "identity")
DTYPES = ("float32", "float64")
STATES = ("carry", "reset")
LEVELS = ("char", "byte", "word")


@dataclass(frozen=True)
class ModelConfig:
    """The architecture: everything that fixes names and shapes of the weights, and their start."""

    cell: str = "lstm"
    layers: int = 1
    hidden: int = 512
    embed: int = 0
    """Width of a learned embedding; 0 feeds one-hot vectors straight into the first layer."""
    activation: str = "tanh"
    gru_reset: str = "after"
    forget_bias: float = 1.0
    init: str = "uniform"
    dropout: float = 0.0
    dtype: str = "float32"

    def __post_init__(self) -> None:
        _countable(self)
        at_least("--layers", self.layers, 1)
        at_least("--hidden", self.hidden, 1)
        at_least("--embed", self.embed, 0)
        finite("--forget-bias", self.forget_bias)
        one_of("--init", self.init, INITS)
        if self.init == "identity" and self.cell != "rnn":
            raise UsageError(
                f"--init identity is for --cell rnn, not {self.cell}",
                "use --init orthogonal for gated cells",
            )
        fraction("--dropout", self.dropout)
        one_of("--dtype", self.dtype, DTYPES)


@dataclass(frozen=True)
class DataConfig:
    """How the text becomes symbols, and what is held out."""

    level: str = "char"
    encoding: str = "utf-8"
    errors: str = "strict"
    min_count: int = 1
    val_frac: float = 0.1
    test_frac: float = 0.0
    sources: tuple[str, ...] = ()
    val: tuple[str, ...] = ()
    test: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _countable(self)
        one_of("--level", self.level, LEVELS)
        one_of("--errors", self.errors, ("strict", "replace"))
        at_least("--min-count", self.min_count, 1)
        fraction("--val-frac", self.val_frac)
        fraction("--test-frac", self.test_frac)
        if self.val_frac + self.test_frac >= 1:
            raise UsageError("--val-frac and --test-frac leave nothing to train on")


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained. Lengths are in steps; one step is one window of all streams."""

    seq_len: int = 32
    batch: int = 32
    state: str = "carry"
    restart: float = 0.01
    """With a carried state: the probability that a stream begins a window from a zero state.

    A model that never sees a zero state after its first window learns to rely on what its state has
    settled into, and can fail where it has to start afresh: in sampling and in evaluation.
    """
    steps: int | None = None
    epochs: float | None = None
    minutes: float | None = None
    optimizer: str = "adam"
    momentum: float = 0.9
    """Of ``sgd`` alone."""
    lr: float = 8e-3
    schedule: str = "cosine"
    horizon: int | None = None
    """Steps over which the schedule runs; by default until the stop condition."""
    warmup: int = 0
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    """Largest allowed norm of the whole gradient; 0 switches clipping by norm off."""
    clip_value: float = 0.0
    """Largest allowed magnitude of one gradient element; 0 switches clipping by value off."""
    patience: int = 0
    """Evaluations without a better validation loss after which training stops; 0: never."""
    seed: int = 0
    log_every: int = 25
    eval_every: int = 500
    save_every: int = 500
    sample_every: int = 0
    keep: int = 0
    watch: int = 0
    """Steps between records of gradient norms by layer; 0: none."""
    eval_chars: int = 500_000
    max_rollbacks: int = 3
    """Divergences after which training goes back and on at a lower rate; at the next it stops."""

    def __post_init__(self) -> None:
        _countable(self)
        at_least("--seq-len", self.seq_len, 1)
        at_least("--batch", self.batch, 1)
        one_of("--state", self.state, STATES)
        fraction("--restart", self.restart)
        if self.steps is not None:
            at_least("--steps", self.steps, 1)
        for option, limit in (("--epochs", self.epochs), ("--minutes", self.minutes)):
            if limit is not None and not (isfinite(limit) and limit > 0):
                raise UsageError(f"{option} must be a number above 0, not {limit}")
        fraction("--momentum", self.momentum)
        if not (isfinite(self.lr) and self.lr > 0):
            raise UsageError(f"--lr must be a number above 0, not {self.lr}")
        if self.horizon is not None:
            at_least("--horizon", self.horizon, 1)
        at_least("--warmup", self.warmup, 0)
        for option, value in (
            ("--weight-decay", self.weight_decay),
            ("--clip-norm", self.clip_norm),
            ("--clip-value", self.clip_value),
        ):
            finite(option, value)
            at_least(option, value, 0)
        for option, count in (
            ("--patience", self.patience),
            ("--sample-every", self.sample_every),
            ("--eval-every", self.eval_every),
            ("--save-every", self.save_every),
            ("--keep", self.keep),
            ("--watch", self.watch),
            ("--max-rollbacks", self.max_rollbacks),
        ):
            at_least(option, count, 0)
        at_least("--log-every", self.log_every, 1)
        at_least("--eval-chars", self.eval_chars, 1)


DEFAULT_STEPS = 5000
"""Where a run ends if neither steps, nor epochs, nor minutes are given."""

_Record = TypeVar("_Record", ModelConfig, DataConfig, TrainConfig)


def to_json(record: ModelConfig | DataConfig | TrainConfig) -> dict[str, Any]:
    """Return the record as a plain dictionary."""
    return asdict(record)


def from_json(cls: type[_Record], data: object) -> _Record:
    """Rebuild a record that :func:`to_json` wrote.

    A field that is missing, as an older version did not have it yet, gets its default.

    Raises
    ------
    CheckpointError
        If a field is unknown, of the wrong type, or impossible.
    """
    known = {f.name: f for f in fields(cls)}
    if not isinstance(data, dict):
        raise CheckpointError(f"damaged configuration: {cls.__name__} is no record")
    refuse_unknown(data, known)
    values: dict[str, Any] = {}
    for name, value in data.items():
        values[name] = _checked(cls.__name__, name, value, str(known[name].type))
    try:
        return cls(**values)
    except UsageError as problem:
        raise CheckpointError(f"damaged configuration: {problem.message}") from None


def refuse_unknown(data: Iterable[object], known: Container[str]) -> None:
    """Raise :class:`CheckpointError` for a field that this version does not have."""
    for name in data:
        if name not in known:
            raise CheckpointError(
                f"its field {str(name)[:60]!a} is unknown", "a newer charrnn may have written it"
            )


def _checked(owner: str, name: str, value: object, annotation: str) -> object:
    """Return ``value`` if it has the type that the field's annotation names."""
    if value is None and "None" in annotation:
        return None
    kind = annotation.removesuffix(" | None")
    if kind == "float" and type(value) is float and isfinite(value):
        return value
    if kind in ("float", "int") and type(value) is int and -(2**63) <= value < 2**63:
        return float(value) if kind == "float" else value
    if kind == "str" and isinstance(value, str) and len(value) <= 100 and value.isprintable():
        return value
    if kind.startswith("tuple") and isinstance(value, list):
        items = tuple(item for item in value if isinstance(item, str) and "\0" not in item)
        if len(items) == len(value):
            return items
    raise CheckpointError(f"damaged configuration: {owner}.{name} has the wrong type")


def _countable(record: ModelConfig | DataConfig | TrainConfig) -> None:
    """Raise :class:`UsageError` for a whole number that a checkpoint could not hold."""
    for field in fields(record):
        value = getattr(record, field.name)
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise UsageError(f"--{field.name.replace('_', '-')} must be below 2^63")


def at_least(option: str, value: float, least: float) -> None:
    """Raise :class:`UsageError` if the option's value is below ``least``."""
    if not value >= least:
        raise UsageError(f"{option} must be at least {least}, not {value}")


def one_of(option: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise :class:`UsageError` if the option's value is not one of ``choices``."""
    if value not in choices:
        raise UsageError(f"{option} cannot be {value!r}", f"choose one of {', '.join(choices)}")


def fraction(option: str, value: float) -> None:
    """Raise :class:`UsageError` unless 0 ≤ value < 1."""
    if not 0 <= value < 1:
        raise UsageError(f"{option} must be at least 0 and below 1, not {value}")


def finite(option: str, value: float) -> None:
    """Raise :class:`UsageError` if the option's value is NaN or infinite."""
    if not isfinite(value):
        raise UsageError(f"{option} must be a finite number, not {value}")
