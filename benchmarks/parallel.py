"""Ranks of MPI: how fast beside threads, what the sums take, how far they would scale.

A round trains in one process with as many threads as there are ranks, and then in ranks with one
thread each, on the same batch; all are pooled. Then a model extrapolates to many machines:

    step(K) = compute + 2 (K - 1) / K · bytes / bandwidth + 2 (K - 1) · latency
              + calls · ⌈log₂ K⌉ · latency

``compute`` is the measured time of a step without the sums, on one rank with its own batch; each
further rank brings a batch of its own (weak scaling). The second term moves the vector twice (see
``charrnn/backend/ranks.py``), the third is the latency of its messages to each other rank, and
``calls`` small gathers decide what all ranks do next.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from harness import machine, script
from harness.result import Column, Result

SIZES = ((1, 512, 32, 32), (1, 128, 32, 32), (2, 512, 64, 64))
"""Layers, units, window and batch."""
QUICK_SIZES = ((1, 8, 4, 4),)
NETWORKS = {"1 Gbit/s, 50 µs": (1e9, 50e-6), "10 Gbit/s, 20 µs": (1e10, 20e-6)}
NETWORKS["100 Gbit/s, 2 µs"] = (1e11, 2e-6)
"""Bits per second, and seconds for a message of no bytes."""
MACHINES = (2, 4, 8, 16, 32, 64)
SYMBOLS = 100

COLUMNS = (
    Column("size", "layers×hidden, window, batch"),
    Column("ranks", "ranks"),
    Column("process", "one process, ms", ".1f"),
    Column("step", "ranks, ms", ".1f"),
    Column("ratio", "speed of ranks", ".2f"),
    Column("spread", "spread", ".0%"),
    Column("sum", "sums, ms", ".2f"),
    Column("share", "of a step", ".0%"),
    Column("megabytes", "MB sent", ".1f"),
)


def worker(layers: int, hidden: int, window: int, batch: int, threads: int, steps: int) -> None:
    """Train for a few steps on this rank; the first one prints the times of each, in seconds."""
    import numpy as np

    from charrnn.backend import select
    from charrnn.backend.launch import launched
    from charrnn.backend.ranks import open_ranks
    from charrnn.backend.team import Alone, Team
    from charrnn.backend.threads import set_threads
    from charrnn.config import ModelConfig, TrainConfig
    from charrnn.model.language import LanguageModel
    from charrnn.train.recipes.language import language_loop

    started = launched(os.environ)
    team: Team = Alone() if started is None else open_ranks(started)
    backend = select("numpy")
    set_threads(backend, threads)
    ids = np.random.default_rng(0).integers(0, SYMBOLS, 20 * batch * window + 1).astype(np.uint8)
    model = LanguageModel.fresh(ModelConfig(layers=layers, hidden=hidden), SYMBOLS, 0, backend)
    config = TrainConfig(seq_len=window, batch=batch, steps=steps + 3, eval_every=0, save_every=0)
    loop, _ = language_loop(model, ids, ids[:0], config, team)
    spent: dict[str, float] = defaultdict(float)
    calls: dict[str, int] = defaultdict(int)

    def timed(name: str) -> None:
        own = getattr(team, name)

        def run(given: Any) -> Any:
            begun = time.perf_counter()
            found = own(given)
            spent[name] += time.perf_counter() - begun
            calls[name] += 1
            return found

        setattr(team, name, run)

    timed("sum")
    timed("numbers")
    times: list[dict[str, float]] = []
    for _ in range(steps + 3):
        spent.clear()
        calls.clear()
        begun = time.perf_counter()
        loop.step()
        found = {"step": time.perf_counter() - begun, "small": float(calls["numbers"])}
        times.append(found | {"sum": spent["sum"], "numbers": spent["numbers"]})
    if team.rank == 0:
        sys.stdout.write(json.dumps([model.weights.flat.nbytes, times[3:]]))


def launcher() -> str | None:
    """Return the command that starts ranks: the one beside this Python, or the system's."""
    beside = Path(sys.executable).with_name("mpirun")
    return str(beside) if beside.exists() else shutil.which("mpirun")


