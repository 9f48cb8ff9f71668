"""A short run of the fuzzer, and the fuzzer's own targets on its seeds without it."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

FUZZ = Path(__file__).parent / "fuzz"
TARGETS = ("checkpoint", "vocabulary", "corpus", "table")

SEEDS = """
import random, sys
sys.path.insert(0, sys.argv[1])
import mutations, targets
name, rng = sys.argv[2], random.Random(5)
target, seeds = targets.TARGETS[name]
counts = {"accepted": 0, "refused": 0}
def blind(data, limit):
    data = bytearray(data or b"x")
    data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data[:limit])
def one(data):
    try:
        target(data)
    except targets.EXPECTED:
        counts["refused"] += 1
    else:
        counts["accepted"] += 1
for seed in seeds():
    one(seed)
    for number in range(int(sys.argv[3])):
        mutated = mutations.mutate(seed, 1 << 14, number, blind)
        one(mutated if name == "checkpoint" else blind(blind(seed, 1 << 14), 1 << 14))
print(counts["accepted"], counts["refused"])
"""


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_nothing_but_our_own_errors_leaves_a_reader(target):
    """Mutations of real files, without the guide of coverage: a few hundred of each."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            SEEDS,
            str(FUZZ),
            target,
            {"checkpoint": "100", "corpus": "8"}.get(target, "20"),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    accepted, refused = map(int, done.stdout.split())
    assert accepted >= 4
    assert refused >= 4


@pytest.mark.slow
@pytest.mark.skipif(find_spec("atheris") is None, reason="needs atheris")
@pytest.mark.parametrize("target", TARGETS)
def test_the_fuzzer_finds_nothing_in_a_short_run(target, tmp_path):
    done = subprocess.run(
        [sys.executable, str(FUZZ / "run.py"), target, "--seconds", "20", "--folder", tmp_path],
        capture_output=True,
        text=True,
        timeout=200,
    )
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["findings"] == []
    assert done.returncode == 0, done.stderr[-2000:]
    assert summary["executions"] > 500
    assert summary["accepted"] > 0
