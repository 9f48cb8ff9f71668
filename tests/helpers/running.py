"""A small text and small runs of training, for the tests of training."""

import numpy as np

from charrnn.backend import select
from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.storage import checkpoint as checkpoints
from charrnn.storage import runs
from charrnn.storage.metrics import read_metrics
from charrnn.train.opening.request import Request
from charrnn.train.opening.sessions import open_session

WORDS = ["moon", "tree", "a", "little", "river", "sings", "of", "stone\n"]
TEXT = " ".join(WORDS[i] for i in np.random.default_rng(11).integers(0, len(WORDS), 190))
SMALL = {"hidden": 6, "batch": 4, "seq_len": 8, "steps": 40, "log_every": 1, "lr": 0.02}
TIMED = ("seconds", "chars_per_second", "run")
OFTEN = {"eval_every": 7, "save_every": 5, "log_every": 3}
OFTEN |= {"layers": 2, "dropout": 0.3, "recurrent_dropout": 0.2}


def ask(text=None, name=None, resume=None, init_from=None, **options):
    """Return a request with options sorted by the configuration that they belong to."""
    parts = {}
    for part, cls in (("model", ModelConfig), ("data", DataConfig), ("train", TrainConfig)):
        parts[part] = {key: options.pop(key) for key in list(options) if cls.knows(key)}
    assert not options
    sources = (text,) if text else ()
    return Request(sources, **parts, name=name, resume=resume, init_from=init_from)


def begin(*args, stop=None, backend=None, **options):
    """Open a session that is interrupted once it has reached step ``stop``."""
    found = []

    def interrupted():
        return stop is not None and found[0].loop.progress.step >= stop

    found.append(open_session(ask(*args, **options), backend or select("numpy"), interrupted))
    return found[0]


def train(*args, stop=None, **options):
    """Train as the command does: a run that is finished is left alone."""
    session = begin(*args, stop=stop, **options)
    return session, [] if session.finished else list(session.records())


def of(records, event):
    return [record for record in records if record.event == event]


def metrics(folder, events=("step", "eval")):
    """Return the lines of a run's metrics, without what depends on the clock."""
    lines = [line for line in read_metrics(folder) if line["event"] in events]
    return [{k: v for k, v in line.items() if k not in TIMED} for line in lines]


def assert_same_run(folder, other):
    """Two runs' metrics and checkpoints, bit for bit."""
    assert metrics(folder) == metrics(other)
    for name in (runs.LAST, runs.BEST):
        mine, theirs = (checkpoints.load(path / name) for path in (folder, other))
        for part in ("weights", "moments", "states"):
            one, two = getattr(mine, part), getattr(theirs, part)
            one, two = ({part: x} if isinstance(x, np.ndarray) else x for x in (one, two))
            assert one.keys() == two.keys()
            for key, array in one.items():
                np.testing.assert_array_equal(array, two[key], err_msg=f"{name} {key}")
        progress = [c.progress.to_json() for c in (mine, theirs)]
        for record in progress:
            del record["seconds"], record["metrics_bytes"]
        assert progress[0] == progress[1], name
