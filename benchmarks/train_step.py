"""Training steps: each cell against PyTorch's module of the same name, and against sgemm.

A step is: the next window of a text, one-hot vectors or an embedding, forward through time, softmax
cross-entropy, backward through time, clipping by the norm of the whole gradient, Adam. All sides
read the same text of 65 random symbols and carry the state from window to window. charrnn computes
with its compiled core and with NumPy alone. Where the processor has products in bfloat16, both
tools are also timed with them: charrnn with ``--matmul bf16``, PyTorch under autocast.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from harness import script
from harness.arithmetic import product_operations
from harness.contender import contenders
from harness.pairs import interleave
from harness.result import Column, Result
from tasks.data import Size

from charrnn.backend import select
from charrnn.errors import BackendError

SIZES = (
    (2, 128, 50, 50),
    (1, 256, 64, 32),
    (2, 256, 50, 50),
    (1, 512, 32, 32),
    (2, 512, 64, 64),
)
QUICK_SIZES = ((1, 12, 5, 3),)
CELLS = ("lstm", "gru", "rnn")

COLUMNS = (
    Column("cell", "cell"),
    Column("input", "input"),
    Column("size", "layers×hidden"),
    Column("window", "window"),
    Column("batch", "batch"),
    Column("ms", "charrnn ms", ".1f"),
    Column("numpy_ms", "NumPy core ms", ".1f"),
    Column("bf16_ms", "bf16 ms", ".1f"),
    Column("peer_ms", "PyTorch ms", ".1f"),
    Column("peer_bf16_ms", "PyTorch bf16 ms", ".1f"),
    Column("ratio", "PyTorch ÷ charrnn", ".2f"),
    Column("paired_ratio", "by pairs", ".2f"),
    Column("bf16_ratio", "bf16 ÷ bf16", ".2f"),
    Column("spread", "spread", ".0%"),
    Column("chars_per_second", "charrnn char/s", ",.0f"),
    Column("gflops", "GFLOP/s", ".0f"),
    Column("share", "of sgemm", ".0%"),
)


def row(size: Size, options: argparse.Namespace, result: Result) -> dict[str, Any]:
    """Time one size on all sides and the product between them."""
    made = asdict(size)
    tasks: dict[str, tuple[str, dict[str, Any]]] = {
        "charrnn": ("charrnn_side:Train", made),
        "numpy": ("charrnn_side:Train", made | {"core": "numpy"}),
        "sgemm": ("products:Sgemm", {"size": 64 if options.quick else options.sgemm}),
    }
    bf16 = has_bf16()
    if bf16:
        tasks["bf16"] = ("charrnn_side:Train", made | {"matmul": "bf16"})
    if script.peer(options):
        peer = made | {"adam": options.adam}
        tasks["torch"] = ("torch_side:Train", peer)
        if bf16:
            tasks["torch bf16"] = ("torch_side:Train", peer | {"bf16": True})
    with contenders(tasks, options.threads, apart=not options.one_process) as sides:
        samples = interleave(sides, script.plan(options))
        for name in tasks.keys() & {"charrnn", "torch"}:
            result.threads[name] = sides[name].call("threads")
        core = sides["charrnn"].call("core")
        order = tasks["sgemm"][1]["size"]

    def ms(name: str) -> float | None:
        return 1e3 * samples.median(name) if name in tasks else None

    seconds, compared = samples.median("charrnn"), "torch" in tasks
    peak = 2 * order**3 / samples.median("sgemm")
    rate = product_operations(size) / seconds
    return {
        **made,
        "core": core,
        "input": f"embedding {size.embed}" if size.embed else "one-hot",
        "size": f"{size.layers}×{size.hidden}",
        "ms": ms("charrnn"),
        "numpy_ms": ms("numpy"),
        "bf16_ms": ms("bf16"),
        "peer_ms": ms("torch"),
        "peer_bf16_ms": ms("torch bf16"),
        "ratio": samples.ratio("torch", "charrnn") if compared else None,
        "paired_ratio": samples.paired_ratio("torch", "charrnn") if compared else None,
        "bf16_ratio": samples.ratio("torch bf16", "bf16") if compared and bf16 else None,
        "spread": max(samples.spread(name) for name in samples.seconds),
        "chars_per_second": size.window * size.batch / seconds,
        "gflops": rate / 1e9,
        "sgemm_gflops": peak / 1e9,
        "share": rate / peak,
        "seconds": dict(samples.seconds),
    }


def has_bf16() -> bool:
    """Return whether charrnn can multiply in bfloat16 here."""
    try:
        select("numpy", "bf16")
    except BackendError:
        return False
    return True


def measure(options: argparse.Namespace) -> Result:
    """Time every cell at every size."""
    result = Result("train_step", COLUMNS, script.plain(options))
    sizes = QUICK_SIZES if options.quick else SIZES
    for cell in options.cells:
        for embed in options.embed:
            for layers, hidden, window, batch in sizes:
                script.note(f"{cell} {layers}×{hidden}, window {window}, batch {batch}")
                size = Size(cell, layers, hidden, window, batch, embed)
                result.rows.append(row(size, options, result))
    rates = sorted(r["sgemm_gflops"] for r in result.rows)
    cores = ", ".join(sorted({r["core"] for r in result.rows}))
    result.notes.append(
        "Milliseconds per step, medians of interleaved rounds; a ratio above 1 means that charrnn "
        f"is faster. Its core: {cores}. GFLOP/s counts only the products of a step; sgemm "
        f"(square, {options.sgemm}) reached {rates[0]:.0f} to {rates[-1]:.0f} GFLOP/s between the "
        f"same rounds. PyTorch's Adam is the {options.adam} one."
    )
    result.notes += script.peer_notes(options)
    return result


def main() -> None:
    """Run as a script."""
    made = script.parser(__doc__)
    made.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS))
    made.add_argument(
        "--embed", nargs="+", type=int, default=[0], help="widths; 0 (the default) is one-hot"
    )
    made.add_argument(
        "--adam",
        choices=("default", "foreach", "fused"),
        default="fused",
        help="form of PyTorch's optimizer; default: %(default)s",
    )
    made.add_argument("--sgemm", type=int, default=2048, help="order of the square product")
    made.add_argument(
        "--one-process", action="store_true", help="all in one process, to see what that costs"
    )
    script.main(made, measure)


if __name__ == "__main__":
    main()
