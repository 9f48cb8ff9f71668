"""The output of ``charrnn bench``: a table of trials, and the command that it proposes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from charrnn.config import ModelConfig, TrainConfig
from charrnn.display import count, quoted
from charrnn.errors import option
from charrnn.plugins import as_options
from charrnn.report.tables import aligned
from charrnn.train.bench import ENOUGH_BATCH, LENGTHS, Bench

_SHOWN = ("task", "cell", "layers", "hidden", "embed")
_OF_EXAMPLES = ("bidirectional", "pool", "ngrams", "attention")


def bench_text(bench: Bench) -> str:
    """Return the result as text: the trials, sampling, the proposal."""
    each = LENGTHS.get(bench.model.task)
    rows = [
        (
            "→" if trial == bench.proposal else "",
            trial.backend,
            "–" if trial.threads is None else str(trial.threads),
            str(trial.batch),
            f"{1e3 * trial.seconds:.2f}",
            f"{1 / trial.seconds:,.1f}",
            f"{trial.chars_per_second:,.0f}",
            *([] if each is None else [f"{trial.examples_per_second:,.0f}"]),
        )
        for trial in bench.trials
    ]
    head = ["", "backend", "threads", "batch", "ms/step", "steps/s", "char/s"]
    if each is not None:
        head.append("examples/s")
    model = bench.model
    return (
        f"training {model.cell} {model.layers}×{model.hidden}, {_read(bench)}, {model.dtype}\n\n"
        + aligned(head, rows, left=2)
        + _sampling(bench)
        + f"\nproposal, the smallest batch with {ENOUGH_BATCH:.0%} of the best speed:\n"
        + f"  {command(bench)}\n"
    )


def _sampling(bench: Bench) -> str:
    """Return the speed of sampling; empty if there is none."""
    if bench.sampling is None:
        return ""
    return f"\nsampling one stream: {bench.sampling:,.0f} char/s\n"


def _read(bench: Bench) -> str:
    """Return what the model reads in a step."""
    if bench.seq_len is not None:
        return f"windows of {count(bench.seq_len, 'step')}"
    what = "pairs" if bench.model.task == "transduce" else "texts"
    return f"{what} of {count(LENGTHS[bench.model.task], 'symbol')}"


def command(bench: Bench) -> str:
    """Return the proposed training command; defaults are left out."""
    words = ["charrnn train CORPUS"]
    for name in _SHOWN:
        value = getattr(bench.model, name)
        if value != getattr(ModelConfig, name):
            words.append(f"--{name} {value}")
    for name in _OF_EXAMPLES:
        value = getattr(bench.model, name)
        if value != getattr(ModelConfig, name):
            words.append(option(name) if value is True else f"{option(name)} {value}")
    for name, value in bench.model.cell_options.items():
        if value != bench.model.own_options("cell")[name].default:
            words.append(f"{option(name)} {value}")
    if bench.seq_len not in (None, TrainConfig.seq_len):
        words.append(f"--seq-len {bench.seq_len}")
    best = bench.proposal
    words.append(f"--batch {best.batch} --backend {best.backend}")
    if best.threads is not None:
        words.append(f"--threads {best.threads}")
    if bench.matmul == ("bf16" if best.backend == "numpy" else "tf32"):
        words.append(f"--matmul {bench.matmul}")
    if bench.core != "auto" and best.backend == "numpy":
        words.append(f"--core {bench.core}")
    words += map(quoted, as_options())
    return " ".join(words)


def bench_json(bench: Bench) -> dict[str, Any]:
    """Return the result as one JSON object."""
    return {
        "model": {name: getattr(bench.model, name) for name in (*_SHOWN, "dtype")},
        "seq_len": bench.seq_len,
        "trials": [asdict(trial) for trial in bench.trials],
        "sampling_chars_per_second": bench.sampling,
        "proposal": asdict(bench.proposal) | {"command": command(bench)},
    }
