"""``charrnn bench``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from charrnn.cli.parsing.command import Fields, given, takes
from charrnn.cli.parsing.given import refuse, refuse_on_gpu
from charrnn.cli.parsing.shared import (
    DEVICE,
    Backend,
    Core,
    Json,
    Matmul,
    note,
    note_fallback,
    open_backend,
)
from charrnn.cli.process.output import write_json, write_text
from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import in_words, option
from charrnn.options import Option

if TYPE_CHECKING:
    from charrnn import backend as backends

MEASURING = "Measuring"
"""Group of options."""
SECONDS = Option(15.0, "About how long to measure.", above=0)
THREADS = Option(None, "Try only this number of threads.", kind=int, least=1)


@takes(
    Fields(
        ModelConfig,
        (
            *("task", "cell", "layers", "hidden", "embed"),
            *("bidirectional", "pool", "ngrams", "attention"),
        ),
    ),
    Fields(TrainConfig, ("seq_len",)),
)
def bench(
    context: typer.Context,
    seconds: Annotated[
        float, typer.Option(help=SECONDS.help, rich_help_panel=MEASURING)
    ] = SECONDS.default,
    as_json: Json = False,
    backend: Backend = "auto",
    matmul: Matmul = "fp32",
    core: Core = "auto",
    threads: Annotated[
        int | None,
        typer.Option(help=THREADS.help, show_default=False, rich_help_panel=DEVICE),
    ] = None,
) -> None:
    """Measure how fast this machine trains, and propose batch, threads and backend.

    Training steps on random text are timed with several numbers of threads, then with several
    batches; with --backend auto also on a GPU if one works. The fewest threads within 3 % of the
    best speed are proposed, and the smallest batch within 20 %, because a larger one makes fewer
    updates for the same text. With --task the steps are those of that task, on random
    examples of one length.

    With --json: "model", "seq_len", "trials" (each with "backend", "threads", null on a GPU,
    "batch", "seconds" of a step, "chars_per_second" and, null for a text, "examples_per_second"),
    "sampling_chars_per_second" (one stream) and "proposal": the trial proposed, with "command".
    """
    from charrnn.train.opening.request import Request

    request = Request(model=given(context, ModelConfig))
    model = request.fresh_model()
    unused = model.unused() | (
        {} if model.task == "lm" else {"seq_len": "only applies to --task lm"}
    )
    for name, why in unused.items():
        refuse(context, (name,), in_words(why, option))
    seq_len = TrainConfig(**given(context, TrainConfig)).seq_len
    SECONDS.check("seconds", seconds)
    THREADS.check("threads", threads)
    refuse_on_gpu(context)
    from charrnn.report.bench import bench_json, bench_text
    from charrnn.train import bench as measuring

    engines = _engines(backend, matmul, core)
    note(f"measuring for about {seconds:g} s; close busy programs: they distort the result")
    note_fallback(engines[-1])
    measured = measuring.run(model, engines, seq_len=seq_len, threads=threads, seconds=seconds)
    result = replace(measured, matmul=matmul, core=core)
    if as_json:
        write_json(bench_json(result))
    else:
        write_text(bench_text(result))


def _engines(name: str, matmul: str, core: str) -> list[backends.Backend]:
    """Return the backends to try: with ``auto`` NumPy, and a GPU if one works."""
    from charrnn.backend import select

    chosen = open_backend(name, None, matmul, core, tell=False)
    if name == "auto" and chosen.name != "numpy":
        return [select("numpy", core=core), chosen]
    return [chosen]
