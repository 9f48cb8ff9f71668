"""Run every benchmark, one after the other, and put the tables into README.md.

    python benchmarks/run_all.py --text path/to/tinyshakespeare.txt

Each script writes ``results/NAME.json`` and its table takes the place between that script's markers
in the README; what is outside the markers stays. With ``--quick`` the README is left alone, unless
one is named.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
README = FOLDER / "README.md"
RESULTS = FOLDER / "results"

RUNS: dict[str, tuple[str, list[str]]] = {
    "train_step": ("train_step.py", []),
    "train_step_embedding": ("train_step.py", ["--embed", "64"]),
    "sampling": ("sampling.py", []),
    "startup": ("startup.py", []),
    "memory": ("memory.py", []),
    "encoding": ("encoding.py", []),
    "scaling": ("scaling.py", ["--cells", "lstm", "gru", "rnn"]),
    "shakespeare": ("shakespeare.py", []),
    "examples": ("examples.py", []),
}
"""Section of the README: script and further arguments."""


def marks(section: str) -> tuple[str, str]:
    """Return the lines between which a section's table stands."""
    return f"<!-- begin {section} -->", f"<!-- end {section} -->"


def put(text: str, section: str, content: str) -> str:
    """Return ``text`` with ``content`` between the marks of ``section``.

    Raises
    ------
    ValueError
        If the marks are not there exactly once.
    """
    begin, end = marks(section)
    pattern = re.compile(re.escape(begin) + r"\n.*?" + re.escape(end), re.S)
    if len(pattern.findall(text)) != 1:
        raise ValueError(f"the README has no place for {section!r}: add {begin} and {end}")
    return pattern.sub(lambda _: f"{begin}\n\n{content.strip()}\n\n{end}", text)


def command(section: str, options: argparse.Namespace, path: Path) -> list[str]:
    """Return the command line of a section's script."""
    name, extra = RUNS[section]
    made = [sys.executable, str(FOLDER / name), *extra, "--json", str(path)]
    made += [str(options.text)] if section == "shakespeare" else []
    made += ["--quick"] if options.quick else []
    return made + (["--threads", str(options.threads)] if options.threads else [])


def block(result: dict[str, Any]) -> str:
    """Return what a section of the README shows."""
    return f"{result['head']}\n\n{result['markdown']}"


def fill(readme: Path, section: str, result: dict[str, Any]) -> None:
    """Put one result into the README."""
    text = put(readme.read_text("utf-8"), section, block(result))
    readme.write_text(text, "utf-8", newline="\n")


def run(options: argparse.Namespace, results: Path, readme: Path | None) -> int:
    """Run the chosen sections; return how many failed."""
    failed = 0
    for section in options.only:
        if section == "shakespeare" and options.text is None:
            sys.stderr.write("shakespeare: left out, no --text given\n")
            continue
        path = results / f"{section}.json"
        path.unlink(missing_ok=True)
        begun = time.monotonic()
        done = subprocess.run(command(section, options, path), stdout=subprocess.DEVNULL)
        seconds = time.monotonic() - begun
        if done.returncode or not path.is_file():
            failed += 1
            sys.stderr.write(f"{section}: FAILED with exit code {done.returncode}\n")
            continue
        sys.stderr.write(f"{section}: {seconds:.0f} s\n")
        if readme is not None:
            fill(readme, section, json.loads(path.read_text("utf-8")))
    return failed


def main() -> int:
    """Run as a script; the exit code is 1 if a benchmark failed."""
    made = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    made.add_argument("--quick", action="store_true", help="tiny sizes; no valid figures")
    made.add_argument(
        "--json", type=Path, metavar="FOLDER", help="for the JSON files; default: results"
    )
    made.add_argument("--threads", type=int, help="of every contender")
    made.add_argument("--only", nargs="+", choices=tuple(RUNS), default=list(RUNS))
    made.add_argument("--text", type=Path, help="for shakespeare; without it, that is left out")
    made.add_argument("--readme", type=Path, help="default: README.md next to this script")
    options = made.parse_args()
    readme = options.readme or (None if options.quick else README)
    with tempfile.TemporaryDirectory() as name:
        results = options.json or (Path(name) if options.quick else RESULTS)
        results.mkdir(parents=True, exist_ok=True)
        return 1 if run(options, results, readme) else 0


if __name__ == "__main__":
    sys.exit(main())
