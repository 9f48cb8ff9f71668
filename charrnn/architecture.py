"""The configuration of a model: its task, and all that determines its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from charrnn.display import either
from charrnn.errors import UsageError, setting
from charrnn.options import MODEL, declare, declared
from charrnn.registry import CELLS
from charrnn.settings import Configuration, Values

TASKS = ("lm", "classify", "tag", "transduce", "generate")
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "lm": {},
    "classify": {
        "hidden": 128,
        "bidirectional": True,
        "ngrams": 4,
        "counts": 0.5,
        "dropout": 0.5,
        "hide_symbols": 0.1,
        "batch": 64,
        "lr": 4e-3,
        "epochs": 20,
        "eval_every": 100,
    },
    "tag": {
        "hidden": 128,
        "bidirectional": True,
        "dropout": 0.5,
        "batch": 64,
        "lr": 4e-3,
        "min_count": 2,
        "eval_every": 200,
    },
    "transduce": {
        "hidden": 128,
        "bidirectional": True,
        "dropout": 0.2,
        "batch": 64,
        "lr": 4e-3,
    },
    "generate": {
        "hidden": 256,
        "embed": 32,
        "dropout": 0.4,
        "batch": 64,
        "lr": 4e-3,
        "eval_every": 250,
    },
}
"""For each task the settings whose default is another than the one declared.

The figures behind those of classify and transduce are in ``benchmarks/LOG.md``. A classifier that
reads the same texts too often learns them by heart: hence the hidden symbols, and the end after so
many epochs, unless the number of steps is given. Its best weights often come early, hence the
frequent evaluations.
"""
MOST_GRAMS = 1 << 23
"""The most n-grams that a language model may count: float32 holds every number up to there."""
SUITED = ("writer",)
"""Settings that follow from the data unless they are given."""
ADAPTABLE = ("dropout", "recurrent_dropout", "ngrams", "counts", "grams", "writer")
"""Settings that a new run from another run's weights may change."""
OF_WORDS: Mapping[str, Mapping[str, Any]] = {
    "classify": {
        "min_count": 2,
        "embed": 64,
        "embed_scale": 0.1,
        "ngrams": 0,
        "hide_symbols": 0.2,
        "lr": 8e-3,
        "epochs": 10,
    },
}
"""The same of a task at word level, where they differ from those of its characters.

With ``min_count`` 1 no word that is trained on would be unknown, and so no meaning of an unknown
word be learnt. Without an embedding each of some ten thousand words has 4·H weights of its own; one
that begins large names each word rather than what it has in common with others.
"""
LOOKING_AHEAD = ("classify", "tag", "transduce")
"""The tasks whose networks may read a sequence in both directions."""
LABELLED = ("classify", "generate")
"""The tasks whose examples are a text and its label."""
INITS = ("uniform", "xavier", "orthogonal", "identity")


def defaults(
    task: str, level: str = "char", of: type[Configuration] = Configuration
) -> dict[str, Any]:
    """Return the settings of a task whose default is another than the one declared.

    ``of`` is the configuration whose settings are wanted; by default those of all.
    """
    own = {**DEFAULTS.get(task, {}), **(OF_WORDS.get(task, {}) if level == "word" else {})}
    return {n: value for n, value in own.items() if of is Configuration or of.knows(n)}


