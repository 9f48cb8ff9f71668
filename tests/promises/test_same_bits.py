"""With the compiled core, a run is a function of text, options and seed."""

import json
import shutil

import numpy as np
import pytest
from helpers.commands import charrnn, inside

from charrnn.backend import select
from charrnn.errors import BackendError
from charrnn.storage import checkpoint

TEXT = "".join(f"{n * n % 97} squares, {n} roots; the sum is {n * 3}.\n" for n in range(400))
CELLS = (
    ("lstm",),
    ("gru", "--layers", "2", "--dropout", "0.2"),
    ("gru", "--gru-reset", "before", "--embed", "9"),
    ("rnn", "--activation", "relu", "--optimizer", "sgd", "--lr", "0.05"),
)

pytestmark = pytest.mark.skipif(select("numpy").core is None, reason="no compiled core")


def result(folder):
    """Return the digest of the weights, and the metrics but for times, speeds and the command."""
    changing = ("run", "path", "seconds", "chars_per_second", "core", "again")
    lines = (folder / "metrics.jsonl").read_text("utf-8").splitlines()
    metrics = [{k: v for k, v in json.loads(l).items() if k not in changing} for l in lines]
    loaded = checkpoint.load(folder / "last.safetensors")
    return loaded.weights_sha256, metrics


@pytest.fixture(autouse=True)
def however_little(monkeypatch):
    """Divide even the smallest piece of work among all threads."""
    monkeypatch.setattr("charrnn.backend.native.core.SMALL", 1e-3)
    monkeypatch.setattr("charrnn.model.compiled.layers.STREAMS", 1)


@pytest.fixture
def run(tmp_path):
    (tmp_path / "text.txt").write_text(TEXT)

    def train(name, cell, *options, call=inside, **more):
        arguments = ("--cell", *cell, "--hidden", "40", "--seq-len", "12", "--batch", "19")
        arguments += ("--steps", "30", "--log-every", "1", "--eval-every", "10", "--seed", "3")
        done = call(
            "train", "text.txt", *arguments, "--name", name, "--quiet", *options,
            cwd=tmp_path, **more,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return result(tmp_path / "checkpoints" / name)

    return train


@pytest.mark.parametrize(
    "cell",
    [*CELLS[:2], *(pytest.param(cell, marks=pytest.mark.slow) for cell in CELLS[2:])],
    ids=lambda cell: "-".join(cell[:3]),
)
def test_threads_change_nothing(run, cell):
    steps = ("--steps", "12", "--eval-every", "6")
    first = run("one", cell, "--threads", "1", *steps)
    assert run("three", cell, "--threads", "3", *steps) == first
    assert run("numpy", cell, "--core", "numpy", *steps)[0] != first[0]


def test_info_prints_the_digest(run, tmp_path):
    digest, _ = run("one", CELLS[0])
    shown = json.loads(inside("info", "one", "--json", cwd=tmp_path).stdout)
    assert shown["weights_sha256"] == digest
    shutil.copytree(tmp_path / "checkpoints/one", tmp_path / "copy")
    assert digest in inside("info", "copy", cwd=tmp_path).stdout


@pytest.mark.slow
def test_products_in_bfloat16_learn_as_well(run, tmp_path):
    """The validation loss after 600 steps, over three seeds."""
    try:
        select("numpy", "bf16")
    except BackendError as problem:
        pytest.skip(str(problem))
    losses = {}
    for matmul in ("fp32", "bf16"):
        losses[matmul] = []
        for seed in "012":
            options = ("--steps", "600", "--eval-every", "600", "--seed", seed)
            run(f"{matmul}{seed}", CELLS[0], "--matmul", matmul, *options)
            folder = tmp_path / "checkpoints" / f"{matmul}{seed}"
            losses[matmul].append(checkpoint.load(folder / "last.safetensors").progress.val_loss)
    assert abs(np.mean(losses["fp32"]) - np.mean(losses["bf16"])) < 0.02
    assert np.mean(losses["fp32"]) < 1.2


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: "-".join(cell[:3]))
def test_neither_do_the_instructions_that_libraries_use(run, cell, tmp_path):
    """NumPy without AVX-512 also makes charrnn open its AVX2 library."""
    first = run("all", cell)
    features = "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR"
    older = {"NPY_DISABLE_CPU_FEATURES": features, "OPENBLAS_CORETYPE": "Haswell"}
    assert run("older", cell, call=charrnn, env=older) == first
    arguments = ("sample", "all", "--count", "3", "--length", "500", "--seed", "5", "--json")
    sampled = [charrnn(*arguments, cwd=tmp_path, env=env) for env in ({}, older)]
    assert sampled[0].returncode == 0
    texts = [[json.loads(l)["text"] for l in done.stdout.splitlines()] for done in sampled]
    assert texts[0] == texts[1]


@pytest.mark.slow
def test_a_resumed_run_may_use_other_threads(run, tmp_path):
    first = run("whole", CELLS[1], "--threads", "1")
    options = ("--cell", *CELLS[1], "--hidden", "40", "--seq-len", "12", "--batch", "19")
    options += ("--log-every", "1", "--eval-every", "10", "--seed", "3", "--quiet")
    begun = inside(
        "train", "text.txt", *options, "--steps", "17", "--horizon", "30", "--name", "part",
        "--threads", "2", cwd=tmp_path,
    )  # fmt: skip
    assert begun.returncode == 0, begun.stderr
    resume = ("--steps", "30", "--threads", "3", "--quiet")
    done = inside("train", "--resume", "part", *resume, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert result(tmp_path / "checkpoints/part")[0] == first[0]
