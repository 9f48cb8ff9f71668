"""All that comes of a command line: exit code, output and files, without what the clock says."""

import io
import json
import re
import shutil
from hashlib import sha256
from itertools import count

import numpy as np
import pytest
from helpers.commands import inside
from helpers.option_effects import split

from charrnn import own
from charrnn.storage import checkpoint, container

TEXT = "the cat sat on the mat.\nA dog ate it!\n" * 12
CONFIG = """train.lr = 0.5
sweep.lr = 0.5
sample.seed = 3
predict.k = 2
eval.json = true
diagnose.seed = 4
runs.json = true
plot.json = true
view.json = true
export = {to = "torch", out = "e.bin"}
completion.shell = "zsh"
man.command = ["runs"]
import.vocabulary = "m.json"
bench.core = "numpy"
[corpus]
list.json = true
make.name = "reber"
info.name = "reber"
cache.json = true
"""
"""For each command, what changes its result."""
OF_START = ("train_chars", "val_chars", "test_chars", "vocabulary", "batch", "seq_len", "backend")
TIMED = {"seconds", "chars_per_second", "run", "path", "last_used", "version"}
CLOCK = re.compile(
    r"[\d,.]+ ((?:char|byte|word)/s|s|ms|MB|GB|kB)\b( left| an epoch)?|lr [\d.e-]+|\d+\.\d+ [GM]B"
)


def furnish(where):
    """Make texts, runs and a cache in a folder."""
    texts = {
        "t.txt": TEXT,
        "v.txt": "the cat sat at it\n" * 3,
        "u.txt": "the cat XY sat\nQ\n",
        "p.txt": "dog",
        "w.txt": TEXT + "é",
        "c.csv": "id,text\n" + "1,the cat sat\n2,on the mat\n" * 30,
        "j.jsonl": '{"id": 1, "text": "the cat sat"}\n{"id": 2, "text": "on the mat"}\n' * 30,
        "n.txt": "cat\tthe cat sat\ndog\tA dog ate it!\n" * 20,
        "lc.csv": "label,text\ncat,the cat sat\ndog,on the mat\n" * 1
        + "cat,the cat\ndog,on\n" * 30,
        "lj.jsonl": '{"label": "cat", "text": "the cat"}\n{"label": "dog", "text": "on"}\n' * 30,
        "g.txt": "a\tb\nb\ta\na\ta\n\nb\tb\n\n" * 20,
        "src.txt": "the cat sat\nA dog ate it!\n" * 20,
        "dst.txt": "cat\ndog\n" * 20,
        "plug.py": "raise RuntimeError('is loaded')\n",
        "c.toml": CONFIG,
    }
    for name, text in texts.items():
        (where / name).write_text(text, encoding="utf-8")
    (where / "l.txt").write_bytes(("the caté sat on it\n" * 30).encode("latin-1"))
    (where / "texts").mkdir()
    shutil.copy(where / "t.txt", where / "texts/a.txt")
    shutil.copy(where / "v.txt", where / "texts/b.txt")
    base = split("train", "")[0]
    for name, more in (
        ("two", ("--cell", "rnn")),
        ("joined.txt", ("v.txt", "--join", "\n\n")),
        ("labels", ("n.txt", "--task", "classify", "--steps", "20", "--lr", "0.05")),
        ("pairs", ("n.txt", "--task", "transduce", "--steps", "20", "--lr", "0.05")),
        ("tags", ("g.txt", "--task", "tag", "--steps", "20", "--lr", "0.05")),
        ("kinds.txt", ("n.txt", "--task", "generate", "--steps", "20", "--lr", "0.05")),
        ("one", ("--watch", "1", "--steps", "40", "--lr", "0.05", "w.txt")),
    ):
        of_text = ("--seq-len", "8", "t.txt") if "--task" in more else ()
        words = [word for word in base if word not in of_text]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CHARRNN_CACHE", str(where / "cache"))
            done = inside(*words, "--name", name, *more, cwd=where)
        assert done.returncode == 0, done.stderr
    rng = np.random.default_rng(1)
    for name, gates in (("m", 4), ("r", 1)):
        shapes = {"weight_ih_l0": (3 * gates, 2), "weight_hh_l0": (3 * gates, 3)}
        shapes |= {"out.weight": (2, 3), "out.bias": (2,)}
        tensors = {of: rng.normal(size=shape) for of, shape in shapes.items()}
        container.write_plain(where / f"{name}.safetensors", tensors, {})
    (where / "m.json").write_text('["a", "b"]', encoding="utf-8")


def runner(place, where, monkeypatch):
    """Return a function that runs a command line and returns all that came of it."""
    import charrnn.backend
    from charrnn.backend import threads
    from charrnn.train import bench

    asked = []
    number = count()

    def spy(module, name, change=lambda k: k):
        original = getattr(module, name)

        def wrapped(*arguments, **named):
            asked.append((name, *map(repr, arguments), repr(named)))
            return original(*arguments, **change(named))

        monkeypatch.setattr(module, name, wrapped)

    monkeypatch.setattr("secrets.randbits", lambda bits: 77)
    spy(charrnn.backend, "select")
    spy(threads, "limit_threads")
    spy(bench, "run", lambda named: {**named, "seconds": 0.01})

    def run(*words):
        asked.clear()
        here = where / str(next(number))
        shutil.copytree(place, here)
        monkeypatch.setenv("CHARRNN_CACHE", str(here / "cache"))
        typed = io.TextIOWrapper(io.BytesIO(b"the cat\nA dog\n"))
        monkeypatch.setattr("sys.stdin", typed)
        done = inside(*words, cwd=here)
        shutil.rmtree(here / "cache", ignore_errors=True)
        # a benchmark asks for threads once per turn, and the clock says how many turns there are
        told = sorted({re.sub(r"0x\w+", "", str(entry)) for entry in asked})
        out = done.stdout if words[0] != "bench" else done.stdout[:1]
        out, err = (text.replace(str(here), "") for text in (out, done.stderr))
        return done.returncode, stable(out), stable(err), told, files(here, place)

    return run


def stable(text):
    """Return output without what depends on the clock."""
    kept = []
    for line in text.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            kept.append(CLOCK.sub("", line))
            continue
        kept.append(without_clock(record) if isinstance(record, dict) else record)
    return kept


def without_clock(record):
    if record.get("event") == "start":
        return {name: record[name] for name in OF_START}
    kept = {k: v for k, v in record.items() if k not in TIMED and "second" not in k}
    return {k: without_clock(v) if isinstance(v, dict) else v for k, v in kept.items()}


def files(folder, place):
    """Return what the files hold, those as they were in ``place`` aside."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name.startswith("cache/") or not path.is_file():
            continue
        if stamp(path) == stamp(place / name):
            found[name] = "as it was"
        elif own.is_checkpoint(path):
            loaded = checkpoint.load(path)
            # training shows that its settings were used, not that they were noted
            more = loaded.progress.step or loaded.config
            found[name] = sha256(loaded.weights.tobytes() + str(more).encode()).hexdigest()
        elif path.suffix in (".jsonl", ".html", ".svg") and path.name != "journal.jsonl":
            found[name] = stable(path.read_text(encoding="utf-8", errors="replace"))
        elif path.name not in (".lock", "journal.jsonl"):  # it holds the time of day
            found[name] = sha256(path.read_bytes()).hexdigest()
    return found


def stamp(path):
    """Return what tells whether a file was written; None if there is none."""
    try:
        told = path.stat()
    except OSError:
        return None
    return told.st_size, told.st_mtime_ns
