"""Runs of examples: hostile labels, kills, and predictions in a pipeline."""

import io
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from helpers.checkpoints import CHARS, parts
from helpers.commands import charrnn, command, inside, start

from charrnn.config import DataConfig, ModelConfig
from charrnn.errors import CheckpointError, CorpusError
from charrnn.model.networks import NETWORKS
from charrnn.storage import checkpoint as checkpoints
from charrnn.storage import container
from charrnn.storage.checkpoint import Checkpoint
from charrnn.text.labelled.rows import How
from charrnn.text.labelled.texts import texts

SMALL = ("--hidden", "8", "--batch", "8", "--quiet", "--backend", "numpy", "--threads", "1")
OUTPUTS = {"classify": ("cat", "dog"), "generate": ("cat", "dog"), "transduce": ("a", "b", "c")}


def saved(path, task):
    config = ModelConfig(task=task, hidden=2)
    model = NETWORKS[task].fresh(config, len(CHARS), 1, outputs=len(OUTPUTS[task]))
    data = DataConfig(sources=("t.tsv",))
    checkpoints.save(
        path, Checkpoint(config, CHARS, model.weights.flat, data=data, labels=OUTPUTS[task])
    )
    return path


LABELS = [
    *(None, 3, "ab", {}, {"cat": 0, "dog": 1}, [], ["cat"], ["cat", "cat"], ["cat", ""]),
    *(["cat", 3], ["cat", None], ["cat", ["dog"]], ["cat", "d\tog"], ["cat", "dog", "ox"]),
    *(["cat", "x" * 10_000], ["cat", "\x1b[31m"], [f"l{i}" for i in range((1 << 16) + 1)]),
]
SYMBOLS = [
    *(None, 3, "abc", {}, [], ["a", "b", "b"], ["c", "b", "a"], ["a", "b", 3], ["a", "b", ""]),
    *(["a", "b"], ["a", "b", "c", "d"], ["a", "b", ["c"]], ["a", "b", "c d"]),
]


@pytest.mark.parametrize(
    ("task", "labels"),
    [(t, each) for t in ("classify", "generate") for each in LABELS]
    + [("transduce", each) for each in SYMBOLS],
)
def test_labels_that_are_none_are_refused_in_one_line(task, labels, tmp_path):
    path = saved(tmp_path / "c.safetensors", task)
    assert checkpoints.load(path).labels == OUTPUTS[task]
    tensors, facts = parts(path)
    container.write(path, tensors, {**facts, "labels": labels})
    with pytest.raises(CheckpointError) as problem:
        checkpoints.load(path)
    assert len(str(problem.value).splitlines()) == 1
    assert str(problem.value).isprintable()


@pytest.mark.parametrize("task", OUTPUTS)
def test_a_checkpoint_of_another_task_is_refused(task, tmp_path):
    path = saved(tmp_path / "c.safetensors", task)
    tensors, facts = parts(path)
    for other in {"lm", *OUTPUTS} - {task}:
        for name, value in (("head", NETWORKS[other].kind), ("labels", [])):
            container.write(path, tensors, {**facts, name: value})
            with pytest.raises(CheckpointError):
                checkpoints.load(path)


def read(data, **how):
    """Return what is yielded of a stream before its error, and the error."""
    found = []
    try:
        for lines in texts("-", How(level="char", **how), stdin=io.BytesIO(data)):
            found += lines
    except CorpusError as problem:
        return found, problem.message
    return found, ""


