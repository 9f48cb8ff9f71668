"""Kill a training process at random moments, go on, and hold the end against an undisturbed run.

``python tests/helpers/killing.py --trials 500`` prints one JSON object of figures and fails at the
first difference. A process is forked from one that has imported everything, so that a trial takes a
fraction of a second. Most kills come from a hook around the system calls that write, half of them
and more inside the save of a checkpoint; the others at a random time.
"""

import argparse
import json
import mmap
import os
import random
import shutil
import signal
import struct
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np

from charrnn.cli.app import run
from charrnn.storage import checkpoint as checkpoints
from charrnn.storage import runs

COMMON = (
    "--hidden 8 --layers 2 --batch 4 --seq-len 8 --steps 60 --lr 0.02 --log-every 1 "
    "--save-every 5 --eval-every 7 --sample-every 20 --watch 6 --test-frac 0.1 --quiet "
    "--backend numpy --threads 1"
)
KINDS = (
    "--cell lstm --dropout 0.2 --keep 2",
    "--cell gru --optimizer sgd --momentum 0.9 --schedule plateau --eval-every 2 --embed 3",
    "--cell rnn --optimizer rmsprop --save-every 6 --eval-every 3 --keep 1",
    "--cell lstm --save-every 0 --eval-every 4 --sample-every 4",
)
TIMED = ("seconds", "chars_per_second")
CALLS = ("open", "write", "fsync", "replace", "unlink", "ftruncate")
FOLDER = Path("checkpoints/run")


@dataclass
class Call:
    """A system call on the run's files: what, on which, and whether a save was under way."""

    name: str
    file: str
    saving: bool


