"""``charrnn diagnose``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from charrnn.cli._command import Fields, given, takes
from charrnn.cli._diagnosing import check
from charrnn.cli._given import note_unknown
from charrnn.cli._output import write, write_json
from charrnn.cli._shared import (
    DEVICE,
    OUTPUT,
    OWN_READING,
    READING,
    Backend,
    Json,
    Run,
    note,
    open_backend,
    reading,
)
from charrnn.config import DECODING, DataConfig, ModelConfig, TrainConfig
from charrnn.diagnosis.settings import ASSUMABLE, HIDDEN, STEPS, Settings
from charrnn.display import one_line
from charrnn.errors import UsageError, option

if TYPE_CHECKING:
    from charrnn.backend import Backend as Engine
    from charrnn.diagnosis.report import Report
    from charrnn.diagnosis.subjects import Subject
    from charrnn.text import Corpus

EXIT_FINDING = 3
DEFAULT_TEXT = "python-docs"
WHAT, HOW_MUCH = "What to examine", "How much to measure"

Text = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TEXT",
        help="Text to examine on: a file, directory, - or built-in corpus; may be repeated. "
        "[default: the run's validation text; python-docs with --fresh and --compare]",
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

_MODEL = ("cell", "layers", "hidden", "embed", "init", "dtype")
_OWN = {
    name: f"the run's own; {getattr(config, name)} with --fresh and --compare"
    for config, names in ((TrainConfig, ASSUMABLE), (DataConfig, DECODING))
    for name in names
} | {name: OWN_READING[name] for name in READING[len(DECODING) :]}


@takes(
    Fields(Settings, group=HOW_MUCH),
    Fields(ModelConfig, _MODEL, {"hidden": f"{ModelConfig.hidden}; {HIDDEN} with --compare"}),
    Fields(DataConfig, ("level", *READING), _OWN),
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

    Verdicts, for --fail-on: broken, exploding, vanishing, saturated, clip-tight, clip-idle,
    lr-high, lr-low, truncation, context-unused. The README lists when each applies, and all keys.
    """
    check(context)
    wanted = _Request(
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
        return wanted.compare(compare, engine, codes)
    subject = wanted.fresh(engine) if fresh else wanted.of_run(context, run, engine, unknown)
    return wanted.examine(subject, codes)


@dataclass
class _Request:
    """The options that were given, and the actions that they ask for.

    ``model``, ``data`` and ``train`` hold those that were given, by the names of the
    configurations' fields.
    """

    texts: list[str]
    model: dict[str, Any]
    data: dict[str, Any]
    train: dict[str, Any]
    settings: Settings
    as_json: bool
    plot: Path | None
    html: Path | None

    def check(self) -> None:
        """Raise :class:`UsageError` for a page that cannot be drawn."""
        for path, suffixes in ((self.plot, (".png", ".svg", ".pdf")), (self.html, (".html",))):
            if path is not None and path.suffix.lower() not in suffixes:
                raise UsageError(
                    f"{one_line(path)} does not end in {' or '.join(suffixes)}", "name such a file"
                )
        if self.plot is not None:
            from charrnn.report.diagnose.plot import need_matplotlib

            need_matplotlib()

    def of_run(
        self,
        context: typer.Context,
        run: str | None,
        engine: Engine,
        unknown: Literal["error", "skip"],
    ) -> Subject:
        """Return a trained model, on its validation text or on the text given."""
        from charrnn.cli._progress import progress
        from charrnn.diagnosis import subjects
        from charrnn.storage import checkpoint, runs

        loaded = checkpoint.load(runs.resolve(run), finite=False)
        ids, name = None, ""
        note_unknown(context, loaded.vocabulary)
        if self.texts:
            how = reading(loaded, self.data)
            with progress("reading the text", self.texts):
                ids, notes = subjects.read_text(self.texts, loaded.vocabulary, unknown, **how)
            name = ", ".join(self.texts)
            for line in notes:
                note(line)
        return subjects.of_checkpoint(loaded, engine, ids, name, self.train)

    def fresh(self, engine: Engine) -> Subject:
        """Return an untrained model on the text given."""
        from charrnn.diagnosis import subjects
        from charrnn.train.request import Request

        config = Request(model=self.model).fresh_model()
        plan = TrainConfig(**{"seed": self.settings.seed} | self.train)
        corpus, name = self._corpus(val_frac=0.0)
        symbols = len(corpus.vocabulary)
        return subjects.untrained(config, symbols, corpus.train, name, plan, engine)

    def _corpus(self, val_frac: float) -> tuple[Corpus, str]:
        from charrnn.cli._progress import progress
        from charrnn.text import read_corpus

        texts = self.texts or [DEFAULT_TEXT]
        data = DataConfig(**self.data, sources=tuple(texts), val_frac=val_frac)
        data.refuse_unused(self.data)
        with progress("reading the text", texts):
            corpus = read_corpus(data)
        for line in corpus.notes:
            note(line)
        return corpus, ", ".join(texts)

    def examine(self, subject: Subject, codes: frozenset[str]) -> int:
        """Examine a model and report on it."""
        from charrnn.cli._progress import progress
        from charrnn.diagnosis.examine import examine

        with progress("examining") as show:
            report = examine(subject, self.settings, show, option)
        for line in report.notes if self.as_json else ():
            note(line)
        if self.as_json:
            write_json(report.to_json())
        else:
            from charrnn.report.diagnose.report import report_parts
            from charrnn.report.diagnose.terminal import make_console, render

            write(render(report_parts(report, make_console().width)))
        return self._finish([report], codes)

    def compare(self, names: str, engine: Engine, codes: frozenset[str]) -> int:
        """Train and examine several cells."""
        from charrnn.cli._progress import progress
        from charrnn.diagnosis import compare as comparing
        from charrnn.report.diagnose.compare import compare_parts
        from charrnn.report.diagnose.terminal import render

        configs = comparing.architectures(names.split(","), self.model)
        plan = TrainConfig(**{"steps": STEPS, "seed": self.settings.seed} | self.train)
        corpus, text = self._corpus(val_frac=DataConfig.val_frac)
        with progress("training") as show:
            contestants = [
                comparing.train_and_examine(
                    cell, config, corpus, plan, engine, self.settings, show, option
                )
                for cell, config in configs.items()
            ]
        if self.as_json:
            write_json(comparing.to_json(contestants, text))
        else:
            write(render(compare_parts(contestants, text)))
        return self._finish([one.report for one in contestants], codes)

    def history(self, run: str | None) -> int:
        """Show what training recorded."""
        from charrnn.diagnosis.history import read
        from charrnn.storage import runs
        from charrnn.storage.metrics import read_metrics

        path = runs.resolve(run, "last")
        recorded = read(str(path.parent), read_metrics(path.parent))
        if self.as_json:
            write_json(recorded.to_json())
        else:
            from charrnn.report.diagnose.history import history_parts
            from charrnn.report.diagnose.terminal import make_console, render

            write(render(history_parts(recorded, make_console().width)))
        return 0

    def _finish(self, reports: list[Report], codes: frozenset[str]) -> int:
        """Write the pages that were asked for; return the exit code."""
        if self.plot is not None:
            from charrnn.report.diagnose.plot import draw

            draw(reports, self.plot)
        if self.html is not None:
            from charrnn.report.diagnose.html import write_page

            write_page(reports, self.html)
        verdicts = {verdict.code for report in reports for verdict in report.verdicts}
        return EXIT_FINDING if codes & verdicts else 0
