"""Kill ranks of MPI at random moments, go on with others, and compare with an undisturbed run.

``python tests/helpers/killing_ranks.py --trials 50`` prints one JSON object of figures and fails at
the first run that lost something. In a trial a run is killed one to three times (one rank by
SIGKILL, or the launcher by SIGTERM) and goes on with one, two or three ranks each time.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers import mpirun

from charrnn.storage import checkpoint as checkpoints
from charrnn.storage import runs
from charrnn.storage.metrics import read_metrics

STEPS = 1000
TRAIN = f"train text.txt --hidden 16 --batch 6 --seq-len 16 --steps {STEPS} --lr 0.02 --dropout 0.2"
TRAIN += " --dtype float64 --log-every 1 --save-every 7 --eval-every 50 --quiet --backend numpy"
RESUME = "train --quiet --backend numpy --resume run"


def losses(folder):
    """Return the losses of a run by event and step."""
    lines = [line for line in read_metrics(folder) if line["event"] in ("step", "eval")]
    return {(line["event"], line["step"]): line.get("loss", line.get("val_loss")) for line in lines}


def wait_for_save(launcher, path):
    """Wait until a process saves, or ends."""
    before = path.stat().st_mtime_ns if path.exists() else None
    while launcher.poll() is None:
        if path.exists() and path.stat().st_mtime_ns != before:
            return
        time.sleep(0.01)


def trial(chance, expected, counts):
    """Train a run that is killed on the way, and compare its losses."""
    shutil.rmtree(runs.HOME / "run", ignore_errors=True)
    for _ in range(chance.randint(1, 3)):
        begun = (runs.HOME / "run" / runs.LAST).exists()
        line = RESUME if begun else f"{TRAIN} --name run"
        launcher = mpirun.ranks(2 if not begun else chance.randint(2, 3), *line.split())
        victim = chance.choice(["rank 0", "rank 1", "launcher"])
        if chance.random() < 0.8:
            wait_for_save(launcher, runs.HOME / "run" / runs.LAST)
        time.sleep(chance.uniform(0, 0.6))
        if launcher.poll() is None:
            if victim == "launcher":
                launcher.terminate()
            else:
                os.kill(mpirun.rank_of(launcher, int(victim[-1])), signal.SIGKILL)
        start = time.monotonic()
        code, _, err = mpirun.ended(launcher, timeout=60)
        counts["seconds to the end, at most"] = max(
            counts["seconds to the end, at most"], round(time.monotonic() - start, 1)
        )
        if code == 0:
            counts["ended before the kill"] += 1
            break
        counts[f"kills of {victim}"] += 1
        assert err.count("charrnn: error") <= 1, err
        saved = (runs.HOME / "run" / runs.LAST).exists()
        assert saved >= begun, "a checkpoint was lost"
        counts["kills before the first save"] += not saved
        if saved:
            checkpoints.load(runs.HOME / "run" / runs.LAST)
    begun = (runs.HOME / "run" / runs.LAST).exists()
    if begun and checkpoints.load(runs.HOME / "run" / runs.LAST).progress.ended is None:
        size = chance.randint(1, 3)
        counts[f"resumed with {size}"] += 1
        code, _, err = mpirun.run(size, *RESUME.split())
        assert code == 0, err
    elif not begun:
        code, _, err = mpirun.run(2, *TRAIN.split(), "--name", "run")
        assert code == 0, err
    found = losses(runs.HOME / "run")
    assert found.keys() == expected.keys()
    apart = max(abs(found[key] / loss - 1) for key, loss in expected.items())
    assert apart < 1e-9, apart
    counts["largest relative difference"] = max(counts["largest relative difference"], apart)
    counts["trials"] += 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    home, chance, counts = Path(tempfile.mkdtemp()), random.Random(options.seed), Counter()
    os.environ["CHARRNN_CACHE"] = str(home / "cache")
    os.chdir(home)
    try:
        words = np.random.default_rng(3).choice(["moon", "tree", "a", "river", "of\n"], 3000)
        Path("text.txt").write_text(" ".join(words))
        code, _, err = mpirun.run(1, *TRAIN.split(), "--name", "whole")
        assert code == 0, err
        expected = losses(runs.HOME / "whole")
        for _ in range(options.trials):
            trial(chance, expected, counts)
    finally:
        os.chdir("/")
        shutil.rmtree(home)
    print(json.dumps(counts))


if __name__ == "__main__":
    main()
