"""Learning: validation loss against seconds on a given text, for charrnn and the same torch model.

Both sides start from the same weights, read the same windows in the same order, and take the same
number of steps with Adam, clipping at norm 1 and a cosine schedule over all of them; size and
learning rate are charrnn's defaults. They train in turns, a part of the steps each; the clock of
each runs in its own turns alone, evaluation excluded.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness import script
from harness.contender import contenders
from harness.pairs import PAUSE
from harness.result import Column, Result
from tasks.data import Size

from charrnn.config import ModelConfig, TrainConfig

COLUMNS = (
    Column("step", "step", ",d"),
    Column("seconds", "charrnn s", ".1f"),
    Column("loss", "charrnn val", ".4f"),
    Column("peer_seconds", "PyTorch s", ".1f"),
    Column("peer_loss", "PyTorch val", ".4f"),
    Column("ratio", "PyTorch ÷ charrnn", ".2f"),
)


def sizes(options: argparse.Namespace, vocabulary: int) -> tuple[Size, int]:
    """Return the model and the number of steps."""
    if options.quick:
        return Size(options.cell, 1, 8, 4, 3, 0, vocabulary), 4
    shape = (options.layers, options.hidden, options.window, options.batch)
    return Size(options.cell, *shape, 0, vocabulary), options.steps


def measure(options: argparse.Namespace) -> Result:
    """Train both sides in turns; one row a turn."""
    from tasks.text import symbols

    result = Result("shakespeare", COLUMNS, script.plain(options))
    text = str(options.text.resolve())
    size, steps = sizes(options, symbols(text))
    parts = 2 if options.quick else options.parts
    with tempfile.TemporaryDirectory() as name:
        common = asdict(size) | {
            "weights": str(Path(name) / "weights.npz"),
            "steps": steps,
            "lr": options.lr,
            "warmup": 1 if options.quick else options.warmup,
            "text": text,
        }
        tasks = {"charrnn": ("charrnn_side:Learn", common)}  # first: it writes the weights
        if script.peer(options):
            tasks["torch"] = ("torch_side:Learn", common | {"adam": options.adam})
        with contenders(tasks, options.threads) as made:
            for side, one in made.items():
                result.threads[side] = one.call("threads")
            result.rows = turns(made, steps, parts)
    result.notes.append(
        f"{size.cell} {size.layers}×{size.hidden}, window {size.window}, batch {size.batch}, "
        f"learning rate {options.lr:g}, warm-up {options.warmup}, cosine over {steps:,} steps; "
        f"{size.vocabulary} "
        "symbols, validated on the last tenth of the text; losses in nats per character."
    )
    result.notes += script.peer_notes(options)
    return result


def turns(made: Any, steps: int, parts: int) -> list[dict[str, Any]]:
    """Let every contender train a part and evaluate, in turn, until all steps are done."""
    clock = dict.fromkeys(made, 0.0)
    rows = []
    done = 0
    for part in range(1, parts + 1):
        count = steps * part // parts - done
        done += count
        losses: dict[str, float] = {}
        for side, one in made.items():
            clock[side] += one.call("timed", count)
            losses[side] = one.call("loss")
            time.sleep(PAUSE)
        rows.append(
            {
                "step": done,
                "seconds": clock["charrnn"],
                "loss": losses["charrnn"],
                "peer_seconds": clock.get("torch"),
                "peer_loss": losses.get("torch"),
                "ratio": clock["torch"] / clock["charrnn"] if "torch" in clock else None,
            }
        )
        script.note(", ".join(f"{s} {clock[s]:.1f} s {losses[s]:.4f} nats" for s in made))
    return rows


def main() -> None:
    """Run as a script."""
    made = script.parser(__doc__)
    made.add_argument("text", type=Path, help="a UTF-8 text; it is read and never copied")
    made.add_argument("--cell", choices=("lstm", "gru", "rnn"), default=ModelConfig.cell)
    made.add_argument("--layers", type=int, default=ModelConfig.layers)
    made.add_argument("--hidden", type=int, default=ModelConfig.hidden)
    made.add_argument("--window", type=int, default=TrainConfig.seq_len)
    made.add_argument("--batch", type=int, default=TrainConfig.batch)
    made.add_argument("--lr", type=float, default=TrainConfig.lr)
    made.add_argument("--warmup", type=int, default=TrainConfig.warmup)
    made.add_argument("--steps", type=int, default=4000)
    made.add_argument("--parts", type=int, default=10, help="turns; default: %(default)s")
    made.add_argument("--adam", choices=("default", "foreach", "fused"), default="fused")
    script.main(made, measure)


if __name__ == "__main__":
    main()
