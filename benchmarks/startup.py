"""Start-up: whole commands, in fresh processes, above a Python that does nothing.

``charrnn sample --length 1`` reads a checkpoint of a 2×128 LSTM. ``import torch`` is measured too:
every PyTorch script pays that before it does anything.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from harness import script
from harness.pairs import interleave
from harness.result import Column, Result

EMPTY = "python -c pass"

COLUMNS = (
    Column("command", "command"),
    Column("ms", "ms", ".0f"),
    Column("above", "above an empty Python", ".0f"),
    Column("paired_above", "by pairs", ".0f"),
    Column("spread", "spread", ".0%"),
)


class Command:
    """A command line, run to its end in a fresh process."""

    def __init__(self, arguments: Sequence[str], folder: Path, environment: dict[str, str]) -> None:
        self._arguments = arguments
        self._folder = folder
        self._environment = environment

    def run(self, count: int) -> float:
        """Return the seconds of ``count`` runs; each must succeed."""
        begun = time.perf_counter()
        for _ in range(count):
            subprocess.run(
                self._arguments,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                check=True,
            )
        return time.perf_counter() - begun


def console_script() -> list[str]:
    """Return the command that starts charrnn: the console script next to Python, or the module."""
    script = Path(sys.executable).with_name("charrnn" + Path(sys.executable).suffix)
    return [str(script)] if script.is_file() else [sys.executable, "-m", "charrnn"]


def write_checkpoint(path: Path, layers: int, hidden: int) -> None:
    """Write a checkpoint of an untrained LSTM over 65 characters."""
    from tasks.charrnn_side import fresh
    from tasks.data import SYMBOLS, Size

    from charrnn.storage.checkpoint import Checkpoint, save
    from charrnn.text import Vocabulary

    model = fresh(Size("lstm", layers, hidden))
    vocabulary = Vocabulary("char", tuple(SYMBOLS))
    save(path, Checkpoint(model.config, vocabulary, model.weights.flat))


def commands(*, peer: bool) -> dict[str, list[str]]:
    """Return the command lines by what the table calls them."""
    charrnn = console_script()
    sample = ["sample", "model.safetensors", "--length", "1"]
    found = {
        EMPTY: [sys.executable, "-c", "pass"],
        "charrnn --help": [*charrnn, "--help"],
        "charrnn train --help": [*charrnn, "train", "--help"],
        "charrnn sample --length 1": [*charrnn, *sample],
        "python -c 'import numpy'": [sys.executable, "-c", "import numpy"],
    }
    if peer:
        found["python -c 'import torch'"] = [sys.executable, "-c", "import torch"]
    return found


def measure(options: argparse.Namespace) -> Result:
    """Time all commands in turn."""
    result = Result("startup", COLUMNS, script.plain(options))
    environment = dict(os.environ)
    if options.threads is not None:
        environment |= {"OPENBLAS_NUM_THREADS": str(options.threads)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = (1, 8) if options.quick else (2, 128)
        write_checkpoint(folder / "model.safetensors", *size)
        made = {
            title: Command(arguments, folder, environment)
            for title, arguments in commands(peer=script.peer(options)).items()
        }
        samples = interleave(made, script.plan(options))
    for title, seconds in samples.seconds.items():
        above = [mine - empty for mine, empty in zip(seconds, samples.seconds[EMPTY], strict=True)]
        result.rows.append(
            {
                "command": f"`{title}`",
                "ms": 1e3 * samples.median(title),
                "above": 1e3 * (samples.median(title) - samples.median(EMPTY)),
                "paired_above": 1e3 * median(above),
                "spread": samples.spread(title),
                "seconds": list(seconds),
            }
        )
    result.notes.append("Milliseconds from start to exit, files in the system's cache.")
    return result


def main() -> None:
    """Run as a script."""
    script.main(script.parser(__doc__, rounds=15), measure)


if __name__ == "__main__":
    main()
