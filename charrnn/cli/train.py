"""``charrnn train``."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.cli._shared import (
    Backend,
    Matmul,
    Threads,
    memory_told,
    note,
    note_fallback,
    note_slower,
    open_backend,
)
from charrnn.cli._signals import Deferral
from charrnn.config import DEFAULT_STEPS, DataConfig, ModelConfig, TrainConfig
from charrnn.settings import Configuration

if TYPE_CHECKING:
    from charrnn.report.training import Report
    from charrnn.train.session import Session


def _option(*flags: str, help: str, default: object = None) -> Any:
    shown = f"{help} [default: {default}]" if default is not None else help
    return typer.Option(*flags, help=shown, show_default=False)


def train(
    context: typer.Context,
    corpus: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CORPUS...",
            help="Files, directories, - for standard input, or a built-in corpus "
            "(charrnn corpus list). Joined in order. May be left out with --resume.",
        ),
    ] = None,
    level: Annotated[
        str | None, _option(help="Symbols: char, byte or word.", default=DataConfig.level)
    ] = None,
    encoding: Annotated[
        str | None, _option(help="Encoding of the text.", default=DataConfig.encoding)
    ] = None,
    errors: Annotated[
        str | None,
        _option(help="Invalid text: strict (an error) or replace.", default=DataConfig.errors),
    ] = None,
    min_count: Annotated[
        int | None,
        _option(
            help="Fold symbols that occur less often into the unknown symbol.",
            default=DataConfig.min_count,
        ),
    ] = None,
    val_frac: Annotated[
        float | None,
        _option(
            help="Share of the text, after the training text, for validation.",
            default=DataConfig.val_frac,
        ),
    ] = None,
    test_frac: Annotated[
        float | None,
        _option(help="Share of the text, at its end, for testing.", default=DataConfig.test_frac),
    ] = None,
    val: Annotated[
        list[str] | None, _option(help="Validation text of its own; may be repeated.")
    ] = None,
    test: Annotated[
        list[str] | None, _option(help="Test text of its own; may be repeated.")
    ] = None,
    cell: Annotated[
        str | None, _option(help="lstm, gru or rnn (vanilla).", default=ModelConfig.cell)
    ] = None,
    layers: Annotated[
        int | None, _option(help="Stacked layers.", default=ModelConfig.layers)
    ] = None,
    hidden: Annotated[
        int | None, _option(help="Units of a layer.", default=ModelConfig.hidden)
    ] = None,
    embed: Annotated[
        int | None,
        _option(
            help="Width of a learned embedding; 0: one-hot straight into the first layer.",
            default=ModelConfig.embed,
        ),
    ] = None,
    activation: Annotated[
        str | None, _option(help="Of the rnn: tanh or relu.", default="tanh")
    ] = None,
    gru_reset: Annotated[
        str | None,
        _option(
            help="Reset gate after the recurrent product (as PyTorch) or before (as Cho 2014).",
            default="after",
        ),
    ] = None,
    forget_bias: Annotated[
        float | None,
        _option(
            help="Initial bias of the LSTM's forget gate.",
            default=1.0,
        ),
    ] = None,
    init: Annotated[
        str | None,
        _option(
            help="Initial weights: uniform, xavier, orthogonal, or identity (rnn alone).",
            default=ModelConfig.init,
        ),
    ] = None,
    dropout: Annotated[
        float | None,
        _option(help="Dropout between layers and before the output.", default=ModelConfig.dropout),
    ] = None,
    dtype: Annotated[
        str | None, _option(help="float32 or float64.", default=ModelConfig.dtype)
    ] = None,
    seq_len: Annotated[
        int | None, _option(help="Steps of a window.", default=TrainConfig.seq_len)
    ] = None,
    batch: Annotated[
        int | None, _option(help="Parallel streams.", default=TrainConfig.batch)
    ] = None,
    state: Annotated[
        str | None,
        _option(
            help="carry the hidden state from window to window, or reset it.",
            default=TrainConfig.state,
        ),
    ] = None,
    restart: Annotated[
        float | None,
        _option(
            help="Probability that a stream begins a window from a zero state.",
            default=TrainConfig.restart,
        ),
    ] = None,
    steps: Annotated[
        int | None,
        _option(
            help="Stop after so many windows. The first of --steps, --epochs and --minutes counts",
            default=f"{DEFAULT_STEPS} if none of them is given",
        ),
    ] = None,
    epochs: Annotated[float | None, _option(help="Stop after so many passes.")] = None,
    minutes: Annotated[float | None, _option(help="Stop after so much time.")] = None,
    optimizer: Annotated[
        str | None, _option(help="adam, adamw, rmsprop or sgd.", default=TrainConfig.optimizer)
    ] = None,
    momentum: Annotated[float | None, _option(help="Of sgd.", default=0.9)] = None,
    lr: Annotated[float | None, _option(help="Learning rate.", default=TrainConfig.lr)] = None,
    schedule: Annotated[
        str | None,
        _option(
            help="Learning rate over time: cosine, constant, plateau or step.",
            default=TrainConfig.schedule,
        ),
    ] = None,
    horizon: Annotated[
        int | None, _option(help="Steps of the schedule.", default="until training stops")
    ] = None,
    warmup: Annotated[
        int | None,
        _option(help="Steps over which the learning rate rises.", default=TrainConfig.warmup),
    ] = None,
    weight_decay: Annotated[
        float | None, _option(help="Weight decay.", default=TrainConfig.weight_decay)
    ] = None,
    clip_norm: Annotated[
        float | None,
        _option(help="Largest norm of the gradient; 0: any.", default=TrainConfig.clip_norm),
    ] = None,
    clip_value: Annotated[
        float | None,
        _option(
            help="Largest magnitude of a gradient's element; 0: any.",
            default=TrainConfig.clip_value,
        ),
    ] = None,
    patience: Annotated[
        int | None,
        _option(
            help="Stop after so many evaluations without a better loss; 0: never.",
            default=TrainConfig.patience,
        ),
    ] = None,
    seed: Annotated[
        int | None, _option(help="Of all random numbers.", default=TrainConfig.seed)
    ] = None,
    log_every: Annotated[
        int | None, _option(help="Steps between reports.", default=TrainConfig.log_every)
    ] = None,
    eval_every: Annotated[
        int | None,
        _option(help="Steps between evaluations; 0: at the end.", default=TrainConfig.eval_every),
    ] = None,
    save_every: Annotated[
        int | None,
        _option(help="Steps between checkpoints; 0: at the end.", default=TrainConfig.save_every),
    ] = None,
    sample_every: Annotated[
        int | None,
        _option(help="Steps between short samples; 0: none.", default=TrainConfig.sample_every),
    ] = None,
    keep: Annotated[
        int | None,
        _option(
            help="Numbered checkpoints to keep besides best and last.", default=TrainConfig.keep
        ),
    ] = None,
    watch: Annotated[
        int | None,
        _option(
            help="Steps between records of gradient norms by layer (charrnn diagnose --history); "
            "0: none.",
            default=TrainConfig.watch,
        ),
    ] = None,
    max_rollbacks: Annotated[
        int | None,
        _option(
            help="Divergences after which training goes back to its last checkpoint and on at half "
            "the rate; at the next it stops.",
            default=TrainConfig.max_rollbacks,
        ),
    ] = None,
    eval_chars: Annotated[
        int | None,
        _option(
            help="Characters of the validation text to evaluate on.", default=TrainConfig.eval_chars
        ),
    ] = None,
    name: Annotated[
        str | None, _option(help="Name of the run.", default="from the first text")
    ] = None,
    out: Annotated[
        str | None, _option(help="Folder of the run.", default="checkpoints/NAME")
    ] = None,
    resume: Annotated[
        str | None,
        _option(help="Continue RUN (folder, name, file, or last) exactly where it was saved."),
    ] = None,
    init_from: Annotated[
        str | None, _option(help="Start a new run from the weights of RUN.")
    ] = None,
    dry_run: Annotated[
        bool,
        _option(
            "--dry-run",
            help="Only tell parameters, memory and time, measured on a few steps; no run is made.",
        ),
    ] = False,
    quiet: Annotated[bool, _option("--quiet", "-q", help="Print nothing but errors.")] = False,
    as_json: Annotated[
        bool, _option("--json", help="One JSON object an event on standard output.")
    ] = False,
    backend: Backend = "auto",
    matmul: Matmul = "fp32",
    threads: Threads = None,
) -> int:
    """Train a model on a text, and keep it under checkpoints/.

    Ctrl-C finishes the step, saves, and says how to go on; a second Ctrl-C leaves at once.
    """
    from charrnn.report.training import choose
    from charrnn.train.request import Request

    options = context.params.items()
    given = {name: value for name, value in options if value is not None and value != []}
    given |= {name: tuple(value) for name, value in given.items() if isinstance(value, list)}

    def of(config: type[Configuration]) -> dict[str, Any]:
        return {name: value for name, value in given.items() if config.knows(name)}

    request = Request(
        sources=tuple(corpus or ()),
        model=of(ModelConfig),
        data=of(DataConfig),
        train=of(TrainConfig),
        name=name,
        out=out,
        resume=resume,
        init_from=init_from,
    )
    request.check()
    from charrnn.train.opening import open_session

    engine = open_backend(backend, threads, matmul, tell=False)

    if dry_run:
        return _dry_run(open_session(request, engine, dry=True), as_json)
    with Deferral() as stop:
        session = open_session(request, engine, interrupted=stop.asked, commit=stop.begin)
        with closing(session):
            if not quiet:
                note_fallback(engine)
            code = _follow(session, stop, choose(quiet, as_json))
            if not quiet:
                note_slower(engine)
            return code


def _dry_run(session: Session, as_json: bool) -> int:
    """Tell what the training would take, on standard output."""
    from charrnn.report.dry_run import dry_run
    from charrnn.train.dry_run import measure

    assert session.needed is not None
    found = measure(session.loop, session.needed)
    if as_json:
        sys.stdout.write(json.dumps(found.to_json()) + "\n")
    else:
        sys.stdout.buffer.write(dry_run(session.model.config, found).encode())
    return 0


def _follow(session: Session, stop: Deferral, report: Report) -> int:
    """Train, and show what happens; return the exit code."""
    for line in session.notes:
        note(line)
    if session.finished:
        note(f"the run in {session.folder} is finished; give a later --steps to go on")
        return 0
    stop.farewell = report.abandon
    try:
        need = session.needed.total if session.needed else None
        with memory_told(need), report, closing(session.records()) as records:
            for record in records:
                report.show(record)
    except OSError:
        if not stop.asked():
            raise  # else the terminal has gone, too
    return stop.exit_code