class Hook:
    """Sees the calls on the run's files; kills this process at one of them.

    ``shared`` (calls, saves done, saving now) outlives the process.
    """

    def __init__(self, shared, at=None, how="before"):
        self.shared, self.at, self.how = shared, at, how
        self.trace, self.paths = [], {}
        self.saving = False

    def install(self):
        for name in CALLS:
            setattr(os, name, self.around(name, getattr(os, name)))

    def around(self, name, call):
        def wrapped(target, *rest, **options):
            path = str(self.paths.get(target, "") if isinstance(target, int) else target)
            if not path.startswith(str(FOLDER)):
                return call(target, *rest, **options)
            self.begin(name, path)
            if self.due("before"):
                self.die()
            if name == "write" and self.due("half"):
                call(target, rest[0][: len(rest[0]) // 2])
                self.die()
            result = call(target, *rest, **options)
            if name == "open":
                self.paths[result] = path
            if name == "replace" and ".safetensors" in path:
                self.count(1)
            if self.due("after"):
                self.die()
            if name == "fsync" and path == str(FOLDER):
                self.saving = False
                self.tell()
            return result

        return wrapped

    def begin(self, name, path):
        self.count(0)
        if name == "open" and path.endswith(".tmp") and ".safetensors." in path:
            self.saving = True
        self.tell()
        self.trace.append(Call(name, Path(path).name, self.saving))

    def tell(self):
        struct.pack_into("q", self.shared, 16, self.saving)

    def count(self, which):
        number = struct.unpack_from("q", self.shared, 8 * which)[0]
        struct.pack_into("q", self.shared, 8 * which, number + 1)

    def due(self, how):
        return self.how == how and len(self.trace) - 1 == self.at

    def die(self):
        os.kill(os.getpid(), signal.SIGKILL)


def child(work, arguments, hook):
    """Run a command in a fork; return its process id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        os.chdir(work)
        log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        hook.install()
        code = run(arguments)
        if hook.at is None:
            Path("trace").write_text(json.dumps([vars(call) for call in hook.trace]))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    except BaseException as problem:
        os.write(2, repr(problem).encode())
        os._exit(99)


def ended(pid):
    """Return how a process ended, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def state(folder):
    """Return all of a run that must be equal, as plain values and arrays."""
    found = {"names": sorted(path.name for path in folder.iterdir())}
    for path in sorted(folder.glob("*.npy")):
        found[path.name] = path.read_bytes()
    for path in sorted(folder.glob("*.safetensors")):
        loaded = checkpoints.load(path)
        progress = loaded.progress.to_json()
        del progress["seconds"], progress["metrics_bytes"]
        arrays = {"weights": loaded.weights, **loaded.moments, **loaded.states}
        found[path.name] = (progress, {k: (v.shape, v.tobytes()) for k, v in arrays.items()})
    lines = []
    for line in (folder / runs.METRICS).read_text(encoding="utf-8").splitlines():
        record = {k: v for k, v in json.loads(line).items() if k not in TIMED}
        if not (record["event"] == "start" and record["resumed"]):
            lines.append(record)
    found["metrics"] = lines
    return found


def first_difference(one, two):
    """Return the first pair of items that differ."""
    pairs = zip_longest(one, two)
    return next((pair for pair in pairs if pair[0] != pair[1]), (None, None))


class Trials:
    """Kill, look, go on, compare; counts what happened."""

    def __init__(self, home, seed):
        self.home, self.chance = home, random.Random(seed)
        self.counts, self.log = Counter(), []
        words = ["moon", "tree", "a", "little", "river", "sings", "of", "stone\n"]
        self.text = home / "text.txt"
        self.text.write_text(" ".join(random.Random(5).choice(words) for _ in range(400)))
        os.environ["CHARRNN_CACHE"] = str(home / "cache")
        os.chdir(home)  # a first run here loads all modules, and fills the cache of encoded texts
        assert run(self.command(f"{KINDS[0]} --out warm")) == 0
        self.whole = {}

    def command(self, kind):
        where = [] if "--out" in kind else ["--name", FOLDER.name]
        return ["train", str(self.text), *where, *COMMON.split(), *kind.split()]

    def undisturbed(self, kind):
        """Return the state, the calls and the seconds of a run that is not killed."""
        work = Path(tempfile.mkdtemp(dir=self.home))
        begun = time.monotonic()
        code = ended(child(work, self.command(kind), Hook(bytearray(24))))
        taken = time.monotonic() - begun
        assert code == 0, (work / "log").read_text()
        calls = [Call(**call) for call in json.loads((work / "trace").read_text())]
        return state(work / FOLDER), calls, taken

    def trial(self):
        """Kill a run once or more, then let it end."""
        kind = self.chance.randrange(len(KINDS))
        if kind not in self.whole:
            self.whole[kind] = self.undisturbed(KINDS[kind])
        expected, calls, taken = self.whole[kind]
        work = Path(tempfile.mkdtemp(dir=self.home))
        command, kills = self.command(KINDS[kind]), self.chance.choice([1, 1, 1, 2, 3])
        self.counts["trials"] += 1
        self.log = []
        saved = 0
        for number in range(kills):
            saved = self.kill(work, command, calls, taken, saved, first=number == 0)
            resumed = saved > 0
            command = ["train", "--resume", "run", "--quiet"] if resumed else command
        code = ended(child(work, command, Hook(bytearray(24))))
        assert code == 0, (kind, (work / "log").read_text())
        found = state(work / FOLDER)
        assert found["names"] == expected["names"], (KINDS[kind], self.log, found["names"])
        for key in expected:
            assert found[key] == expected[key], (
                KINDS[kind],
                key,
                self.log,
                *first_difference(found[key], expected[key]),
            )
        self.counts["equal"] += 1
        shutil.rmtree(work)

    def kill(self, work, command, calls, taken, saved, first):
        """Start and kill a process; look at what it left; return how many saves there were."""
        shared = mmap.mmap(-1, 24)
        inside = [n for n, call in enumerate(calls) if call.saving]
        way = self.chance.choices(["save", "call", "time"], [7, 1, 2])[0]
        # A resumed run makes fewer calls: where its hook is never reached, it ends undisturbed.
        at = self.chance.choice(inside) if way == "save" else self.chance.randrange(len(calls))
        how = self.chance.choice(["before", "after", "half"])
        if how == "half" and calls[at].name != "write":
            how = "before"
        hook = Hook(shared, -1 if way == "time" else at, how)
        pid = child(work, command, hook)
        if way == "time":
            time.sleep(self.chance.uniform(0, taken))
            os.kill(pid, signal.SIGKILL)
        code = ended(pid)
        assert code in (0, -signal.SIGKILL), (code, (work / "log").read_text())
        count, saves, saving = struct.unpack("3q", shared)
        self.log.append((way, at, how, vars(calls[at]), code, count, saves, saving))
        saved += saves
        if code == 0:
            self.counts["ended before the kill"] += 1
            assert not first or way == "time"
        else:
            self.counts["kills"] += 1
            self.counts["kills inside a save"] += saving
            self.counts["kills before the first save"] += not saved
            if first:
                self.counts["first kills inside a save"] += saving
        folder = work / FOLDER
        files = list(folder.glob("*.safetensors"))
        assert bool(files) == bool(saved)
        for path in files:
            checkpoints.load(path)
        return saved


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    memory = Path("/dev/shm")  # what a killed process has written is there whatever the disk does
    where = memory if os.access(memory, os.W_OK) else None
    home = Path(tempfile.mkdtemp(prefix="charrnn-killing-", dir=where))
    begun = time.monotonic()
    try:
        np.seterr(all="ignore")
        trials = Trials(home, options.seed)
        for _ in range(options.trials):
            trials.trial()
    finally:
        shutil.rmtree(home, ignore_errors=True)
    print(json.dumps({**trials.counts, "seconds": round(time.monotonic() - begun, 1)}))


if __name__ == "__main__":
    main()
