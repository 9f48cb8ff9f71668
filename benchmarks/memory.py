"""Memory: the peak of training against PyTorch's, and against the arithmetic minimum.

Each side trains in a fresh process. What was resident after the imports is subtracted; the second
figure subtracts what was resident after a tiny model was trained, when libraries have loaded and
allocated what they need whatever the size. The minimum is what one step with Adam cannot do
without: see ``memory_minimum`` in ``harness/arithmetic.py`` for what it counts.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from statistics import median
from typing import Any

from harness import script
from harness.arithmetic import memory_minimum, parameters
from harness.contender import Worker
from harness.result import Column, Result
from tasks.data import Size

SIZES = ((2, 512, 64, 64),)
QUICK_SIZES = ((1, 64, 16, 8),)
CELLS = ("lstm", "gru", "rnn")
MB = 1e6

COLUMNS = (
    Column("cell", "cell"),
    Column("size", "layers×hidden"),
    Column("window", "window"),
    Column("batch", "batch"),
    Column("peak", "charrnn MB", ".0f"),
    Column("peer_peak", "PyTorch MB", ".0f"),
    Column("share", "charrnn ÷ PyTorch", ".2f"),
    Column("peak_tiny", "charrnn MB above tiny", ".0f"),
    Column("peer_peak_tiny", "PyTorch MB above tiny", ".0f"),
    Column("minimum", "minimum MB", ".0f"),
    Column("above_minimum", "charrnn ÷ minimum", ".2f"),
)


def growth(task: str, size: Size, steps: int, options: argparse.Namespace) -> dict[str, float]:
    """Return the median growth in bytes over fresh processes, above both bases."""
    found = []
    for _ in range(2 if options.quick else options.rounds):
        extra = {"adam": options.adam} if task.startswith("torch") else {}
        with Worker(task, options.threads, **asdict(size), **extra) as worker:
            found.append(worker.call("measure", steps))
    return {
        base: median(float(one["peak"] - one[base]) for one in found)
        for base in ("imports", "tiny")
    }


def row(size: Size, options: argparse.Namespace) -> dict[str, Any]:
    """Measure one size on both sides."""
    steps = 2 if options.quick else options.steps
    mine = growth("charrnn_side:Footprint", size, steps, options)
    peer = None
    if script.peer(options):
        peer = growth("torch_side:Footprint", size, steps, options)
    least = memory_minimum(size, parameters(size))
    return {
        **asdict(size),
        "size": f"{size.layers}×{size.hidden}",
        "peak": mine["imports"] / MB,
        "peak_tiny": mine["tiny"] / MB,
        "peer_peak": peer["imports"] / MB if peer else None,
        "peer_peak_tiny": peer["tiny"] / MB if peer else None,
        "share": mine["imports"] / peer["imports"] if peer and peer["imports"] > 0 else None,
        "minimum": least.total / MB,
        "minimum_parts": {name: count / MB for name, count in least._asdict().items()},
        "above_minimum": mine["tiny"] / least.total,
    }


def measure(options: argparse.Namespace) -> Result:
    """Measure every cell at every size."""
    result = Result("memory", COLUMNS, script.plain(options), timed=False)
    for cell in options.cells:
        for layers, hidden, window, batch in QUICK_SIZES if options.quick else SIZES:
            script.note(f"{cell} {layers}×{hidden}, window {window}, batch {batch}")
            result.rows.append(row(Size(cell, layers, hidden, window, batch), options))
    result.notes.append(
        "MB = 10⁶ bytes resident at the peak, above what was resident after the imports, or after "
        "training a tiny model. The minimum holds weights, gradients and Adam's two moments, and "
        "what exact backpropagation reads again (a unit, step and stream: 6 numbers for the lstm, "
        "5 for the gru, 1 for the rnn); logits count for one step."
    )
    result.notes += script.peer_notes(options)
    return result


def main() -> None:
    """Run as a script."""
    made = script.parser(__doc__, rounds=3)
    made.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS))
    made.add_argument("--steps", type=int, default=6, help="updates; default: %(default)s")
    made.add_argument(
        "--adam",
        choices=("default", "foreach", "fused"),
        default="fused",
        help="form of PyTorch's optimizer; default: %(default)s",
    )
    script.main(made, measure)


if __name__ == "__main__":
    main()
