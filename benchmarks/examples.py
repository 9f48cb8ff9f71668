"""Tasks of separate examples: speed and quality, for charrnn and the same model in PyTorch.

Both sides start from the same weights, read the same batches in the same order (PyTorch as packed
sequences), and take the same number of steps with Adam, clipping at norm 1 and a cosine schedule;
architecture, batch and learning rate are charrnn's defaults for the task. They train in turns, a
part of the steps each; the clock of each runs in its own turns alone. Each side draws dropout masks
of its own, so losses agree up to the noise between seeds.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict
from pathlib import Path
from statistics import mean
from typing import Any

from harness import script
from harness.contender import contenders
from harness.pairs import PAUSE
from harness.result import Column, Result
from tasks.examples import Plan

CELLS = ("lstm", "gru", "rnn")
TABLES = {"classify": "recall", "transduce": "dates"}
"""The table of each task if none is given."""

COLUMNS = (
    Column("task", "task"),
    Column("cell", "cell"),
    Column("rate", "charrnn examples/s", ",.0f"),
    Column("peer_rate", "PyTorch examples/s", ",.0f"),
    Column("ratio", "charrnn ÷ PyTorch", ".2f"),
    Column("loss", "charrnn val"),
    Column("peer_loss", "PyTorch val"),
    Column("accuracy", "charrnn accuracy"),
    Column("peer_accuracy", "PyTorch accuracy"),
)


def row(plans: list[Plan], options: argparse.Namespace, result: Result) -> dict[str, Any]:
    """Train both sides once for each plan, which differ in their seeds; return one row."""
    seconds: dict[str, float] = {}
    scores: dict[str, list[dict[str, float | None]]] = {}
    examples = 0.0
    for plan in plans:
        tasks = {"charrnn": ("charrnn_examples:Learn", asdict(plan))}
        if script.peer(options):
            tasks["torch"] = ("torch_examples:Learn", asdict(plan))
        with contenders(tasks, options.threads) as sides:
            for name, side in sides.items():
                result.threads[name] = side.call("threads")
            examples += plan.steps * sides["charrnn"].call("examples")
            for name, clock in turns(sides, plan.steps, options.parts).items():
                seconds[name] = seconds.get(name, 0.0) + clock
            for name, side in sides.items():
                scores.setdefault(name, []).append(side.call("scores"))

    def rate(name: str) -> float | None:
        return examples / seconds[name] if name in seconds else None

    first, compared = plans[0], "torch" in seconds
    return {
        "task": first.kind,
        "cell": first.cell,
        "rate": rate("charrnn"),
        "peer_rate": rate("torch"),
        "ratio": seconds["torch"] / seconds["charrnn"] if compared else None,
        "loss": spread(scores["charrnn"], "loss"),
        "peer_loss": spread(scores.get("torch", []), "loss"),
        "accuracy": spread(scores["charrnn"], "accuracy"),
        "peer_accuracy": spread(scores.get("torch", []), "accuracy"),
        "seconds": seconds,
        "scores": scores,
    }


def turns(sides: Any, steps: int, parts: int) -> dict[str, float]:
    """Let every contender train a part of the steps, in turn; return the seconds of each."""
    clock = dict.fromkeys(sides, 0.0)
    done = 0
    for part in range(1, parts + 1):
        count = steps * part // parts - done
        done += count
        for name, side in sides.items():
            clock[name] += side.call("timed", count)
            time.sleep(PAUSE)
    return clock


def spread(scores: list[dict[str, float | None]], name: str) -> str:
    """Return the mean of a score over the seeds and, in brackets, the smallest and the largest."""
    values = [value for each in scores if (value := each[name]) is not None]
    if not values:
        return "–"
    if len(values) == 1:
        return f"{values[0]:.4f}"
    return f"{mean(values):.4f} ({min(values):.4f}–{max(values):.4f})"


def measure(options: argparse.Namespace) -> Result:
    """Train every task with every cell."""
    result = Result("examples", COLUMNS, script.plain(options))
    steps, seeds = (4, 1) if options.quick else (options.steps, options.seeds)
    hidden = 8 if options.quick else options.hidden
    tables = {"classify": options.classify, "transduce": options.transduce}
    for task in options.tasks:
        table = str(tables[task].resolve()) if tables[task] else TABLES[task]
        for cell in options.cells:
            script.note(f"{task} {cell}")
            plans = [
                Plan(task, table, cell, steps, seed, options.level, hidden) for seed in range(seeds)
            ]
            found = row(plans, options, result)
            result.rows.append(found)
            seconds = found["seconds"].items()
            script.note(", ".join(f"{side} {clock:.1f} s" for side, clock in seconds))
    result.notes.append(
        f"{steps:,} steps for each of {seeds} seeds; a ratio above 1 means that charrnn is faster. "
        "Validation on a tenth of the examples, in nats per text or per symbol of the targets: the "
        "mean over the seeds, and in brackets the smallest and the largest."
    )
    result.notes += script.peer_notes(options)
    return result


def main() -> None:
    """Run as a script."""
    made = script.parser(__doc__)
    made.add_argument("--tasks", nargs="+", choices=tuple(TABLES), default=list(TABLES))
    made.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS))
    made.add_argument("--classify", type=Path, metavar="TABLE", help="label<TAB>text a line")
    made.add_argument("--transduce", type=Path, metavar="TABLE", help="source<TAB>target a line")
    made.add_argument("--level", choices=("char", "word"), default="char")
    made.add_argument("--hidden", type=int, help="default: that of the task")
    made.add_argument("--steps", type=int, default=300, help="default: %(default)s")
    made.add_argument("--seeds", type=int, default=3, help="default: %(default)s")
    made.add_argument("--parts", type=int, default=4, help="turns; default: %(default)s")
    script.main(made, measure)


if __name__ == "__main__":
    main()
