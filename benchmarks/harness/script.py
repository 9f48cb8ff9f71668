"""The command line that every benchmark script has."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from harness import machine
from harness.pairs import QUICK, Plan
from harness.result import Result


def parser(description: str | None, rounds: int = Plan.rounds) -> argparse.ArgumentParser:
    """Return a parser with the options that all scripts share."""
    made = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    made.add_argument(
        "--quick", action="store_true", help="tiny sizes, to see that it runs; no valid figures"
    )
    made.add_argument("--json", type=Path, metavar="FILE", help="write the result to FILE as JSON")
    made.add_argument(
        "--threads", type=int, help="of every contender; default: what each chooses itself"
    )
    made.add_argument("--no-peer", action="store_true", help="leave PyTorch out")
    made.add_argument("--rounds", type=int, default=rounds, help="default: %(default)s")
    return made


def plan(options: argparse.Namespace) -> Plan:
    """Return how long to measure."""
    return QUICK if options.quick else Plan(rounds=options.rounds)


def peer(options: argparse.Namespace) -> bool:
    """Tell whether to measure PyTorch too; it is not imported here."""
    return not options.no_peer and find_spec("torch") is not None


def peer_notes(options: argparse.Namespace) -> list[str]:
    """Return a note for a table without its peer."""
    return [] if peer(options) else ["PyTorch was not measured: its columns are empty."]


def note(text: str) -> None:
    """Say on standard error what is being measured."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def main(made: argparse.ArgumentParser, measure: Callable[[argparse.Namespace], Result]) -> None:
    """Parse, measure, print the table to standard output, and write the JSON file if asked to."""
    options = made.parse_args()
    if options.threads is not None and options.threads < 1:
        made.error(f"--threads must be at least 1, not {options.threads}")
    if options.rounds < 1:
        made.error(f"--rounds must be at least 1, not {options.rounds}")
    before = None if options.quick else machine.others()
    result = measure(options)
    result.others = [before, None if options.quick else machine.others()]
    if options.quick:
        result.notes.append("Measured with --quick: these figures mean nothing.")
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    sys.stdout.write(f"{result.head()}\n\n{result.markdown()}")
    if options.json is not None:
        result.save(options.json)


def plain(options: argparse.Namespace) -> dict[str, object]:
    """Return the options as JSON can hold them, without paths."""
    return {name: value for name, value in vars(options).items() if not isinstance(value, Path)}