def run(ranks: int, size: tuple[int, ...], threads: int, steps: int) -> tuple[int, list[Any]]:
    """Return the bytes of the weights, and the times of steps on so many ranks."""
    words = [sys.executable, __file__, "--worker", *map(str, (*size, threads, steps))]
    if ranks > 1:
        words = [str(launcher()), "-n", str(ranks), *words]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    found: tuple[int, list[Any]] = tuple(json.loads(done.stdout))  # type: ignore[assignment]
    return found


def row(size: tuple[int, ...], ranks: int, rounds: int, steps: int) -> dict[str, Any]:
    """Measure one size in pairs: one process with threads, and ranks with one thread each."""
    process: list[float] = []
    found: list[dict[str, float]] = []
    for _ in range(rounds):
        process += [each["step"] for each in run(1, size, ranks, steps)[1]]
        weights, times = run(ranks, size, 1, steps)
        found += times
    step, alone = (median(x) for x in ([each["step"] for each in found], process))
    spread = max(
        (quantiles(x)[2] - quantiles(x)[0]) / median(x)
        for x in (process, [each["step"] for each in found])
    )
    sums = median(each["sum"] for each in found)
    layers, hidden, window, batch = size
    return {
        "size": f"{layers}×{hidden}, {window}, {batch}",
        "ranks": ranks,
        "process": 1e3 * alone,
        "step": 1e3 * step,
        "ratio": alone / step,
        "spread": spread,
        "sum": 1e3 * sums,
        "share": sums / step,
        "megabytes": 2 * (ranks - 1) / ranks * weights / 1e6,
        "bytes": weights,
        "calls": median(each["small"] for each in found),
        "compute": 1e3 * median(e["step"] - e["sum"] - e["numbers"] for e in found),
    }


def extrapolate(compute: float, size: int, calls: float, K: int, bits: float, wait: float) -> float:
    """Return the seconds of a step on K machines; see the top of this file."""
    moved = 2 * (K - 1) / K * 8 * size / bits
    return compute + moved + (2 * (K - 1) + calls * math.ceil(math.log2(K))) * wait


def on_paper(found: dict[str, Any]) -> list[str]:
    """Return a line for each network: the efficiency on more and more machines."""
    lines = []
    compute = found["compute"] / 1e3
    for name, (bits, wait) in NETWORKS.items():
        shares = [
            compute / extrapolate(compute, found["bytes"], found["calls"], K, bits, wait)
            for K in MACHINES
        ]
        told = ", ".join(f"{K}: {share:.0%}" for K, share in zip(MACHINES, shares, strict=True))
        lines.append(f"{found['size']} on paper, {name}, efficiency by machines: {told}.")
    return lines


def measure(options: argparse.Namespace) -> Result:
    """Measure every size on 2 ranks, and on as many as there are cores."""
    result = Result("parallel", COLUMNS, script.plain(options))
    if launcher() is None:
        result.notes.append("There is no MPI here: pip install mpi4py mpich.")
        return result
    counts = sorted({2, machine.cores()} - {1})
    rounds, steps = (1, 3) if options.quick else (options.rounds, 20)
    for size in QUICK_SIZES if options.quick else SIZES:
        for ranks in counts:
            script.note(f"{size} on {ranks} ranks")
            result.rows.append(row(size, ranks, rounds, steps))
        result.notes += on_paper(result.rows[-1])
    result.notes.append(
        "On paper each machine computes a batch as large as that of one rank here, messages share "
        "nothing, and no rank is late: an upper limit. Sums include the wait for the other ranks."
    )
    return result


def main() -> None:
    """Run as a script."""
    if sys.argv[1:2] == ["--worker"]:
        worker(*map(int, sys.argv[2:]))
        return
    script.main(script.parser(__doc__, rounds=5), measure)


if __name__ == "__main__":
    main()
