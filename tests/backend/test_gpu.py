"""A GPU computes what NumPy computes: kernels, losses, gradients, checkpoints, samples, scores.

With ``-m gpu`` on a real GPU; else on the double that runs the same kernels on the host, so that
these checks are themselves checked where there is none.
"""

import json
import sys

import numpy as np
import pytest
from doubles import cublas_on_host, cuda_on_host, fake_cupy
from helpers import kernel_cases, nvrtc, reference
from helpers.operations import OPERATIONS

from charrnn.backend import memory, numpy_backend, select
from charrnn.backend.describe import describe
from charrnn.cli import app
from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import BackendError
from charrnn.evaluate import Validation
from charrnn.model.language import LanguageModel
from charrnn.sampling import SampleOptions, samples
from charrnn.storage import checkpoint, runs
from charrnn.storage.metrics import read_metrics
from charrnn.tasks.language import LanguageTask
from charrnn.text import corpus_from_text
from charrnn.train.loop import Loop
from charrnn.train.records import Step

WORDS = "the quick brown fox jumps over the lazy dog and sleeps in the warm sun of noon; "
CORPUS = corpus_from_text("".join(WORDS[i:] + WORDS[:i] for i in range(60)))
V = len(CORPUS.vocabulary)
PRECISIONS = (("float32", 1e-4), ("float64", 1e-10))
forms = pytest.mark.parametrize("form", reference.FORMS)
precisions = pytest.mark.parametrize(("dtype", "apart"), PRECISIONS)
real = pytest.mark.parametrize(
    "device", [pytest.param("gpu", marks=pytest.mark.gpu)], indirect=True
)
LARGE = {"hidden": 96, "batch": 16, "seq_len": 33}
SMALL = {"hidden": 7, "batch": 3, "seq_len": 5}


@pytest.fixture(params=["double", pytest.param("gpu", marks=pytest.mark.gpu)])
def device(request, monkeypatch):
    """The backend to compare with NumPy, and the sizes that suit it."""
    if request.param == "double":
        if cuda_on_host.compiler() is None:
            nvrtc.missing("c++", "there is no C++ compiler")
        monkeypatch.setitem(sys.modules, "cupy", fake_cupy.create(kernels=True))
        monkeypatch.setattr("charrnn.backend.gpu.cublas.load", cublas_on_host.Library)
        return select("cupy"), SMALL
    try:
        return select("cupy"), LARGE
    except BackendError as problem:
        pytest.skip(str(problem))


def loop_on(backend, form, dtype, sizes, **options):
    shape = {"hidden": sizes["hidden"], "layers": 2, "dropout": 0.2, "dtype": dtype}
    shape["recurrent_dropout"] = 0.2
    model = LanguageModel.fresh(ModelConfig(**shape | reference.FORMS[form]), V, 3, backend)
    plan = {"steps": 50, "log_every": 1, "eval_every": 0, "save_every": 0, "restart": 0.05}
    plan |= {"batch": sizes["batch"], "seq_len": sizes["seq_len"], "lr": 2e-3}
    return Loop(
        LanguageTask(model, CORPUS.train, CORPUS.val, TrainConfig(**plan | options)),
        TrainConfig(**plan | options),
    )


def apart_by(mine, theirs):
    return np.linalg.norm(mine - theirs) / np.linalg.norm(theirs)


@real
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_every_operation_equals_its_plain_definition(name, dtype, device, rng):
    backend, _ = device
    tested = OPERATIONS[name]
    for case in kernel_cases.CASES[name](rng, np.dtype(dtype).type):
        expected = kernel_cases.run(lambda *a: tested.plain(np, *a), case, np.copy, np.copy)
        for call in (tested, tested.plain):
            found = kernel_cases.run(
                lambda *a, call=call: call(backend.xp, *a), case, backend.put, backend.get
            )
            kernel_cases.assert_equal(found, expected, case, dtype)


@precisions
@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("right", [False, True])
def test_products_agree(left, right, dtype, apart, device):
    """Of matrices as they lie and transposed, one and many, written and added."""
    backend, _ = device
    xp, rng = backend.xp, np.random.default_rng(3)
    for m, k, n in ((64, 33, 16), (1, 5, 7), (130, 1, 3), (17, 64, 1)):
        for many in ((), (6,)):
            a = rng.standard_normal((k, m) if left else (m, k)).astype(dtype)
            b = rng.standard_normal((*many, *((n, k) if right else (k, n)))).astype(dtype)
            axes = (*range(len(many)), len(many) + 1, len(many))
            there, b_there = backend.put(a), backend.put(b)
            a, there = (a.T, there.T) if left else (a, there)
            b, b_there = (b.transpose(axes), b_there.transpose(axes)) if right else (b, b_there)
            expected = a @ b
            out = xp.matmul(there, b_there)
            assert apart_by(backend.get(out), expected) <= apart
            xp.add_product(there, b_there, out)
            assert apart_by(backend.get(out), 2 * expected) <= apart


