"""``charrnn diagnose``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from charrnn.cli._output import Output, json_line
from charrnn.cli._shared import Backend, Run, note, open_backend
from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.diagnosis.settings import ASSUMABLE, Settings
from charrnn.display import brief, one_line
from charrnn.errors import UsageError, option
from charrnn.settings import Configuration

if TYPE_CHECKING:
    from charrnn.backend import Backend as Engine
    from charrnn.diagnosis.report import Report
    from charrnn.diagnosis.subjects import Subject
    from charrnn.text import Corpus

EXIT_FINDING = 3
DEFAULT_TEXT = "python-docs"


def _option(*flags: str, help: str, default: object = None, metavar: str | None = None) -> Any:
    shown = f"{help} [default: {default}]" if default is not None else help
    return typer.Option(*flags, help=shown, show_default=False, metavar=metavar)


def diagnose(
    context: typer.Context,
    run: Run = None,
    corpus: Annotated[
        list[str] | None,
        _option(
            help="Text to examine on: a file, directory, - or built-in corpus; may be repeated.",
            default="the run's validation text; python-docs with --fresh and --compare",
            metavar="TEXT",
        ),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Examine an untrained model of the given options.")
    ] = False,
    compare: Annotated[
        str | None,
        _option(
            help="Train these cells alike (--steps) and examine them side by side: rnn,gru,lstm.",
            metavar="CELLS",
        ),
    ] = None,
    history: Annotated[
        bool,
        typer.Option("--history", help="Show the gradient norms that the run's training recorded."),
    ] = False,
    gradcheck: Annotated[
        bool,
        typer.Option(
            "--gradcheck",
            help="Also hold the gradients against central differences, and NumPy against CuPy.",
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object on standard output.")
    ] = False,
    plot: Annotated[
        Path | None,
        _option(
            help="Draw the report on one page, .png, .svg or .pdf; needs charrnn[plot].",
            metavar="FILE",
        ),
    ] = None,
    html: Annotated[
        Path | None,
        _option(help="Write the report as one page that needs no network.", metavar="FILE"),
    ] = None,
    fail_on: Annotated[
        str | None,
        _option(help="Exit with 3 if one of these verdicts is found.", metavar="CODES"),
    ] = None,
    windows: Annotated[
        int | None, _option(help="Windows over which norms and gates are taken.", default=20)
    ] = None,
    max_lag: Annotated[
        int | None,
        _option(
            help="Largest lag of the lag profile.", default="64, or --seq-len if that is longer"
        ),
    ] = None,
    context_length: Annotated[
        int | None,
        _option(
            "--context",
            help="Characters read before each anchor, and the longest context.",
            default="twice the largest lag",
        ),
    ] = None,
    anchors: Annotated[
        int | None, _option(help="Single-step losses of the lag profile.", default=256)
    ] = None,
    targets: Annotated[
        int | None, _option(help="Characters predicted with context cut.", default=256)
    ] = None,
    lyapunov_steps: Annotated[
        int | None, _option(help="Steps along which Jacobians are multiplied.", default=3000)
    ] = None,
    seed: Annotated[
        int | None, _option(help="Of anchors and of fresh weights.", default=TrainConfig.seed)
    ] = None,
    cell: Annotated[
        str | None, _option(help="With --fresh: lstm, gru or rnn.", default=ModelConfig.cell)
    ] = None,
    layers: Annotated[
        int | None, _option(help="Stacked layers.", default=ModelConfig.layers)
    ] = None,
    hidden: Annotated[
        int | None,
        _option(help="Units of a layer.", default=f"{ModelConfig.hidden}; --compare: 128"),
    ] = None,
    embed: Annotated[
        int | None, _option(help="Width of the embedding; 0: one-hot.", default=ModelConfig.embed)
    ] = None,
    activation: Annotated[
        str | None, _option(help="Of the rnn: tanh or relu.", default="tanh")
    ] = None,
    gru_reset: Annotated[
        str | None, _option(help="Of the gru: after or before.", default="after")
    ] = None,
    forget_bias: Annotated[float | None, _option(help="Of the lstm.", default=1.0)] = None,
    init: Annotated[
        str | None,
        _option(
            help="Initial weights: uniform, xavier, orthogonal or identity.",
            default=ModelConfig.init,
        ),
    ] = None,
    dtype: Annotated[
        str | None, _option(help="float32 or float64.", default=ModelConfig.dtype)
    ] = None,
    level: Annotated[
        str | None, _option(help="Symbols: char, byte or word.", default=DataConfig.level)
    ] = None,
    seq_len: Annotated[
        int | None,
        _option(help="Steps of a window; of a run its own.", default=TrainConfig.seq_len),
    ] = None,
    batch: Annotated[
        int | None, _option(help="Parallel streams; of a run its own.", default=TrainConfig.batch)
    ] = None,
    state: Annotated[
        str | None, _option(help="carry or reset; of a run its own.", default=TrainConfig.state)
    ] = None,
    optimizer: Annotated[
        str | None,
        _option(help="adam, adamw, rmsprop or sgd; of a run its own.", default="adam"),
    ] = None,
    lr: Annotated[
        float | None, _option(help="Learning rate; of a run its own.", default=TrainConfig.lr)
    ] = None,
    clip_norm: Annotated[
        float | None,
        _option(help="Largest norm; of a run its own.", default=TrainConfig.clip_norm),
    ] = None,
    steps: Annotated[
        int | None, _option(help="With --compare: steps that each is trained.", default=1000)
    ] = None,
    unknown: Annotated[
        Literal["error", "skip"],
        typer.Option(help="What to do with symbols that the run does not know."),
    ] = "error",
    backend: Backend = "auto",
    threads: Annotated[
        int | None,
        _option(help="Threads of matrix products, which are many and small here.", default=1),
    ] = None,
) -> int:
    """Examine the gradients of a model: how far back they reach, and what is wrong with them.

    A run is examined on its own validation text, under its own training options; --lr, --seq-len,
    --clip-norm and the like ask what would be. --fresh and --compare make models of the options
    given. Norms, gates and context are measured in the model's own type, all else in float64.

    With --json one object: "parameters", "layers" (norms by name: "weight_norm", "grad" and
    "update_ratio" with "mean", "median", "p95"), "global" (the same of all, "clip", "loss",
    "series"), "lag_profile" ("anchors": offsets in the text; "context"; "layers": a list, each with
    "lags", the means G "h" and, of an lstm, "c", their "h_q25", "h_median", "h_q75", "half_life",
    "efold", "efold_fit", "at_seq_len", and those of c as "c_half_life" and so on), "recurrent"
    ("layer", "gate", "spectral_radius", "sigma_max", "vanishing_sufficient"), "lyapunov" ("steps",
    "overflow", "layers": "exponents", "memory_time", "drift", "products"), "gates" (by layer:
    "gates", "time_constants", "units"), "context" ("used", "used_99", "lengths", "loss",
    "replaced", "gain", "position": "carried", "reset"), "gradcheck", "verdicts" (each "code",
    "layer", "basis", "message", "remedy", "source"). A number that is not finite, or does not
    exist, is null. With --compare "cells" holds one such object a cell, "horizons" their figures;
    with --history "grad_norm", "layers", "update_ratios", "clip_rate" and "jumps".

    Verdicts, for --fail-on: broken, exploding, vanishing, saturated, clip-tight, clip-idle,
    lr-high, lr-low, truncation, context-unused. The README tells when each is said.
    """
    wanted = _Wanted(context.params, as_json, plot, html)
    wanted.check(run, fresh, compare, history)
    codes = _codes(fail_on)
    if history:
        return wanted.history(run)
    engine = open_backend(backend, threads or 1)
    if compare is not None:
        return wanted.compare(compare, engine, codes)
    subject = wanted.fresh(engine) if fresh else wanted.of_run(run, engine, unknown)
    return wanted.examine(subject, codes)


class _Wanted:
    """The options as they were given, and what is done about them."""

    def __init__(
        self, options: dict[str, Any], as_json: bool, plot: Path | None, html: Path | None
    ) -> None:
        self.given = {name: value for name, value in options.items() if value is not None}
        if "context_length" in self.given:
            self.given["context"] = self.given.pop("context_length")
        self.as_json, self.plot, self.html = as_json, plot, html

    def of(self, record: type[Any]) -> dict[str, Any]:
        """Return the options that are fields of ``record``."""
        if issubclass(record, Configuration):
            return {name: value for name, value in self.given.items() if record.knows(name)}
        return {f.name: self.given[f.name] for f in fields(record) if f.name in self.given}

    def check(self, run: str | None, fresh: bool, compare: str | None, history: bool) -> None:
        """Raise :class:`UsageError` for options that exclude each other."""
        made = {"--fresh": fresh, "--compare": compare is not None}
        chosen = [name for name, on in {**made, "--history": history}.items() if on]
        if len(chosen) > 1:
            raise UsageError(f"{chosen[0]} and {chosen[1]} exclude each other", "give one of them")
        making = any(made.values())
        if making and run is not None:
            raise UsageError(f"{chosen[0]} makes its own model", "leave out RUN, or the option")
        if not making:
            for name in (*self.of(ModelConfig), "level"):
                if name in self.given:
                    raise UsageError(f"{option(name)} is for --fresh and --compare", "leave it out")
        if compare is None and "steps" in self.given:
            raise UsageError("--steps is for --compare", "leave it out")
        if compare is not None and "cell" in self.given:
            raise UsageError("--compare names the cells itself", "leave out --cell")
        if history and (self.plot or self.html):
            raise UsageError("--history has no page to draw", "leave out --plot and --html")
        for path, suffixes in ((self.plot, (".png", ".svg", ".pdf")), (self.html, (".html",))):
            if path is not None and path.suffix.lower() not in suffixes:
                raise UsageError(
                    f"{one_line(path)} does not end in {' or '.join(suffixes)}", "name such a file"
                )
        if self.plot is not None:
            from charrnn.report.diagnose.plot import need_matplotlib

            need_matplotlib()

    def settings(self) -> Settings:
        """Return how much to measure."""
        return Settings(**self.of(Settings))

    def training(self) -> dict[str, Any]:
        """Return the training settings that were given."""
        return {name: self.given[name] for name in ASSUMABLE if name in self.given}

    def of_run(self, run: str | None, engine: Engine, unknown: Literal["error", "skip"]) -> Subject:
        """Return a trained model, on its validation text or on the text given."""
        from charrnn.diagnosis import subjects
        from charrnn.storage import checkpoint, runs

        loaded = checkpoint.load(runs.resolve(run), finite=False)
        ids, name = None, ""
        if sources := self.given.get("corpus"):
            ids, notes = subjects.read_text(sources, loaded.vocabulary, unknown)
            name = ", ".join(sources)
            for line in notes:
                note(line)
        return subjects.of_checkpoint(loaded, engine, ids, name, self.training())

    def fresh(self, engine: Engine) -> Subject:
        """Return an untrained model on the text given."""
        from charrnn.diagnosis import subjects
        from charrnn.train.request import Request

        config = Request(model=self.of(ModelConfig)).fresh_model()
        plan = TrainConfig(**self.training(), seed=self.given.get("seed", TrainConfig.seed))
        corpus, name = self._corpus(val_frac=0.0)
        symbols = len(corpus.vocabulary)
        return subjects.untrained(config, symbols, corpus.train, name, plan, engine)

    def _corpus(self, val_frac: float) -> tuple[Corpus, str]:
        from charrnn.text import open_corpus

        text = self.given.get("corpus") or [DEFAULT_TEXT]
        level = self.given.get("level", DataConfig.level)
        DataConfig(level=level)  # checks the value
        corpus = open_corpus(text, level=level, val_frac=val_frac)
        for line in corpus.notes:
            note(line)
        return corpus, ", ".join(text)

    def examine(self, subject: Subject, codes: frozenset[str]) -> int:
        """Examine a model and report on it."""
        from charrnn.diagnosis.examine import examine

        with _progress() as show:
            report = examine(subject, self.settings(), show, option)
        for line in report.notes if self.as_json else ():
            note(line)
        if self.as_json:
            _write(json_line(report.to_json()))
        else:
            from charrnn.report.diagnose.report import report_parts
            from charrnn.report.diagnose.terminal import make_console, render

            _write(render(report_parts(report, make_console().width)))
        return self._finish([report], codes)

    def compare(self, names: str, engine: Engine, codes: frozenset[str]) -> int:
        """Train and examine several cells."""
        from charrnn.diagnosis import compare as comparing
        from charrnn.report.diagnose.compare import compare_parts
        from charrnn.report.diagnose.terminal import render

        configs = comparing.architectures(names.split(","), self.of(ModelConfig))
        plan = TrainConfig(
            steps=self.given.get("steps", comparing.STEPS),
            seed=self.given.get("seed", TrainConfig.seed),
            **self.training(),
        )
        settings = self.settings()
        corpus, text = self._corpus(val_frac=0.1)
        with _progress() as show:
            contestants = [
                comparing.train_and_examine(
                    cell, config, corpus, plan, engine, settings, show, option
                )
                for cell, config in configs.items()
            ]
        if self.as_json:
            _write(json_line(comparing.to_json(contestants, text)))
        else:
            _write(render(compare_parts(contestants, text)))
        return self._finish([one.report for one in contestants], codes)

    def history(self, run: str | None) -> int:
        """Show what training recorded."""
        from charrnn.diagnosis.history import read
        from charrnn.storage import runs
        from charrnn.storage.metrics import read_metrics

        path = runs.resolve(run, "last")
        recorded = read(str(path.parent), read_metrics(path.parent))
        if self.as_json:
            _write(json_line(recorded.to_json()))
        else:
            from charrnn.report.diagnose.history import history_parts
            from charrnn.report.diagnose.terminal import make_console, render

            _write(render(history_parts(recorded, make_console().width)))
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


def _codes(listed: str | None) -> frozenset[str]:
    """Return the verdicts of --fail-on."""
    if listed is None:
        return frozenset()
    from charrnn.diagnosis.verdicts import CODES

    codes = frozenset(code.strip() for code in listed.split(","))
    for code in sorted(codes - set(CODES)):
        raise UsageError(
            f"--fail-on {brief(code)} is not a verdict", f"choose from {', '.join(CODES)}"
        )
    return codes


@contextmanager
def _progress() -> Iterator[Callable[[str], object]]:
    """Say on a terminal what is being computed; nowhere else."""
    if not sys.stderr.isatty():
        yield lambda stage: None
        return
    from rich.console import Console

    with Console(stderr=True).status("reading") as status:
        yield status.update


def _write(data: bytes) -> None:
    out = Output()
    out.write(data)
    out.finish()
