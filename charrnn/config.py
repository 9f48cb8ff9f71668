"""The configuration of a run: frozen dataclasses that hold every setting and its default, once.

Every field carries its :class:`~charrnn.options.Option`. Values are checked on construction, so
every instance is valid.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from charrnn.architecture import ModelConfig
from charrnn.errors import UsageError, setting
from charrnn.options import SAVING, TEXT, TRAINING, declare, declared
from charrnn.registry import OPTIMIZERS, SCHEDULES, reserve
from charrnn.settings import Configuration, Values

__all__ = ["DECODING", "DEFAULT_STEPS", "DataConfig", "ModelConfig", "TrainConfig"]

DEFAULT_STEPS = 5000
"""Steps of a run if neither steps, nor epochs, nor minutes are given."""

DECODING = ("encoding", "errors")
"""How a text is decoded: fields of :class:`DataConfig`."""


@dataclass(frozen=True, init=False)
class DataConfig(Configuration):
    """How the text becomes symbols, and which part of it is held out."""

    level: str = declare(
        "char", "What one symbol is.", group=TEXT, choices=("char", "byte", "word")
    )
    encoding: str = declare("utf-8", "Encoding of the text.", group=TEXT)
    errors: str = declare(
        "strict",
        "Bytes that cannot be decoded: strict (an error) or replace; or, if each line is an "
        "example, as for a classifier, skip, which passes over lines with them and lines that are "
        "not examples.",
        group=TEXT,
        choices=("strict", "replace", "skip"),
    )
    min_count: int = declare(
        1, "Fold symbols that occur less often into the unknown symbol.", group=TEXT, least=1
    )
    column: str | None = declare(
        None,
        "Read a table (CSV or TSV with a header line) and take the text from this column.",
        kind=str,
        group=TEXT,
        metavar="NAME",
        free=True,
    )
    field: str | None = declare(
        None,
        "Read JSON lines and take the text from this field; a.b is the field b of the object a.",
        kind=str,
        group=TEXT,
        metavar="NAME",
        free=True,
    )
    label_column: str | None = declare(
        None,
        "Of labelled texts with --column, the column of the labels.",
        kind=str,
        group=TEXT,
        metavar="NAME",
        free=True,
    )
    label_field: str | None = declare(
        None,
        "Of labelled texts with --field, the field of the labels.",
        kind=str,
        group=TEXT,
        metavar="NAME",
        free=True,
    )
    format: str | None = declare(
        None,
        "Of tagged texts: columns (a token and its label a line), symbols (columns of single "
        "characters) or lines (an input, a tab and an output of as many symbols).",
        kind=str,
        group=TEXT,
        choices=("columns", "symbols", "lines"),
        shown="by the look of the first lines",
    )
    columns: str | None = declare(
        None,
        "Of tagged texts, the columns of tokens and labels (else 1,2), such as 2,4 for CoNLL-U.",
        kind=str,
        group=TEXT,
        metavar="A,B",
        pattern=r"([1-9][0-9]{0,5}),(?!\1$)[1-9][0-9]{0,5}",
        remedy="give two different numbers, such as 2,4",
    )
    max_length: int = declare(
        1000,
        "With --task classify or generate, cut texts after this many symbols; with tag, divide "
        "sequences; with transduce, leave out pairs with more on a side.",
        group=TEXT,
        least=1,
    )
    target: tuple[str, ...] = declare(
        (),
        "Of a transducer, a file with the target of each line of the sources; may be repeated.",
        group=TEXT,
        metavar="FILE",
    )
    target_level: str = declare(
        "char",
        "With --task transduce, what one symbol of a target is: a char, or a word between spaces.",
        group=TEXT,
        choices=("char", "word"),
    )
    join: str | None = declare(
        None,
        r"Text between files, or between values of a column or field; \n is a newline.",
        kind=str,
        group=TEXT,
        metavar="TEXT",
        shown="nothing between files, a newline after each value",
        free=True,
        escapes=True,
    )
    val_frac: float = declare(
        0.1, "Fraction of the text for validation.", group=TEXT, least=0, below=1
    )
    test_frac: float = declare(
        0.0, "Fraction of the text for testing.", group=TEXT, least=0, below=1
    )
    hold_out: str | None = declare(
        None,
        "How the fractions are held out: tail (the end of the text), or blocks or examples (values "
        "of --column or --field, or else files, or the lines of a single file) that the seed draws "
        "from all of it.",
        kind=str,
        group=TEXT,
        choices=("tail", "blocks", "examples"),
        shown="tail; examples with --examples",
    )
    examples: str | None = declare(
        None,
        "Train on each line or document (value of --column or --field, or else file) by itself: "
        "from a zero state, in an order that is drawn anew for every epoch. A document ends with "
        "--join, by default U+0003.",
        kind=str,
        group=TEXT,
        choices=("line", "document"),
    )
    sources: tuple[str, ...] = declare(
        (), "The text: files, directories, - or a built-in corpus.", group=TEXT
    )
    shard_files: bool = declare(
        False, "With mpirun, each of K ranks reads every K-th of the files.", group=TEXT
    )
    val: tuple[str, ...] = declare((), "A separate validation text; may be repeated.", group=TEXT)
    test: tuple[str, ...] = declare((), "A separate test text; may be repeated.", group=TEXT)

    def _check_together(self) -> None:
        held = setting("hold_out")
        if self.val_frac + self.test_frac >= 1:
            names = f"{setting('val_frac')} and {setting('test_frac')}"
            raise UsageError(f"{names} leave nothing to train on", "their sum must be below 1")
        if self.examples and self.hold_out == "blocks":
            why = f"{held} blocks cuts examples, but {setting('examples')} reads them whole"
            raise UsageError(why, f"leave it out, or set {held} to tail")
        drawn = self.hold_out not in (None, "tail")
        if drawn and not self.test_frac and (self.val or not self.val_frac):
            only = "only applies to a fraction of the text, but none is held out"
            give = f"leave it out, or give {setting('val_frac')} or {setting('test_frac')}"
            raise UsageError(f"{held} {self.hold_out} {only}", give)
        if self.column is not None and self.field is not None:
            both = f"{setting('column')} and {setting('field')}"
            raise UsageError(f"{both} exclude each other", "give one of them")
        for name in ("column", "field", "label_column", "label_field"):
            if self.get(name) == "":
                raise UsageError(f"{setting(name)} is empty", "name one, or leave it out")
        if self.join is not None and any("\ud800" <= c <= "\udfff" for c in self.join):
            raise UsageError(f"{setting('join')} is not valid text", "give it in UTF-8")

    def unused(self) -> dict[str, str]:
        """Return the settings that have no effect together with others, and why."""
        reasons: dict[str, str] = {}
        if self.level == "byte":
            why = f"only applies to decoded text, but {setting('level')} byte decodes none"
            reasons |= dict.fromkeys(DECODING, why)
        if self.examples == "line":
            why = f"stands between texts, but with {setting('examples')} line each line is one"
            reasons["join"] = why
        for name in ("val", "test"):
            if getattr(self, name):
                why = f"holds out a part of the text, but {setting(name)} names another text"
                reasons[f"{name}_frac"] = why
        return reasons

    @property
    def held_out_by(self) -> str:
        """How the text is divided: ``tail``, ``blocks`` or ``examples``."""
        return self.hold_out or ("examples" if self.examples else "tail")

    @property
    def has_validation(self) -> bool:
        """Whether a part of the text, or another text, is used for validation."""
        return bool(self.val or self.val_frac)


@dataclass(frozen=True, init=False)
class TrainConfig(Configuration):
    """How a model is trained. A step is one update, computed from one window of all streams."""

    seq_len: int = declare(32, "Window length in steps.", group=TRAINING, least=1)
    batch: int = declare(32, "Parallel streams.", group=TRAINING, least=1)
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
        shown=f"{DEFAULT_STEPS} if none of them is given",
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
    weight_decay: float = declare(0.0, "Weight decay.", group=TRAINING, least=0)
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
        1, "With mpirun, updates that ranks make apart between averages.", group=TRAINING, least=1
    )
    outer_lr: float = declare(1.0, "Learning rate of averages.", group=TRAINING, above=0)
    outer_momentum: float = declare(0.5, "Momentum of averages.", group=TRAINING, least=0, below=1)
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
