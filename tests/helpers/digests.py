"""Record what charrnn computes as digests, and compare two recordings.

A refactoring must not change a bit of any result:

    python tests/helpers/digests.py record before.json      # before the change
    python tests/helpers/digests.py record after.json       # after it, on the same machine
    python tests/helpers/digests.py compare before.json after.json

Each run is trained, saved, sampled, scored and diagnosed. ``--only PATTERN`` records the runs whose
names match. Figures that depend on the clock are left out.
"""

import argparse
import contextlib
import fnmatch
import hashlib
import json
import os
import platform
import sys
import tempfile
from pathlib import Path
from unittest import mock

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
from helpers.commands import inside

from charrnn.storage import container, runs

BASE = (
    "--backend numpy --threads 1 --hidden 16 --batch 6 --seq-len 12 --steps 40 --lr 0.01 --seed 5 "
    "--log-every 4 --eval-every 10 --save-every 15 --eval-chars 800 --quiet"
)
RUNS = {
    "lstm": "",
    "lstm-3-layers": "--layers 3",
    "lstm-dropout": "--layers 2 --dropout 0.3",
    "lstm-float64": "--dtype float64",
    "lstm-forget": "--forget-bias 0 --init xavier",
    "gru": "--cell gru --layers 2",
    "gru-before": "--cell gru --gru-reset before --dropout 0.2",
    "rnn": "--cell rnn --layers 2",
    "rnn-relu": "--cell rnn --activation relu --init identity",
    "embedded": "--embed 5 --init orthogonal",
    "bytes": "--level byte",
    "words": "--level word --min-count 2",
    "reset": "--state reset",
    "restarts": "--restart 0.2 --layers 2",
    "clip-norm": "--clip-norm 0.05",
    "clip-value": "--clip-value 0.001",
    "adamw": "--optimizer adamw --weight-decay 0.1",
    "rmsprop": "--optimizer rmsprop",
    "cautious": "--optimizer cautious --weight-decay 0.1",
    "sgd": "--optimizer sgd --momentum 0.5 --lr 0.3",
    "constant": "--schedule constant --warmup 7",
    "step": "--schedule step",
    "plateau": "--schedule plateau",
    "shards": "--threads 2 --batch 64 --dropout 0.2 --layers 2",
    "watched": "--watch 5 --keep 2",
}
DIAGNOSED = "--windows 2 --max-lag 8 --anchors 6 --targets 8 --lyapunov-steps 30 --json"
ELSEWHERE = {"seconds", "chars_per_second", "sources"}
"""Keys of metrics that depend on the clock or the folder."""
WORDS = ["the", "river", "sings", "of", "a", "little", "stone", "and", "moon;", ""]


def record(only=("*",)):
    """Return the digests of all runs whose names match one of the patterns ``only``."""
    found = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
        mock.patch.dict(os.environ, CHARRNN_CACHE=str(Path(folder, "cache"))),
    ):
        chance = np.random.default_rng(11)
        Path("text").write_text(" ".join(chance.choice(WORDS, 1500)), encoding="utf-8")
        for name, options in RUNS.items():
            if any(fnmatch.fnmatch(name, pattern) for pattern in only):
                train(name, f"text --name {name} {BASE} {options}")
                found[name] = digests(name)
        if any(fnmatch.fnmatch("resumed", pattern) for pattern in only):
            train("resumed", f"text --name resumed {BASE} --layers 2 --dropout 0.3 --horizon 60")
            train("resumed", "--resume resumed --steps 60 --quiet")
            found["resumed"] = digests("resumed")
            train("tuned", f"text --name tuned {BASE} --init-from resumed")
            found["tuned"] = digests("tuned")
    return {"machine": machine(), "runs": found}


def train(name, options):
    """Train as the command line does."""
    told("train", *options.split(), name=name)


def told(*arguments, name):
    """Return a command's standard output without what the clock or the folder decides."""
    done = inside(*arguments, text=False)
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr.decode()}")
    return done.stdout


def digests(name):
    """Return a digest of everything that a run holds and that the commands say about it."""
    folder = runs.HOME / name
    found = {}
    for path in sorted(folder.glob("*.safetensors")):
        tensors, _ = container.read(path)
        for key, array in sorted(tensors.items()):
            found[f"{path.stem}/{key}"] = digest(array.dtype.str, array.shape, array.tobytes())
    lines = map(json.loads, (folder / runs.METRICS).read_text("utf-8").splitlines())
    kept = [{k: v for k, v in line.items() if k not in ELSEWHERE} for line in lines]
    found["metrics"] = digest(json.dumps(kept, sort_keys=True))
    there = ("--backend", "numpy", "--threads", "1")
    sample = ("sample", name, "--length", "200", "--seed", "3", *there)
    found["sample"] = digest(told(*sample, name=name))
    found["streams"] = digest(told(*sample, "--count", "3", "--top-p", "0.8", name=name))
    found["eval"] = digest(told("eval", "text", "--run", name, "--json", *there, name=name))
    report = told("diagnose", name, *DIAGNOSED.split(), *there, name=name)
    found["diagnosis"] = digest(json.dumps(json.loads(report), sort_keys=True))
    return found


def digest(*parts):
    """Return the SHA-256 of some bytes, or of what can be written as text."""
    data = (part if isinstance(part, bytes) else str(part).encode() for part in parts)
    return hashlib.sha256(b"\0".join(data)).hexdigest()


def machine():
    """Return what the bits depend on besides the code."""
    return {"processor": platform.processor() or platform.machine(), "numpy": np.__version__}


def differences(one, other):
    """Return what differs between two recordings, of the runs that both hold."""
    found = []
    for name in sorted(one["runs"].keys() & other["runs"].keys()):
        mine, theirs = one["runs"][name], other["runs"][name]
        keys = sorted(mine.keys() | theirs.keys())
        found += [f"{name}: {key}" for key in keys if mine.get(key) != theirs.get(key)]
    return found


def main(arguments=None):
    """Run one command line; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record", help="write the digests of all runs to a file")
    recording.add_argument("file", type=Path)
    recording.add_argument("--only", action="append", metavar="PATTERN")
    comparing = commands.add_parser("compare", help="exit with 1 if two recordings differ")
    comparing.add_argument("files", type=Path, nargs=2)
    given = parser.parse_args(arguments)
    if given.command == "record":
        found = record(given.only or ["*"])
        given.file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(f"{len(found['runs'])} runs recorded")
        return 0
    one, other = (json.loads(path.read_text("utf-8")) for path in given.files)
    if one["machine"] != other["machine"]:
        print(f"recorded on {one['machine']} and {other['machine']}: bits may differ")
    changed = differences(one, other)
    shared = len(one["runs"].keys() & other["runs"].keys())
    print(*changed, f"{len(changed)} differences in {shared} runs", sep="\n")
    return 1 if changed or not shared else 0


if __name__ == "__main__":
    sys.exit(main())
