"""The records of training, one per event; ``to_json`` is the line of ``metrics.jsonl``."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from math import log
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from charrnn import __version__
from charrnn.config import DataConfig, TrainConfig
from charrnn.display import one_line
from charrnn.evaluate.course import OVERFITTING, WELL

if TYPE_CHECKING:
    from charrnn.evaluate.baselines import Baselines
    from charrnn.evaluate.course import Course, Outcome
    from charrnn.model.network import Network
    from charrnn.text.vocabulary import Vocabulary

NAMES = 20
"""Maximum number of file names in the first record."""


class Sizes(NamedTuple):
    """Numbers of symbols of each part; and of examples, if these are what is learnt."""

    train: int
    val: int
    test: int
    examples: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class Record:
    """An event at a step."""

    event: ClassVar[str]
    step: int

    def to_json(self) -> dict[str, Any]:
        """Return the record as one JSON object: its event, then its fields."""
        return {"event": self.event, **asdict(self)}


@dataclass(frozen=True)
class Start(Record):
    """Training begins or continues.

    ``parameters`` counts trainable numbers; ``train_chars``, ``val_chars`` and ``test_chars`` are
    symbols; ``examples`` and ``labels`` are how many texts a classifier learns from, and how many
    labels they have, None for other tasks; ``total_steps`` is the last step, None if only a time
    limit ends training. ``ranks`` is the number of processes that train together, and
    ``files_of_ranks`` which files each of them reads, if they are divided. ``settings`` are
    all settings of model, text and training by name; ``batch`` and ``seq_len`` are as fitted to the
    text. ``plan`` is what was planned (see :class:`charrnn.train.plan.Plan`), None without a plan;
    of a run that is resumed, only how often it would read the text, at which speed, and whether
    that still ends it. ``again`` are options that are no settings, such as ``--backend numpy``, as
    they were given.
    """

    event = "start"
    run: str
    resumed: bool
    cell: str
    layers: int
    hidden: int
    embed: int
    dtype: str
    parameters: int
    vocabulary: int
    level: str
    train_chars: int
    val_chars: int
    test_chars: int
    batch: int
    seq_len: int
    steps_per_epoch: int
    total_steps: int | None
    minutes: float | None
    backend: str
    matmul: str
    core: str | None
    seed: int
    version: str
    examples: int | None = None
    labels: int | None = None
    ranks: int = 1
    files_of_ranks: list[list[str]] | None = None
    plan: dict[str, Any] | None = None
    again: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the record as one JSON object, with a key for each setting."""
        record = super().to_json()
        return record | {k: v for k, v in record.pop("settings").items() if k not in record}


def start(
    model: Network,
    sizes: Sizes,
    symbols: Vocabulary,
    data: DataConfig,
    train: TrainConfig,
    **found: Any,
) -> Start:
    """Return the first record of a training run.

    ``found`` are the fields that do not follow from model, data and configuration.
    """
    config, facts = model.config, data.facts(NAMES)
    named = {k: [one_line(n) for n in v] if isinstance(v, list) else v for k, v in facts.items()}
    return Start(
        cell=config.cell,
        layers=config.layers,
        hidden=config.hidden,
        embed=config.embed,
        dtype=config.dtype,
        parameters=int(model.weights.trained.flat.size),
        vocabulary=len(symbols),
        level=symbols.level,
        train_chars=sizes.train,
        val_chars=sizes.val,
        test_chars=sizes.test,
        minutes=train.minutes,
        backend=model.backend.name,
        matmul=model.backend.matmul,
        core=model.core,
        seed=train.seed,
        version=__version__,
        settings={**config.facts(), **named, **train.facts()},
        **found,
    )


@dataclass(frozen=True)
class Step(Record):
    """One update.

    ``loss`` is the mean over the window in nats per symbol, before the update; ``smoothed`` its
    exponential average; ``grad_norm`` the gradient's norm before clipping; ``chars_per_second`` the
    speed of training alone since the last such record; ``seconds`` wall-clock time of the run.
    """

    event = "step"
    epoch: int
    loss: float
    smoothed: float
    grad_norm: float
    lr: float
    chars_per_second: float
    seconds: float


@dataclass(frozen=True)
class Watch(Record):
    """Gradients at one update, by layer: ``embedding``, ``l0``, ``l1``, …, ``decoder``.

    ``grad_norms`` are before clipping; ``update_ratios`` are ‖Δw‖ / ‖w‖, also ``global``; a
    non-finite value is None. ``clip_rate`` is the share of updates since the last such record
    whose gradient was clipped by norm.
    """

    event = "watch"
    grad_norms: dict[str, float | None]
    update_ratios: dict[str, float | None]
    clip_rate: float