@dataclass(frozen=True, init=False)
class ModelConfig(Configuration):
    """The architecture: all that determines names, shapes and initial values of the weights."""

    task: str = declare(
        "lm",
        "What to learn: lm (to predict each symbol from those before it), classify (a label for "
        "each text), tag (a label for each symbol or token), transduce (a text from each text) or "
        "generate (texts that have a label).",
        group=MODEL,
        choices=TASKS,
    )
    cell: str = declare("lstm", "Recurrent cell.", group=MODEL, choices=CELLS.names)
    layers: int = declare(1, "Stacked layers.", group=MODEL, least=1)
    hidden: int = declare(512, "Hidden units of a layer.", group=MODEL, least=1)
    embed: int = declare(
        0,
        "Width of a learned embedding; 0 feeds one-hot vectors into the first layer.",
        group=MODEL,
        least=0,
    )
    embed_scale: float = declare(
        1.0,
        "Standard deviation of the initial embedding.",
        group=MODEL,
        above=0,
    )
    init: str = declare(
        "uniform",
        "Initial weights.",
        group=MODEL,
        choices=INITS,
    )
    dropout: float = declare(
        0.0,
        "Share of the outputs of each layer that an update leaves out, against learning by heart.",
        group=MODEL,
        least=0,
        below=1,
    )
    recurrent_dropout: float = declare(
        0.0,
        "Share of the recurrent weights that an update leaves out (DropConnect).",
        group=MODEL,
        least=0,
        below=1,
    )
    dtype: str = declare(
        "float32", "Precision of all numbers.", group=MODEL, choices=("float32", "float64")
    )
    bidirectional: bool = declare(
        False,
        "Read each sequence in both directions (--task classify or tag, or the source of "
        "transduce), or only forwards.",
        group=MODEL,
        shown="both with these tasks",
        switch=True,
        tasks=LOOKING_AHEAD,
    )
    pool: str = declare(
        "mean",
        "What --task classify decides by: the output at the last step, or the mean or maximum over "
        "the steps.",
        group=MODEL,
        choices=("last", "mean", "max"),
        tasks=("classify",),
    )
    ngrams: int = declare(
        0,
        "Longest n-grams of symbols that have weights of their own in --task classify, beside the "
        "recurrent layers; 0: none.",
        group=MODEL,
        least=0,
        most=64,
        tasks=("classify",),
    )
    counts: float = declare(
        0.0,
        "Share that counts of the n-grams of each label have in what --task classify decides, "
        "beside the network; 0: none.",
        group=MODEL,
        least=0,
        below=1,
        tasks=("classify",),
    )
    grams: int = declare(
        0,
        "Most n-grams of the training text, of up to 7 symbols, that are counted beside a language "
        "model (--task lm); 0: none.",
        group=MODEL,
        least=0,
        most=MOST_GRAMS,
        shown="as planned; without a plan 0, with --init-from those of the run and this text",
        tasks=("lm",),
    )
    writer: int = declare(
        0,
        "Units of a language model given the label that decides in --task classify with network "
        "and --counts; 0: none.",
        shown="192 for texts of at most 16 symbols on average with 5 labels or more, else 0",
        group=MODEL,
        least=0,
        tasks=("classify",),
    )
    attention: str = declare(
        "dot",
        "How the decoder of --task transduce attends to the source: dot (Luong 2015), additive "
        "(Bahdanau 2015), or none: it knows the source from its initial state alone.",
        group=MODEL,
        choices=("dot", "additive", "none"),
        tasks=("transduce",),
    )

    cell_options: Values = field(default_factory=Values)
    """The options that the cell declares."""

    chosen: ClassVar = {"cell": CELLS}

    def _check_together(self) -> None:
        if self.bidirectional and self.task not in LOOKING_AHEAD:
            raise UsageError(
                f"{setting('bidirectional')} lets a network see what {setting('task')} {self.task} "
                "predicts",
                f"leave it out, or set {setting('task')} to {either(LOOKING_AHEAD)}",
            )
        if self.init not in CELLS.get(self.cell).inits:
            names = CELLS.names()
            owners = [name for name in names if self.init in CELLS.get(name).inits]
            raise UsageError(
                f"{setting('init')} {self.init} only applies to {setting('cell')} "
                f"{either(owners)}, not {self.cell}",
                f"use {setting('init')} orthogonal for gated cells",
            )

    def unused(self) -> dict[str, str]:
        """Return the settings that have no effect together with others, and why."""
        reasons = {
            name: f"only applies to {setting('task')} {either(tasks)}"
            for name, tasks in OF_TASKS.items()
            if self.task not in tasks
        }
        if self.task == "classify" and not self.counts:
            reasons["writer"] = f"only applies together with {setting('counts')}"
        if not self.embed:
            reasons["embed_scale"] = f"only applies to an embedding, but {setting('embed')} is 0"
        return reasons


OF_TASKS = {name: each.tasks for name, each in declared(ModelConfig).items() if each.tasks}
"""The settings that only have an effect on some tasks, and those tasks."""
