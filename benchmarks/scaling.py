"""Scaling: what a training step costs as window, layers, batch, hidden size and corpus grow.

One size is changed at a time. Window, layers and batch: a straight line is fitted by least squares
of the relative error; its largest relative deviation says how straight the cost is. Hidden size:
the exponent of a power law, fitted, and the steepest between two neighbouring sizes. Corpus:
largest against smallest.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import pairwise
from typing import Any

from harness import script
from harness.contender import contenders
from harness.pairs import interleave
from harness.result import Column, Result
from tasks.data import Size

BASE = Size("lstm", 1, 256, 32, 32)
AXES: dict[str, tuple[int, ...]] = {
    "window": (16, 32, 64, 128),
    "layers": (1, 2, 3, 4),
    "batch": (16, 32, 64, 128),
    "hidden": (128, 256, 512, 1024),
    "corpus": (64, 1024, 16384, 65536),
}
"""The corpus counts in windows."""
QUICK_BASE = Size("lstm", 1, 8, 3, 2)
QUICK_AXES: dict[str, tuple[int, ...]] = {
    "window": (2, 3, 4),
    "layers": (1, 2, 3),
    "batch": (2, 3, 4),
    "hidden": (4, 8, 16),
    "corpus": (4, 64),
}

COLUMNS = (
    Column("cell", "cell"),
    Column("axis", "what grows"),
    Column("at", "at"),
    Column("costs", "ms per step"),
    Column("law", "law"),
    Column("figure", "how well it holds"),
    Column("spread", "spread", ".0%"),
)


def straightness(x: Sequence[float], y: Sequence[float]) -> tuple[float, float, float]:
    """Fit y = a + b·x; return a, b and the largest |error| / y.

    Errors are weighed by 1/y, so that the smallest size counts as much as the largest.
    """
    w = [1 / (value * value) for value in y]
    total = sum(w)
    mean_x = sum(wi * xi for wi, xi in zip(w, x, strict=True)) / total
    mean_y = sum(wi * yi for wi, yi in zip(w, y, strict=True)) / total
    rows = list(zip(w, x, y, strict=True))
    variance = sum(wi * (xi - mean_x) ** 2 for wi, xi, _ in rows)
    slope = sum(wi * (xi - mean_x) * (yi - mean_y) for wi, xi, yi in rows) / variance
    intercept = mean_y - slope * mean_x
    return intercept, slope, max(abs(intercept + slope * xi - yi) / yi for _, xi, yi in rows)


def exponents(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """Fit y = a·x^p; return p, and the largest between neighbouring points."""
    u, v = [math.log(value) for value in x], [math.log(value) for value in y]
    mean_u, mean_v = sum(u) / len(u), sum(v) / len(v)
    pairs = list(zip(u, v, strict=True))
    fitted = sum((a - mean_u) * (b - mean_v) for a, b in pairs) / sum((a - mean_u) ** 2 for a in u)
    return fitted, max((b - d) / (a - c) for (c, d), (a, b) in pairwise(pairs))


def judge(axis: str, x: Sequence[int], ms: Sequence[float]) -> dict[str, Any]:
    """Return the law of an axis, its figures, and how the table writes them."""
    if axis == "hidden":
        fitted, steepest = exponents(x, ms)
        text = f"exponent {fitted:.2f}, at most {steepest:.2f} between neighbours"
        return {"law": "power", "exponent": fitted, "steepest": steepest, "figure": text}
    if axis == "corpus":
        change = ms[-1] / ms[0] - 1
        text = f"{change:+.0%} from smallest to largest"
        return {"law": "constant", "change": change, "figure": text}
    intercept, slope, worst = straightness(x, ms)
    text = f"{intercept:.3g} + {slope:.3g}·x, within {worst:.0%}"
    return {
        "law": "affine",
        "intercept": intercept,
        "slope": slope,
        "deviation": worst,
        "figure": text,
    }


def row(
    base: Size, axis: str, values: Sequence[int], options: argparse.Namespace, threads: Any
) -> dict[str, Any]:
    """Measure one axis, all its sizes interleaved."""
    tasks: dict[str, tuple[str, dict[str, Any]]] = {}
    for value in values:
        changed = {"windows" if axis == "corpus" else axis: value}
        tasks[str(value)] = ("charrnn_side:Train", asdict(base) | changed)
    with contenders(tasks, options.threads) as made:
        samples = interleave(made, script.plan(options))
        threads["charrnn"] = made[str(values[0])].call("threads")
    ms = [1e3 * samples.median(str(value)) for value in values]
    shown = [value * base.window * base.batch for value in values] if axis == "corpus" else values
    return {
        "cell": base.cell,
        "axis": "corpus, characters" if axis == "corpus" else axis,
        "at": ", ".join(f"{value:,}" for value in shown),
        "costs": ", ".join(f"{value:.3g}" for value in ms),
        "values": list(shown),
        "ms": ms,
        **judge(axis, shown, ms),
        "spread": max(samples.spread(str(value)) for value in values),
        "seconds": dict(samples.seconds),
    }


def measure(options: argparse.Namespace) -> Result:
    """Measure every axis for every cell."""
    result = Result("scaling", COLUMNS, script.plain(options))
    base, axes = (QUICK_BASE, QUICK_AXES) if options.quick else (BASE, AXES)
    for cell in options.cells:
        for axis in options.axes:
            script.note(f"{cell}: {axis}")
            result.rows.append(
                row(replace(base, cell=cell), axis, axes[axis], options, result.threads)
            )
    result.notes.append(
        f"Around layers×hidden {base.layers}×{base.hidden}, window {base.window}, batch "
        f"{base.batch}, one-hot input, Adam."
    )
    return result


def main() -> None:
    """Run as a script."""
    made = script.parser(__doc__, rounds=7)
    made.add_argument("--cells", nargs="+", choices=("lstm", "gru", "rnn"), default=["lstm"])
    made.add_argument("--axes", nargs="+", choices=tuple(AXES), default=list(AXES))
    script.main(made, measure)


if __name__ == "__main__":
    main()