@dataclass(frozen=True)
class Eval(Record):
    """The task's metric on the validation data: its loss, in nats per symbol or example.

    ``best`` is whether it is the best so far; ``measures`` are further ones by name, such as the
    accuracy of a classifier.
    """

    event = "eval"
    val_loss: float
    best: bool
    seconds: float
    measures: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the record as one JSON object, with a key for each measure."""
        record = super().to_json()
        measures: dict[str, Any] = record.pop("measures")
        return record | measures


@dataclass(frozen=True)
class Overfitting(Record):
    """The validation loss has clearly risen above its best, while the training loss fell.

    Comes once in a run. ``smoothed`` is the training loss as in :class:`Step`.
    """

    event = OVERFITTING
    val_loss: float
    best_val_loss: float
    best_step: int
    smoothed: float | None


def overfitting(course: Course) -> Overfitting:
    """Return the record for a run that has been evaluated."""
    best, last = course.best, course.points[-1]
    assert best is not None
    return Overfitting(last.step, last.loss, best.loss, best.step, last.smoothed)


@dataclass(frozen=True)
class Rollback(Record):
    """Training diverged in ``step``, went back to ``to_step`` and continues at a lower rate.

    ``tensor`` names the non-finite tensor or the exploded loss; ``value`` is the value found there,
    None if it is not finite; every learning rate is multiplied by ``lr_factor`` from now on;
    ``count`` is the number of rollbacks so far.
    """

    event = "rollback"
    to_step: int
    tensor: str
    value: float | None
    lr_factor: float
    count: int


@dataclass(frozen=True)
class Sample(Record):
    """A short sample of the current model."""

    event = "sample"
    text: str


class SaveDue(Record):
    """Asks for a checkpoint at this step; the session saves and reports a Save instead."""

    event = "save-due"


@dataclass(frozen=True)
class Save(Record):
    """A checkpoint was written."""

    event = "save"
    path: str


@dataclass(frozen=True)
class End(Record):
    """Training stops: after ``steps``, ``epochs``, ``minutes``, by ``patience``, or interrupted.

    ``run`` is the run's folder, empty if nothing is saved. ``no_better_than`` is the guess that
    predicts no worse than the best model: ``uniform`` (all symbols alike) or ``unigram`` (by their
    frequencies); None if the model is better. ``guess_loss`` is the loss of that guess, and
    ``smoothed`` the last training loss, smoothed.

    ``verdict`` is what the losses say (see :mod:`charrnn.evaluate.course`): ``unstable``,
    ``overfitting``, ``cut-short``, ``well``, or None. ``train_loss`` is that of the final
    weights on a sample of the training text, measured as ``val_loss`` is; ``epochs`` is how often
    the text was read, and ``best_step`` where the validation loss was best. Of a language model
    ``bits_per_char`` is the best validation loss in bits; a unigram model, a bigram model and the
    compressor xz need ``unigram_bits_per_char``, ``bigram_bits_per_char`` and
    ``xz_bits_per_char`` for the same text (see :class:`charrnn.evaluate.baselines.Baselines`).
    """

    event = "end"
    reason: str
    epoch: int
    val_loss: float | None
    best_val_loss: float | None
    seconds: float
    run: str = ""
    no_better_than: str | None = None
    guess_loss: float | None = None
    smoothed: float | None = None
    verdict: str | None = None
    train_loss: float | None = None
    epochs: float | None = None
    best_step: int | None = None
    bits_per_char: float | None = None
    unigram_bits_per_char: float | None = None
    bigram_bits_per_char: float | None = None
    xz_bits_per_char: float | None = None


def concluded(end: End, outcome: Outcome | None) -> End:
    """Return the record with what the losses of the run say."""
    if outcome is None:
        return end
    doubtful = end.no_better_than is not None and outcome.code == WELL
    return replace(
        end,
        verdict=None if doubtful else outcome.code,
        train_loss=outcome.train_loss,
        epochs=outcome.epochs,
        best_step=outcome.best.step,
    )


def compared(end: End, others: Baselines | None) -> End:
    """Return the record with what others need for the validation text, and the model itself."""
    if others is None or end.best_val_loss is None:
        return end
    return replace(
        end,
        bits_per_char=end.best_val_loss / log(2),
        unigram_bits_per_char=others.unigram,
        bigram_bits_per_char=others.bigram,
        xz_bits_per_char=others.xz,
    )
