"""The configuration of a run: frozen dataclasses that hold every setting and its default, once.

Every field carries its :class:`~charrnn.options.Option`. Values are checked on construction, so
every instance is valid.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import asdict, dataclass, fields
from math import isfinite
from typing import Any, TypeVar

from charrnn.errors import CheckpointError, UsageError, setting
from charrnn.options import MODEL, SAVING, TEXT, TRAINING, check_fields, declare
from charrnn.registry import CELLS

DEFAULT_STEPS = 5000
"""Where a run ends if neither steps, nor epochs, nor minutes are given."""


@dataclass(frozen=True)
class ModelConfig:
    """The architecture: all that decides names, shapes and initial values of the weights."""

    cell: str = declare("lstm", "Recurrent cell.", group=MODEL, choices=CELLS.names)
    layers: int = declare(1, "Stacked layers.", group=MODEL, least=1)
    hidden: int = declare(512, "Hidden units of a layer.", group=MODEL, least=1)
    embed: int = declare(
        0,
        "Width of a learned embedding; 0 feeds one-hot vectors into the first layer.",
        group=MODEL,
        least=0,
    )
    activation: str = declare("tanh", "Of the rnn: tanh or relu.", group=MODEL)
    gru_reset: str = declare(
        "after",
        "Reset gate after the recurrent product (as PyTorch) or before (as Cho 2014).",
        group=MODEL,
    )
    forget_bias: float = declare(1.0, "Initial bias of the LSTM's forget gate.", group=MODEL)
    init: str = declare(
        "uniform",
        "Initial weights.",
        group=MODEL,
        choices=("uniform", "xavier", "orthogonal", "identity"),
    )
    dropout: float = declare(
        0.0, "Dropout between layers and before the output.", group=MODEL, least=0, below=1
    )
    dtype: str = declare(
        "float32", "Precision of all numbers.", group=MODEL, choices=("float32", "float64")
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "cell", CELLS.canonical(self.cell))
        check_fields(self)
        if self.init == "identity" and self.cell != "rnn":
            raise UsageError(
                f"{setting('init')} identity is for {setting('cell')} rnn, not {self.cell}",
                f"use {setting('init')} orthogonal for gated cells",
            )


@dataclass(frozen=True)
class DataConfig:
    """How the text becomes symbols, and which part of it is held out."""

    level: str = declare(
        "char", "What counts as a symbol.", group=TEXT, choices=("char", "byte", "word")
    )
    encoding: str = declare("utf-8", "Encoding of the text.", group=TEXT)
    errors: str = declare(
        "strict",
        "Bytes that cannot be decoded: strict (an error) or replace.",
        group=TEXT,
        choices=("strict", "replace"),
    )
    min_count: int = declare(
        1, "Fold symbols that occur less often into the unknown symbol.", group=TEXT, least=1
    )
    val_frac: float = declare(
        0.1,
        "Fraction of the text, after the training text, for validation.",
        group=TEXT,
        least=0,
        below=1,
    )
    test_frac: float = declare(
        0.0, "Fraction of the text, at its end, for testing.", group=TEXT, least=0, below=1
    )
    sources: tuple[str, ...] = ()
    """The training text: files, directories, ``-`` or a built-in corpus."""
    val: tuple[str, ...] = declare((), "A validation text of its own; may be repeated.", group=TEXT)
    test: tuple[str, ...] = declare((), "A test text of its own; may be repeated.", group=TEXT)

    def __post_init__(self) -> None:
        check_fields(self)
        if self.val_frac + self.test_frac >= 1:
            raise UsageError(
                f"{setting('val_frac')} and {setting('test_frac')} leave nothing to train on",
                "their sum must be below 1",
            )


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained. A step is one update, from one window of all streams."""

    seq_len: int = declare(32, "Steps of a window.", group=TRAINING, least=1)
    batch: int = declare(32, "Parallel streams.", group=TRAINING, least=1)
    state: str = declare(
        "carry",
        "Hidden state from window to window: carry or reset.",
        group=TRAINING,
        choices=("carry", "reset"),
    )
    restart: float = declare(
        0.01,
        "Probability that a stream begins a window from a zero state.",
        group=TRAINING,
        least=0,
        below=1,
    )
    """With a carried state. A model that never sees a zero state after its first window learns to
    rely on what its state has become, and can fail where it has to start afresh: in sampling and
    in evaluation."""
    steps: int | None = declare(
        None,
        "Stop after so many steps. The first of --steps, --epochs and --minutes counts",
        kind=int,
        group=TRAINING,
        least=1,
        shown=f"{DEFAULT_STEPS} if none of them is given",
    )
    epochs: float | None = declare(
        None, "Stop after so many passes over the text.", kind=float, group=TRAINING, above=0
    )
    minutes: float | None = declare(
        None, "Stop after so much time.", kind=float, group=TRAINING, above=0
    )
    optimizer: str = declare("adam", "adam, adamw, rmsprop or sgd.", group=TRAINING)
    momentum: float = declare(0.9, "Of sgd.", group=TRAINING, least=0, below=1)
    lr: float = declare(8e-3, "Learning rate.", group=TRAINING, above=0)
    schedule: str = declare(
        "cosine",
        "Learning rate over time: cosine, constant, plateau or step.",
        group=TRAINING,
    )
    horizon: int | None = declare(
        None,
        "Steps of the schedule.",
        kind=int,
        group=TRAINING,
        least=1,
        shown="until training stops",
    )
    warmup: int = declare(0, "Steps over which the learning rate rises.", group=TRAINING, least=0)
    weight_decay: float = declare(0.0, "Weight decay.", group=TRAINING, least=0)
    clip_norm: float = declare(
        1.0, "Largest norm of the whole gradient; 0: no limit.", group=TRAINING, least=0
    )
    clip_value: float = declare(
        0.0, "Largest magnitude of a gradient element; 0: no limit.", group=TRAINING, least=0
    )
    patience: int = declare(
        0,
        "Stop after so many evaluations without a better validation loss; 0: never.",
        group=TRAINING,
        least=0,
    )
    seed: int = declare(0, "Of all random numbers.", group=TRAINING)
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
        "Divergences after which training returns to its last checkpoint and continues at half the "
        "rate; at the next one it stops.",
        group=TRAINING,
        least=0,
    )

    def __post_init__(self) -> None:
        check_fields(self)


_Record = TypeVar("_Record", ModelConfig, DataConfig, TrainConfig)


def to_json(record: ModelConfig | DataConfig | TrainConfig) -> dict[str, Any]:
    """Return the record as a plain dictionary."""
    return asdict(record)


def from_json(cls: type[_Record], data: object) -> _Record:
    """Rebuild a record that :func:`to_json` wrote.

    A field that is missing, because an older version did not have it yet, gets its default.

    Raises
    ------
    CheckpointError
        If a field is unknown, of the wrong type, or invalid.
    """
    known = {f.name: f for f in fields(cls)}
    if not isinstance(data, dict):
        raise CheckpointError(f"damaged configuration: {cls.__name__} is not an object")
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
