"""Sampling: characters per second, one stream and many, against a PyTorch step loop.

Both sides draw from 65 symbols at temperature 0.8 and return text. PyTorch's loop runs under
``torch.inference_mode``: one-hot vector, module, linear layer, softmax, multinomial.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from harness import script
from harness.contender import contenders
from harness.pairs import interleave
from harness.result import Column, Result
from tasks.data import Size

CASES = ((1, 2, 128), (1, 2, 512), (64, 2, 256))
QUICK_CASES = ((1, 1, 8), (3, 1, 8))
CELLS = ("lstm", "gru", "rnn")

COLUMNS = (
    Column("cell", "cell"),
    Column("size", "layers×hidden"),
    Column("streams", "streams"),
    Column("rate", "charrnn char/s", ",.0f"),
    Column("peer_rate", "PyTorch char/s", ",.0f"),
    Column("ratio", "charrnn ÷ PyTorch", ".2f"),
    Column("paired_ratio", "by pairs", ".2f"),
    Column("spread", "spread", ".0%"),
)


def row(size: Size, streams: int, options: argparse.Namespace, threads: dict[str, Any]) -> Any:
    """Time one case on both sides."""
    arguments = asdict(size) | {"streams": streams}
    tasks = {"charrnn": ("charrnn_side:Sample", arguments)}
    if script.peer(options):
        tasks["torch"] = ("torch_side:Sample", arguments)
    with contenders(tasks, options.threads) as made:
        samples = interleave(made, script.plan(options))
        for name, one in made.items():
            threads[name] = one.call("threads")
    peer = "torch" in tasks
    return {
        **asdict(size),
        "size": f"{size.layers}×{size.hidden}",
        "streams": streams,
        "rate": streams / samples.median("charrnn"),
        "peer_rate": streams / samples.median("torch") if peer else None,
        "ratio": samples.ratio("torch", "charrnn") if peer else None,
        "paired_ratio": samples.paired_ratio("torch", "charrnn") if peer else None,
        "spread": max(samples.spread(name) for name in samples.seconds),
        "seconds": dict(samples.seconds),
    }


def measure(options: argparse.Namespace) -> Result:
    """Time every cell in every case."""
    result = Result("sampling", COLUMNS, script.plain(options))
    for cell in options.cells:
        for streams, layers, hidden in QUICK_CASES if options.quick else CASES:
            script.note(f"{cell} {layers}×{hidden}, {streams} streams")
            size = Size(cell, layers, hidden)
            result.rows.append(row(size, streams, options, result.threads))
    result.notes.append(
        "Characters of all streams together, medians of interleaved rounds; a ratio above 1 means "
        "that charrnn is faster."
    )
    result.notes += script.peer_notes(options)
    return result


def main() -> None:
    """Run as a script."""
    made = script.parser(__doc__)
    made.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS))
    script.main(made, measure)


if __name__ == "__main__":
    main()
