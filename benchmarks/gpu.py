"""Everything that needs a GPU: the checks, then training and sampling compared with PyTorch on it.

    python benchmarks/gpu.py --out results --text path/to/tinyshakespeare.txt

First ``pytest -m gpu`` runs; if it fails, nothing is measured. Then training steps are timed
against ``torch.nn`` with cuDNN on the same GPU, with products in fp32 and in tf32 on both sides,
then sampling, and at last a text is learned for a given time. Each table goes to standard output
and, with ``--out``, to a JSON file.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from harness import script
from harness.contender import contenders
from harness.pairs import QUICK, Plan, interleave
from harness.result import Column, Result
from tasks.data import Size

ROOT = Path(__file__).resolve().parent.parent
CELLS = ("lstm", "gru", "rnn")
SIZES = ("2x128", "2x256", "2x512", "3x1024")
WINDOWS, BATCHES = (64, 128), (64, 256)
MATMULS = ("fp32", "tf32")
PLAN = Plan(rounds=5, target=0.2, pause=0.0)

_COMMON = (
    Column("cell", "cell"),
    Column("size", "layers×hidden"),
    Column("matmul", "products"),
)
TRAIN = (
    *_COMMON,
    Column("window", "window"),
    Column("batch", "batch"),
    Column("ms", "charrnn ms", ".3f"),
    Column("peer_ms", "PyTorch ms", ".3f"),
    Column("ratio", "PyTorch ÷ charrnn", ".2f"),
    Column("spread", "spread", ".0%"),
    Column("chars_per_second", "charrnn char/s", ",.0f"),
)
SAMPLE = (
    *_COMMON,
    Column("streams", "streams"),
    Column("rate", "charrnn char/s", ",.0f"),
    Column("peer_rate", "PyTorch char/s", ",.0f"),
    Column("ratio", "charrnn ÷ PyTorch", ".2f"),
    Column("spread", "spread", ".0%"),
)
LEARN = (
    Column("model", "model"),
    Column("matmul", "products"),
    Column("minutes", "minutes", "g"),
    Column("steps", "steps", ",d"),
    Column("chars_per_second", "char/s", ",.0f"),
    Column("val_loss", "validation loss", ".4f"),
)


def pair(
    kind: str, size: Size, matmul: str, options: argparse.Namespace, **more: int
) -> dict[str, Any]:
    """Time one case on both sides, in turns in this process."""
    given = asdict(size) | {"device": "cpu" if options.cpu else "gpu", "matmul": matmul} | more
    tasks = {"charrnn": (f"gpu_side:{kind}", given)}
    if script.peer(options):
        tasks["torch"] = (f"gpu_side:Torch{kind}", given)
    with contenders(tasks, None, apart=False) as made:
        samples = interleave(made, QUICK if options.quick else PLAN)
    return {
        **asdict(size),
        "size": f"{size.layers}×{size.hidden}",
        "matmul": matmul,
        "mine": samples.median("charrnn"),
        "theirs": samples.median("torch") if "torch" in tasks else None,
        "ratio": samples.ratio("torch", "charrnn") if "torch" in tasks else None,
        "spread": max(samples.spread(name) for name in samples.seconds),
        "seconds": dict(samples.seconds),
    }


def training(options: argparse.Namespace) -> Result:
    """Time training steps in every case."""
    result = Result("gpu_train", TRAIN, script.plain(options))
    for matmul in options.matmul:
        for cell in options.cells:
            for shape in options.sizes:
                layers, hidden = map(int, shape.split("x"))
                for window in options.windows:
                    for batch in options.batches:
                        size = Size(cell, layers, hidden, window, batch)
                        script.note(f"{matmul} {cell} {shape}, window {window}, batch {batch}")
                        row = pair("Train", size, matmul, options)
                        peer = row["theirs"]
                        row["ms"] = 1e3 * row["mine"]
                        row["peer_ms"] = None if peer is None else 1e3 * peer
                        row["chars_per_second"] = window * batch / row["mine"]
                        result.rows.append(row)
    result.notes.append(
        "Milliseconds a training step, medians of interleaved rounds in one process; a ratio above "
        "1 means that charrnn is faster. PyTorch's windows lie on the GPU from the beginning, and "
        "its Adam is the fused one."
    )
    return result


def sampling(options: argparse.Namespace) -> Result:
    """Time sampling of many streams."""
    result = Result("gpu_sample", SAMPLE, script.plain(options))
    streams = 3 if options.quick else 256
    for matmul in options.matmul:
        for cell in options.cells:
            size = Size(cell, 1, 8) if options.quick else Size(cell, 2, 512)
            script.note(f"{matmul} {cell}, sampling {streams} streams")
            row = pair("Sample", size, matmul, options, streams=streams)
            peer = row["theirs"]
            row["streams"], row["rate"] = streams, streams / row["mine"]
            row["peer_rate"] = None if peer is None else streams / peer
            result.rows.append(row)
    result.notes.append("Characters of all streams together; PyTorch's is a step loop.")
    return result


def learning(options: argparse.Namespace) -> Result:
    """Train on a text for some minutes and read the validation loss."""
    result = Result("gpu_learn", LEARN, script.plain(options))
    for matmul in options.matmul:
        script.note(f"learning {matmul} for {options.minutes:g} minutes")
        device = ["--backend", "numpy"] if options.cpu else ["--backend", "cupy"]
        command = [sys.executable, "-m", "charrnn", "train", str(options.text), "--json", *device]
        command += ["--matmul", matmul, "--minutes", str(options.minutes)]
        command += [*options.train, "--out", str(options.run / f"gpu-{matmul}")]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        start, end = lines[0], lines[-1]
        speeds = [line["chars_per_second"] for line in lines if line["event"] == "step"]
        result.rows.append(
            {
                "model": f"{start['cell']} {start['layers']}×{start['hidden']}",
                "matmul": matmul,
                "minutes": options.minutes,
                "steps": end["step"],
                "chars_per_second": sorted(speeds)[len(speeds) // 2] if speeds else None,
                "val_loss": end["best_val_loss"],
                "lines": lines,
            }
        )
    result.notes.append("Nats per character on the last tenth of the text; best so far at the end.")
    return result


def device_note() -> str:
    """Return the GPU and the versions that matter, on one line."""
    from charrnn.backend.describe import describe

    facts = describe()["cupy"]
    names = ", ".join(device["name"] for device in facts["devices"]) or "no GPU"
    found = f"{names}; CuPy {facts['version']}, CUDA {facts['runtime']}, driver {facts['driver']}"
    if find_spec("torch") is not None:
        import torch

        found += f"; cuDNN {torch.backends.cudnn.version()}"
    return found


def problem(options: argparse.Namespace) -> str:
    """Return why nothing can be measured here, or an empty string."""
    from charrnn.backend import select
    from charrnn.errors import CharRNNError

    if options.cpu:
        return ""
    try:
        select("cupy")
    except CharRNNError as found:
        return str(found)
    return ""


def check() -> int:
    """Run the tests that need a GPU; return pytest's exit code."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-o", "addopts="]
    return subprocess.run([*command, str(ROOT / "tests")], cwd=ROOT).returncode