def test_all_lines_before_a_broken_one_are_answered():
    plain = {"encoding": "utf-8", "errors": "strict", "column": None, "field": None}
    good = "één\ntwo\n".encode()
    lines, problem = read(good + b"th\xff\nfour\n", **plain)
    assert lines == ["één", "two"]
    assert f"byte offset {len(good) + 2}" in problem
    lines, problem = read(
        "a\nb\n".encode("utf-16") + b"\x00\xd8\n\x00", **plain | {"encoding": "utf-16"}
    )
    assert (lines, bool(problem)) == (["a", "b"], True)
    rows = b'{"t": "a"}\n{"t": "b"}\n{"t": \n{"t": "c"}\n'
    lines, problem = read(rows, **plain | {"field": "t"})
    assert lines == ["a", "b"]
    assert "line 3" in problem
    lines, problem = read(b"t,n\na,1\nb,2\nc\n", **plain | {"column": "t"})
    assert (lines, "line 4" in problem) == (["a", "b"], True)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a run of each task, and the command of another one."""
    where = tmp_path_factory.mktemp("tasks")
    rows = [("ab", "ba"), ("abc", "cba"), ("bd", "db"), ("dca", "acd")] * 8
    (where / "t.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in rows))
    for task in ("classify", "transduce"):
        options = ("t.tsv", "--task", task, *SMALL, "--steps", "4", "--name", task)
        done = inside("train", *options, cwd=where)
        assert done.returncode == 0, done.stderr
    return where


@pytest.mark.slow
@pytest.mark.parametrize("attention", ["dot", "additive", "none"])
def test_a_killed_transducer_is_resumed_exactly(place, attention):
    options = ("t.tsv", "--task", "transduce", *SMALL[:-5], "--save-every", "3", "--steps", "60")
    options = (*options, "--attention", attention, "--log-every", "1", "--backend", "numpy")
    whole, parted = f"whole-{attention}", f"killed-{attention}"
    assert charrnn("train", *options, "--name", whole, cwd=place).returncode == 0
    process = start("train", *options, "--name", parted, "--json", cwd=place)
    for line in process.stdout:
        if json.loads(line).get("step", 0) >= 20:
            process.kill()
            break
    process.communicate()
    assert charrnn("train", "--resume", parted, cwd=place).returncode == 0
    first, second = (
        json.loads(charrnn("info", name, "--json", cwd=place).stdout)["weights_sha256"]
        for name in (whole, parted)
    )
    assert first == second


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
@pytest.mark.parametrize("task", ["classify", "transduce"])
def test_predictions_go_with_their_lines_in_a_pipeline(place, task):
    process = start("predict", task, stdin=subprocess.PIPE, cwd=place)
    for line in ("ab\n", "\n", "dca\n"):  # each is answered before the next is sent
        process.stdin.write(line)
        process.stdin.flush()
        assert process.stdout.readline().endswith("\n")
    process.communicate()
    assert process.returncode == 0
    (place / "lines").write_text("ab\nbd\n\ndca\n" * 500)
    quoted = " ".join(map(str, command()))
    done = subprocess.run(
        ["sh", "-c", f"cat lines | {quoted} predict {task} | paste lines - | wc -l"],
        cwd=place,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "2000"
    script = f'yes ab | {quoted} predict {task} | head -1 >/dev/null; echo "${{PIPESTATUS[1]}}"'
    done = subprocess.run(["bash", "-c", script], cwd=place, capture_output=True, text=True)
    assert done.stdout.strip() == "141"
    assert done.stderr == ""
    if Path("/dev/full").exists():
        script = f"{quoted} predict {task} lines > /dev/full"
        done = subprocess.run(["sh", "-c", script], cwd=place, capture_output=True, text=True)
        told = "charrnn: error: cannot write to standard output: No space left on device\n"
        assert (done.returncode, done.stderr) == (1, told)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["classify", "transduce"])
def test_an_interrupted_prediction_ends_with_130(place, task):
    import signal

    process = start("predict", task, stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=place)
    process.stdin.write("ab\n")
    process.stdin.flush()
    assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, told = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in told


@pytest.mark.parametrize("task", OUTPUTS)
def test_another_device_answers_like_this_one(task, device):
    """The double refuses host arrays where the device's are meant, and the other way round."""
    from charrnn.backend import select
    from charrnn.evaluate.labels import Labeller
    from charrnn.sampling.targets import written
    from charrnn.text.pairs.dataset import Pairs

    config = ModelConfig(task=task, hidden=3, dtype="float64")
    here = NETWORKS[task].fresh(config, len(CHARS), 1, outputs=len(OUTPUTS[task]))
    there = type(here)(config, here.V, select("cupy"), here.weights.flat, outputs=here.outputs)
    ids = [np.array([0, 1, 2], np.uint8), np.array([3], np.uint8)]
    if task == "classify":
        mine, theirs = (Labeller(model).of_texts(ids) for model in (here, there))
        np.testing.assert_array_equal(mine, theirs)
    if task == "transduce":
        mine, theirs = (
            dict(written(model, Pairs.untranslated(ids), beam=2, attention=True))
            for model in (here, there)
        )
        for number, (best,) in mine.items():
            assert best.ids == theirs[number][0].ids
            np.testing.assert_array_equal(best.attention, theirs[number][0].attention)
    if task == "generate":
        model, other = here.given(1), there.given(1)
        assert (model.weights.flat == other.backend.get(other.weights.flat)).all()