@pytest.mark.slow
@precisions
@forms
def test_the_losses_of_fifty_steps_agree(form, dtype, apart, device):
    backend, sizes = device
    found = []
    for engine in (backend, numpy_backend()):
        records = loop_on(engine, form, dtype, sizes).records()
        found.append([record.loss for record in records if isinstance(record, Step)])
    assert len(found[0]) == 50
    assert found[0] == pytest.approx(found[1], rel=apart)
    assert backend.graphs.note == ""  # all but the first step were launches of a graph


@pytest.mark.parametrize(
    ("dtype", "apart"), [pytest.param(*PRECISIONS[0], marks=pytest.mark.slow), PRECISIONS[1]]
)
@forms
@pytest.mark.parametrize("embed", [0, 5])
def test_every_gradient_agrees(embed, form, dtype, apart, device):
    backend, sizes = device
    config = ModelConfig(
        hidden=sizes["hidden"], layers=2, embed=embed, dropout=0.2, dtype=dtype,
        **reference.FORMS[form],
    )  # fmt: skip
    rng = np.random.default_rng(8)
    T, N = sizes["seq_len"], sizes["batch"]
    ids, targets = (rng.integers(0, V, (T, N), dtype=np.uint8) for _ in range(2))
    found = []
    for engine in (backend, numpy_backend()):
        model = LanguageModel.fresh(config, V, seed=4, backend=engine)
        grads = model.weights.like(engine.xp.empty_like(model.weights.flat))
        window, put = model.window(T, N), engine.put
        masks = model.stack.masks(T, N).draw(7, 3, T)
        loss = model.loss_and_gradient(window, put(ids), put(targets), grads, masks)
        found.append(
            {n: engine.get(g).copy() for n, g in grads.items()} | {"loss": engine.get(loss)}
        )
    for name, gradient in found[0].items():
        assert apart_by(gradient, found[1][name]) <= apart, name


@pytest.mark.slow
@precisions
@pytest.mark.parametrize("first", ["numpy", "cupy"])
def test_a_checkpoint_resumes_on_the_other_side(first, dtype, apart, device, home, capfd):
    _, sizes = device
    text = home / "text.txt"
    text.write_text("".join(WORDS[i:] + WORDS[:i] for i in range(60)), encoding="utf-8")
    other = {"numpy": "cupy", "cupy": "numpy"}[first]
    options = ["--dtype", dtype, "--layers", "2", "--dropout", "0.2", "--log-every", "1"]
    for name, value in sizes.items():
        options += [f"--{name.replace('_', '-')}", str(value)]
    plan = ["--schedule", "constant", "--quiet", *options]

    def train(*arguments):
        assert app.run(["train", *arguments]) == 0, capfd.readouterr().err

    train(str(text), "--steps", "24", "--out", "whole", "--backend", "numpy", *plan)
    train(str(text), "--steps", "11", "--out", "half", "--backend", first, *plan)
    train("--resume", "half", "--steps", "24", "--quiet", "--backend", other)
    whole, half = (
        [line["loss"] for line in read_metrics(home / name) if line["event"] == "step"]
        for name in ("whole", "half")
    )
    assert len(whole) == 24
    assert half == pytest.approx(whole, rel=apart)
    mine, theirs = (checkpoint.load(home / name / runs.LAST) for name in ("half", "whole"))
    assert apart_by(mine.weights, theirs.weights) <= apart


@pytest.mark.slow
@forms
def test_scores_and_samples_agree(form, device):
    backend, sizes = device
    config = ModelConfig(hidden=sizes["hidden"], layers=2, dtype="float64", **reference.FORMS[form])
    options = SampleOptions(temperature=0.9, top_k=12, top_p=0.95, min_p=0.01)
    found = []
    for engine in (backend, numpy_backend()):
        model = LanguageModel.fresh(config, V, seed=5, backend=engine)
        drawn = samples(model, CORPUS.vocabulary, options, count=5, length=40, seed=2)
        found.append((Validation(model, CORPUS.train).loss(), [one.text for one in drawn]))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-10)
    assert found[0][1] == found[1][1]


@pytest.mark.slow
def test_two_runs_give_the_same_bits(device):
    """Every sum is taken in a fixed order."""
    backend, sizes = device
    found = []
    for _ in range(2):
        loop = loop_on(backend, "lstm", "float32", sizes)
        for _ in range(10):
            loop.step()
        found.append(loop.state().weights)
    np.testing.assert_array_equal(*found)


@real
def test_the_gpu_is_described(device):
    facts = describe()
    assert facts["auto"]["backend"] == "cupy"
    gpu = facts["cupy"]["devices"][0]
    assert gpu["name"]
    assert 0 < gpu["memory_free"] <= gpu["memory_total"]
    assert json.dumps(facts)


@real
def test_a_full_gpu_is_explained(device):
    xp = device[0].xp
    with pytest.raises(Exception) as caught:
        xp.empty(1 << 50, xp.uint8)
    told = memory.explain(caught.value)
    assert told is not None
    assert "out of GPU memory" in str(told)
    assert "are free" in str(told)