def parsed() -> argparse.Namespace:
    """Return the options."""
    made = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    made.add_argument("--quick", action="store_true", help="tiny sizes; no valid figures")
    made.add_argument("--cpu", action="store_true", help="without a GPU, to see that it runs")
    made.add_argument("--no-checks", action="store_true", help="measure at once")
    made.add_argument("--no-peer", action="store_true", help="leave PyTorch out")
    made.add_argument("--out", type=Path, metavar="FOLDER", help="for the JSON files")
    made.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS))
    made.add_argument("--sizes", nargs="+", default=list(SIZES), help="layers x hidden")
    made.add_argument("--windows", nargs="+", type=int, default=list(WINDOWS))
    made.add_argument("--batches", nargs="+", type=int, default=list(BATCHES))
    made.add_argument("--matmul", nargs="+", choices=MATMULS, default=list(MATMULS))
    made.add_argument("--only", nargs="+", choices=("train", "sample", "learn"))
    made.add_argument("--text", type=Path, help="to learn; without it, that is left out")
    made.add_argument("--minutes", type=float, default=5.0, help="default: %(default)s")
    made.add_argument("--run", type=Path, default=Path("checkpoints"), help="folder of the runs")
    made.add_argument(
        "--train", nargs=argparse.REMAINDER, default=[], help="options of charrnn train; last"
    )
    options = made.parse_args()
    if options.quick:
        options.sizes, options.windows, options.batches = ["1x8"], [4], [3]
    if options.cpu:
        options.matmul = ["fp32"]
    return options


def main() -> int:
    """Run as a script; the exit code is 1 without a GPU, or if a check fails."""
    options = parsed()
    missing = problem(options)
    if missing:
        script.note(f"no GPU to measure on: {missing}")
        return 1
    if not (options.no_checks or options.cpu) and check():
        script.note("a check failed: nothing was measured")
        return 1
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    wanted = options.only or ["train", "sample", *(["learn"] if options.text else [])]
    for name, measure in (("train", training), ("sample", sampling), ("learn", learning)):
        if name not in wanted:
            continue
        result = measure(options)
        result.notes += [device_note(), *script.peer_notes(options)]
        if options.quick or options.cpu:
            result.notes.append("Measured with --quick or --cpu: these figures mean nothing.")
        sys.stdout.write(f"{result.head()}\n\n{result.markdown()}\n")
        sys.stdout.flush()
        if options.out is not None:
            result.save(options.out / f"{result.name}.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
