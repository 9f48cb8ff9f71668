"""``charrnn diagnose``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from charrnn.architecture import OF_TASKS
from charrnn.cli._diagnosing import check
from charrnn.cli._examination import Examination
from charrnn.cli.parsing.command import Fields, given, takes
from charrnn.cli.parsing.shared import (
    DEVICE,
    LABELS,
    OUTPUT,
    OWN_READING,
    PAIRS,
    READING,
    Backend,
    Json,
    Run,
    open_backend,
)
from charrnn.config import DECODING, DataConfig, ModelConfig, TrainConfig
from charrnn.diagnosis.settings import ASSUMABLE, HIDDEN, STEPS, Settings

WHAT, HOW_MUCH = "What to examine", "How much to measure"

Text = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TEXT",
        help="Text to examine on: a file, directory, - or built-in corpus; may be repeated. "
        "[default: the run's validation text; python-docs with --fresh and --compare, with --task "
        "classify recall, transduce dates, generate walks]",
        show_default=False,
        rich_help_panel=WHAT,
    ),
]
Fresh = Annotated[
    bool,
    typer.Option(
        "--fresh", help="Examine an untrained model with the given options.", rich_help_panel=WHAT
    ),
]
Compare = Annotated[
    str | None,
    typer.Option(
        metavar="CELLS",
        help="Train these cells for --steps each and examine them side by side: rnn,gru,lstm.",
        rich_help_panel=WHAT,
    ),
]
History = Annotated[
    bool,
    typer.Option(
        "--history",
        help="Show the gradient norms that the run recorded during training.",
        rich_help_panel=WHAT,
    ),
]
Gradcheck = Annotated[
    bool,
    typer.Option(
        "--gradcheck",
        help="Also compare the gradients with central differences, and NumPy with CuPy.",
        rich_help_panel=HOW_MUCH,
    ),
]
Plot = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Draw the report on one page, .png, .svg or .pdf; needs charrnn[plot].",
        rich_help_panel=OUTPUT,
    ),
]
Html = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Write the report as one page that needs no network.",
        rich_help_panel=OUTPUT,
    ),
]
FailOn = Annotated[
    str | None,
    typer.Option(
        metavar="CODES",
        help="Exit with code 3 if any of these verdicts is found.",
        rich_help_panel=OUTPUT,
    ),
]
Unknown = Annotated[
    Literal["error", "skip"],
    typer.Option(help="What to do with symbols that the run does not know.", rich_help_panel=WHAT),
]
Threads = Annotated[
    int | None,
    typer.Option(
        help="Threads of matrix products, which are many and small here. [default: 1]",
        show_default=False,
        rich_help_panel=DEVICE,
    ),
]

_MODEL = (
    *("task", "cell", "layers", "hidden", "embed", "init", "dtype"),
    *(name for name in OF_TASKS if name != "grams"),  # it examines the network alone
)
_OWN = {
    name: f"the run's own; {getattr(config, name)} with --fresh and --compare"
    for config, names in ((TrainConfig, ASSUMABLE), (DataConfig, DECODING))
    for name in names
} | {name: OWN_READING[name] for name in READING[len(DECODING) :]}


@takes(
    Fields(Settings, group=HOW_MUCH),
    Fields(ModelConfig, _MODEL, {"hidden": f"{ModelConfig.hidden}; {HIDDEN} with --compare"}),
    Fields(DataConfig, ("level", *READING, *LABELS, *PAIRS), _OWN),
    Fields(TrainConfig, (*ASSUMABLE, "steps"), _OWN | {"steps": f"{STEPS}, with --compare"}),
)
def diagnose(
    context: typer.Context,
    run: Run = None,
    corpus: Text = None,
    fresh: Fresh = False,
    compare: Compare = None,
    history: History = False,
    gradcheck: Gradcheck = False,
    unknown: Unknown = "error",
    as_json: Json = False,
    plot: Plot = None,
    html: Html = None,
    fail_on: FailOn = None,
    backend: Backend = "auto",
    threads: Threads = None,
) -> int:
    """Examine the gradients of a model: how far back they reach, and what is wrong with them.

    A run is examined on its own validation text, with its own training options; --lr, --seq-len,
    --clip-norm and the like show what they would change. --fresh and --compare create models from
    the options. Norms, gates and context are measured in the model's precision, the rest in
    float64.

    A classifier is examined on labelled texts: its one loss is at the end, and the lag profile runs
    from there to the beginning. A transducer is examined on pairs: the profile of a symbol's loss
    runs through the decoder and the encoder, with and without what attention adds. A generator's
    is of a symbol of each text. What is not defined for a task is named, with the reason
    ("not_measured").

    With --json one object: "parameters", "layers" (norms by name: "weight_norm", "grad" and
    "update_ratio" with "mean", "median", "p95"), "global" (the same of all, "clip", "loss",
    "loss_change", "series"), "lag_profile" ("anchors": offsets in the text; "context"; "layers": a
    list, each with "lags", the means G "h" and, for an LSTM, "c", their "h_q25", "h_median",
    "h_q75", "half_life", "efold", "efold_fit", "at_seq_len", and those of c as "c_half_life" and so
    on), "recurrent" ("layer", "gate", "spectral_radius", "sigma_max", "vanishing_sufficient"),
    "lyapunov" ("steps", "overflow", "layers": "exponents", "memory_time", "drift", "products"),
    "gates" (by layer: "gates", "time_constants", "units"), "context" ("used", "used_99", "lengths",
    "loss", "replaced", "gain", "error", "beyond_window", "position": "carried", "reset"),
    "gradcheck", "verdicts" (each "code", "layer", "basis", "message", "remedy", "source"). A number
    that is not finite, or does not exist, is null. With --compare "cells" holds one such object per
    cell, "horizons" their figures; with --history "grad_norm", "layers", "update_ratios",
    "clip_rate" and "jumps".

    Verdicts, for --fail-on: broken, exploding, vanishing, saturated, unstable, overfitting,
    clip-tight, clip-idle, lr-high, lr-low, cut-short, truncation, context-unused.
    docs/howto/diagnose.md lists when each applies, and all keys.
    """
    check(context)
    wanted = Examination(
        texts=corpus or [],
        model=given(context, ModelConfig),
        data=given(context, DataConfig),
        train=given(context, TrainConfig),
        settings=Settings(**given(context, Settings), gradcheck=gradcheck),
        as_json=as_json,
        plot=plot,
        html=html,
    )
    wanted.check()
    codes: frozenset[str] = frozenset()
    if fail_on is not None:
        from charrnn.diagnosis.verdicts import chosen

        codes = chosen(fail_on)
    if history:
        return wanted.history(run)
    from charrnn.backend.threads import limit_threads

    engine = open_backend(backend, None, core="numpy")
    limit_threads(1 if threads is None else threads)
    if compare is not None:
        return wanted.compare(context, compare, engine, codes)
    subject = (
        wanted.fresh(context, engine) if fresh else wanted.of_run(context, run, engine, unknown)
    )
    return wanted.examine(subject, codes)
